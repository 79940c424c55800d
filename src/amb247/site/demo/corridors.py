"""Named places and corridors of the city, by rough coordinates (facts; sources in README.md)."""

from typing import Any, NamedTuple

import numpy as np

from amb247.site.demo.plane import Floats, to_plane

# The plateau's grid, fitted to 19 known corners: metres per carrera (eastwards) and per calle (southwards).
GRID_ORIGIN = np.array((-2485.0, 1701.0))
PER_CARRERA = np.array((91.9, 31.6))
PER_CALLE = np.array((16.9, -59.9))


def corner(carrera: float, calle: float) -> Floats:
    """Where a carrera meets a calle on the plateau of Bucaramanga, metres on the plane."""
    return GRID_ORIGIN + carrera * PER_CARRERA + calle * PER_CALLE


def _at(lon: float, lat: float) -> Floats:
    return to_plane((lon, lat))


PLACES: dict[str, Floats] = {
    # plateau
    "uis": corner(27, 9), "estadio": corner(30, 14), "san_francisco": corner(21, 14),
    "quebradaseca_9": corner(9, 28), "quebradaseca_15": corner(15, 28), "quebradaseca_21": corner(21, 28),
    "quebradaseca_27": corner(27, 28), "quebradaseca_33": corner(33, 28), "la_virgen": corner(15, 3),
    "c9x33": corner(9, 33), "c9x45": corner(9, 45), "c15x33": corner(15, 33), "c15x45": corner(15, 45),
    "c17x45": corner(17, 45), "c17x33": corner(17, 33), "c21x33": corner(21, 33), "c21x45": corner(21, 45),
    "c27x33": corner(27, 33), "c27x45": corner(27, 45), "c33x33": corner(33, 33), "c33x45": corner(33, 45),
    "c36x33": corner(36, 33), "c36x56": corner(36, 56), "c33x56": corner(33, 56), "c27x56": corner(27, 56),
    "c21x56": corner(21, 56), "c17x56": corner(17, 56), "c15x14": corner(15, 14), "c15x9": corner(15, 9),
    "c33x14": corner(33, 14), "c25x9": corner(25, 9), "c21x14": corner(21, 14), "c27x14": corner(27, 14),
    "puerta_del_sol": _at(-73.1150, 7.1030), "hormigas": _at(-73.1082, 7.1045),
    "la_flora": _at(-73.1055, 7.1005), "cacique": _at(-73.1030, 7.0972), "terrazas": _at(-73.1050, 7.1120),
    "plaza_mayor": _at(-73.1235, 7.1060), "softbol": _at(-73.1292, 7.1012), "c_bolivar": _at(-73.1268, 7.0982),
    "mutis": _at(-73.1330, 7.0985), "estoraques": _at(-73.1432, 7.0925), "monterredondo": _at(-73.1342, 7.0925),
    "canelos": _at(-73.1222, 7.0975), "la_victoria": _at(-73.1170, 7.1000), "la_joya": _at(-73.1400, 7.1120),
    "campo_hermoso": _at(-73.1400, 7.1055), "don_bosco": _at(-73.1390, 7.1245), "la_feria": _at(-73.1400, 7.1205),
    "girardot": _at(-73.1345, 7.1225), "galan": _at(-73.1470, 7.1065), "albania": _at(-73.1045, 7.1290),
    "morrorico": _at(-73.1030, 7.1322), "buenavista": _at(-73.0972, 7.1320),
    # north
    "colseguros": _at(-73.1325, 7.1440), "kennedy": _at(-73.1345, 7.1520), "villa_rosa": _at(-73.1300, 7.1510),
    "betania": _at(-73.1395, 7.1540), "maria_paz": _at(-73.1400, 7.1490), "cafe_madrid": _at(-73.1400, 7.1625),
    "colorados": _at(-73.1365, 7.1650), "puente_tierra": _at(-73.1330, 7.1625), "bavaria": _at(-73.1425, 7.1600),
    "los_angeles": _at(-73.1250, 7.1485), "bosconia": _at(-73.1222, 7.1520), "villa_helena": _at(-73.1265, 7.1525),
    # south of the plateau
    "garcia_cadena": _at(-73.1140, 7.0975), "diamante": _at(-73.1130, 7.0920), "provenza": _at(-73.1105, 7.0845),
    "fontana": _at(-73.1180, 7.0885), "cristal": _at(-73.1165, 7.0780), "terminal": _at(-73.1294, 7.0868),
    "inem": _at(-73.1225, 7.0800), "porvenir": _at(-73.1335, 7.0795), "el_bueno": _at(-73.1400, 7.0840),
    "satelite": _at(-73.1020, 7.0860), "cara_giron": _at(-73.1270, 7.0930),
    # Floridablanca
    "canaveral": _at(-73.1050, 7.0715), "molinos": _at(-73.1000, 7.0655), "papi": _at(-73.0905, 7.0555),
    "bosque": _at(-73.1110, 7.0740), "cauchos": _at(-73.0765, 7.0500), "florida": _at(-73.0880, 7.0625),
    "limoncito": _at(-73.0905, 7.0670), "bucarica": _at(-73.0970, 7.0770), "campanazo": _at(-73.0935, 7.0890),
    "reposo": _at(-73.0975, 7.0905), "villa_luz": _at(-73.0860, 7.0870), "el_carmen": _at(-73.0825, 7.0800),
    "la_cumbre": _at(-73.0780, 7.0735), "laureles": _at(-73.0845, 7.0895), "caracoli": _at(-73.0945, 7.0715),
    "matadero": _at(-73.0855, 7.0590), "villabel": _at(-73.0965, 7.0610),
    # Girón
    "palenque": _at(-73.1530, 7.0755), "rincon": _at(-73.1555, 7.0690), "giron": _at(-73.1675, 7.0690),
    "poblado": _at(-73.1680, 7.0795), "carrizal": _at(-73.1705, 7.0855), "caneyes": _at(-73.1585, 7.0640),
    "bahondo": _at(-73.1715, 7.0575), "brisas": _at(-73.1770, 7.0550), "arenales": _at(-73.1625, 7.0535),
    "la_meseta": _at(-73.1590, 7.0490), "nuevo_giron": _at(-73.1640, 7.0485), "eloy": _at(-73.1800, 7.0720),
    "campina": _at(-73.1725, 7.0660), "chimita": _at(-73.1500, 7.0985),
    # Piedecuesta
    "pc_norte": _at(-73.0590, 7.0020), "pc_centro": _at(-73.0505, 6.9890), "pc_terminal": _at(-73.0570, 6.9830),
    "valle_verde": _at(-73.0600, 6.9790), "puerto_nuevo": _at(-73.0495, 7.0030), "san_telmo": _at(-73.0600, 6.9965),
    "cisnes": _at(-73.0430, 6.9780),
}  # fmt: skip


class Corridor(NamedTuple):
    name: str
    road_class: str
    stops_at: tuple[str | tuple[float, float], ...]
    """Place keys, (carrera, calle) corners with small numbers, or longitude-latitude pairs."""


def corridor_points(corridor: Corridor) -> Floats:
    points = []
    for stop in corridor.stops_at:
        if isinstance(stop, str):
            points.append(PLACES[stop])
        elif stop[0] < 0:
            points.append(_at(*stop))
        else:
            points.append(corner(*stop))
    return np.array(points)


_TABLE: tuple[tuple[Any, ...], ...] = (
    ("Carrera 9", "secondary", (9, 24), (9, 45)),
    ("Carrera 15", "arterial", "la_virgen", (15, 14), (15, 45), (16.4, 52), "puerta_del_sol"),
    ("Carrera 17", "secondary", (17, 30), (17, 56), "canelos"),
    ("Carrera 19", "secondary", (19, 8), (19, 36)),
    ("Carrera 21", "arterial", (21, 14), (21, 56), "puerta_del_sol"),
    ("Carrera 27", "arterial", (27, 8), (27, 56), "puerta_del_sol"),
    ("Carrera 33", "arterial", (33, 14), (33, 56), "hormigas", "la_flora"),
    ("Carrera 36", "secondary", (36, 33), (36, 56)),
    ("Calle 9", "secondary", (15, 9), (27, 9)),
    ("Boulevard Santander", "arterial", (15, 14), (33, 14)),
    ("Avenida Quebradaseca", "arterial", (8, 28), (33, 28)),
    ("Calle 33", "secondary", (9, 33), (36, 33)),
    ("Calle 36", "secondary", (9, 36), (33, 36)),
    ("Calle 45", "arterial", (33, 45), (9, 45), "campo_hermoso", "galan", "chimita"),
    ("Calle 48", "secondary", (27, 48), (36, 48)),
    ("Calle 56", "arterial", (36, 56), (17, 56), "plaza_mayor", "softbol", "mutis", "estoraques"),
    ("Avenida González Valencia", "secondary", (27, 45), (31, 56), "hormigas"),
    ("Avenida La Rosita", "secondary", (12, 45), (27, 45)),
    ("Calle 67", "arterial", "la_flora", "hormigas", "la_victoria", "puerta_del_sol"),
    ("Calle 61", "secondary", "puerta_del_sol", (-73.1190, 7.1010), "canelos", "c_bolivar", "softbol"),
    ("Avenida Los Samanes", "secondary", "c15x45", "plaza_mayor", "c_bolivar"),
    ("Transversal Metropolitana", "arterial", "c_bolivar", "cara_giron", "terminal", "inem"),
    ("Calle 105", "arterial", "porvenir", "inem", "provenza", "satelite"),
    ("Carrera 2W", "secondary", "softbol", "monterredondo", "el_bueno"),
    ("Calle 35", "secondary", "c9x33", "la_joya", "campo_hermoso"),
    ("Avenida Girardot", "secondary", (8, 28), "girardot", "la_feria", "don_bosco"),
    ("Vía a Pamplona", "arterial", "quebradaseca_33", "albania", "morrorico", "buenavista",
     (-73.0900, 7.1360), (-73.0780, 7.1420), (-73.0620, 7.1560)),
    ("Vía al Norte", "arterial", "la_virgen", "colseguros", "kennedy", "betania", "cafe_madrid", "colorados",
     (-73.1390, 7.1760), (-73.1430, 7.1900), (-73.1420, 7.2060)),
    ("Avenida Libertadores", "secondary", "colseguros", "villa_rosa", "puente_tierra", "colorados"),
    ("Vía a Matanza", "secondary", "colseguros", "los_angeles", "bosconia", (-73.1180, 7.1620),
     (-73.1080, 7.1780), (-73.0960, 7.1960)),
    ("Carrera 10 Norte", "secondary", "colseguros", "maria_paz", "betania", "bavaria", "cafe_madrid"),
    ("Vía Chimitá", "arterial", "palenque", (-73.1545, 7.0860), "chimita", (-73.1490, 7.1150),
     (-73.1455, 7.1280), (-73.1470, 7.1400), (-73.1445, 7.1520), "bavaria", "cafe_madrid"),
    ("Autopista Floridablanca", "arterial", "puerta_del_sol", "garcia_cadena", "diamante", "provenza",
     "canaveral", "molinos", "papi", "cauchos"),
    ("Autopista Piedecuesta", "arterial", "cauchos", (-73.0705, 7.0340), (-73.0670, 7.0190), "pc_norte",
     "pc_terminal", "valle_verde", (-73.0700, 6.9650), (-73.0800, 6.9480)),
    ("Transversal Oriental", "arterial", "la_flora", "cacique", "reposo", "campanazo", "villa_luz", "el_carmen",
     "la_cumbre", (-73.0770, 7.0620), "cauchos"),
    ("Carretera Antigua", "arterial", "cacique", "satelite", "bucarica", "caracoli", "limoncito", "florida",
     "papi"),
    ("Vía Girón", "arterial", "puerta_del_sol", (-73.1200, 7.0975), "cara_giron", "el_bueno", "palenque",
     (-73.1610, 7.0725), "poblado", (-73.1790, 7.0830), (-73.1900, 7.0900), (-73.2040, 7.0980)),
    ("Anillo Vial", "arterial", "palenque", "rincon", (-73.1420, 7.0640), (-73.1240, 7.0660), "bosque",
     "canaveral"),
    ("Vía Malpaso", "secondary", "porvenir", (-73.1340, 7.0700), (-73.1320, 7.0640)),
    ("Calle 43", "secondary", "poblado", "giron", "campina", "bahondo"),
    ("Vía Carrizal", "secondary", "poblado", "carrizal"),
    ("Avenida Los Caneyes", "arterial", "rincon", "caneyes", "arenales", "la_meseta", "nuevo_giron"),
    ("Carrera 26", "secondary", "giron", "caneyes"),
    ("Calle 10B", "secondary", "arenales", "bahondo", "brisas"),
    ("Vía Bellavista", "secondary", "giron", "eloy"),
    ("Vía Zapatoca", "secondary", "brisas", (-73.1850, 7.0440), (-73.1900, 7.0200), (-73.1860, 6.9950)),
    ("Avenida Bucarica", "secondary", "molinos", "caracoli", "el_carmen"),
    ("Calle 5", "secondary", "villabel", "florida", "matadero", "cauchos"),
    ("Paralela El Bosque", "secondary", "provenza", "bosque"),
    ("Carrera 15 Villabel", "secondary", "molinos", "villabel", "papi"),
    ("Carrera 6", "secondary", "pc_norte", "pc_centro", "cisnes"),
    ("Calle 9 Piedecuesta", "secondary", "pc_terminal", "pc_centro"),
    ("Avenida San Telmo", "secondary", "san_telmo", "pc_norte", "puerto_nuevo"),
    ("Calle 14 Piedecuesta", "secondary", "valle_verde", "cisnes"),
    ("Avenida Villa Luz", "secondary", "campanazo", "laureles", "villa_luz"),
    ("Diagonal 56", "secondary", "c36x56", "terrazas", "la_flora"),
    ("Carrera 23", "secondary", "inem", "cristal"),
    ("Avenida 89", "secondary", "diamante", "fontana", "terminal"),
)  # fmt: skip

CORRIDORS = tuple(Corridor(name, road_class, tuple(stops)) for name, road_class, *stops in _TABLE)
