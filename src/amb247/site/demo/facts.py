"""Facts of the metropolitan area that the synthetic city carries. Sources: README.md beside this file.

Coordinates are rough (about three decimals) and only place the synthetic shapes; they survey nothing.
"""

from typing import NamedTuple

Coordinate = tuple[float, float]
"""Longitude, latitude in degrees, WGS 84."""


class Municipality(NamedTuple):
    code: str
    name: str
    area_km2: float
    outside: tuple[Coordinate, ...]
    """Points of its rural land: they decide where its border runs in the synthetic frame."""


MUNICIPALITIES = (
    Municipality("68001", "Bucaramanga", 152.92,
                 ((-73.112, 7.166), (-73.105, 7.185), (-73.100, 7.205), (-73.080, 7.190), (-73.080, 7.160),
                  (-73.075, 7.140), (-73.160, 7.098), (-73.156, 7.112), (-73.152, 7.130))),
    Municipality("68276", "Floridablanca", 100.33,
                 ((-73.050, 7.115), (-73.050, 7.090), (-73.055, 7.066), (-73.050, 7.050), (-73.108, 7.030),
                  (-73.122, 7.047))),
    Municipality("68307", "Girón", 493.03,
                 ((-73.190, 7.140), (-73.172, 7.165), (-73.185, 7.105), (-73.198, 7.085), (-73.200, 7.055),
                  (-73.185, 7.035), (-73.150, 7.030), (-73.145, 7.000), (-73.140, 6.970), (-73.175, 7.000),
                  (-73.135, 7.055), (-73.168, 7.125), (-73.165, 7.145))),
    Municipality("68547", "Piedecuesta", 484.57,
                 ((-73.040, 7.030), (-73.020, 7.010), (-73.020, 6.985), (-73.030, 6.960), (-73.050, 6.955),
                  (-73.080, 6.965), (-73.100, 6.985), (-73.078, 7.020), (-73.105, 7.008))),
)  # fmt: skip


class Commune(NamedTuple):
    code: str
    name: str
    population: int | None
    centre: Coordinate
    area_km2: float
    """Area of the built-up disc; the official figure where the source has one and the land is built."""
    bearing: float
    """Rotation of its street grid, degrees."""
    roughness: float
    """0 for a drawn grid, 1 for streets that follow the slope."""
    neighbourhoods: tuple[str, ...]


def _commune(
    code: str,
    name: str,
    population: int | None,
    lon: float,
    lat: float,
    area: float,
    bearing: float,
    roughness: float,
    names: str,
) -> Commune:
    listed = tuple(part.strip() for part in names.split(","))
    return Commune(code, name, population, (lon, lat), area, bearing, roughness, listed)


COMMUNES = (
    _commune("68001-01", "Norte", 66710, -73.1365, 7.1562, 4.3, 12, 0.7,
             "Kennedy, Villa Rosa, Colorados, Miramar, María Paz, Olas Bajas, Betania, Minuto de Dios, "
             "Claveriano, Tejar Norte, Colseguros Norte, Villas de San Ignacio"),
    _commune("68001-02", "Nororiental", 27515, -73.1265, 7.1478, 1.7, 25, 0.7,
             "Esperanza III, Transición, Regadero Norte, La Independencia, Villa Mercedes, Esperanza II, "
             "La Juventud, Mirador Norte, San Cristóbal, Villa Helena I, Los Ángeles, Esperanza I"),
    _commune("68001-03", "San Francisco", 41488, -73.1255, 7.1345, 2.7, -17, 0.0,
             "San Francisco, Universidad, Comuneros, Mutualidad, Alarcón, Chapinero, Modelo, Norte Bajo, "
             "San Rafael, El Cinal"),
    _commune("68001-04", "Occidental", None, -73.1365, 7.1268, 1.9, -17, 0.3,
             "Girardot, Gaitán, Granada, La Feria, La Gloria, María Auxiliadora, Nariño, Pío XII, "
             "Camilo Torres, Cuyanita, Zarabanda, Don Bosco"),
    _commune("68001-05", "García Rovira", 34438, -73.1385, 7.1090, 3.0, -14, 0.4,
             "Campo Hermoso, Alfonso López, La Joya, Chorreras de Don Juan, Quinta Estrella, "
             "José Antonio Galán, La Estrella, Pantano II, Charta, Gallineral, 5 de Enero, 1 de Mayo"),
    _commune("68001-06", "La Concordia", 22850, -73.1197, 7.1075, 1.9, -17, 0.0,
             "La Concordia, La Victoria, Ricaurte, San Miguel, La Ceiba, La Salle, Gómez Niño, Candiles"),
    _commune("68001-07", "La Ciudadela", 25189, -73.1262, 7.1028, 1.4, 8, 0.1,
             "Real de Minas, Ciudad Bolívar, Plaza Mayor, Los Naranjos, Marsella Real, Los Almendros"),
    _commune("68001-08", "Sur Occidente", 16129, -73.1240, 7.0950, 1.2, 20, 0.5,
             "Quebrada La Iglesia II, Bucaramanga, Cordoncillo II, Pablo VI, Canelos, África, San Gerardo I, "
             "San Gerardo II, Juan XXIII, Laureles I, La Guacamaya, Antigua Colombia"),
    _commune("68001-09", "La Pedregosa", 14183, -73.1105, 7.0962, 1.1, -30, 0.4,
             "Villa Diamante, San Martín, Asturias, Villa Inés, Antonia Santos Sur, Diamante I, "
             "Nueva Granada, San Pedro Claver, Quebrada La Iglesia, La Libertad, La Pedregosa, Las Casitas"),
    _commune("68001-10", "Provenza", 39108, -73.1150, 7.0850, 2.6, -8, 0.3,
             "Provenza, Diamante II, Fontana, San Luis, Granjas de Provenza, Luz de Salvación I, "
             "Cristal Bajo, Brisas de Provenza, El Cristal, Nueva Fontana, Viveros de Provenza"),
    _commune("68001-11", "Sur", 36068, -73.1300, 7.0822, 2.6, 15, 0.5,
             "Quebrada La Iglesia I, El Porvenir, Jardines de Coaviconsa, Manuela Beltrán, Dangond, "
             "Granjas de Julio Rincón, Luz de Salvación II, El Rocío, Delicias, Ciudad Venecia, "
             "Toledo Plata, Conquistadores"),
    _commune("68001-12", "Cabecera del Llano", 32825, -73.1095, 7.1145, 2.8, -17, 0.0,
             "Cabecera del Llano, Sotomayor, Bolarquí, Campestre, Mercedes, Pan de Azúcar, "
             "Nuevo Sotomayor, La Floresta, Conucos, Terrazas, Puerta del Sol, El Jardín"),
    _commune("68001-13", "Oriental", 54093, -73.1145, 7.1275, 3.0, -17, 0.0,
             "San Alonso, Los Pinos, Mejoras Públicas, Antonia Santos Centro, Álvarez Las Américas, "
             "Quinta Brigada, Bolívar, La Aurora, El Prado, Quinta Dania, Galán, Puerto Rico"),
    _commune("68001-14", "Morrorico", None, -73.1015, 7.1320, 1.4, 32, 0.8,
             "Morrorico, Buenavista, Albania, Buenos Aires, El Diviso, La Malaña, Limoncito I, "
             "Miraflores, Miramanga"),
    _commune("68001-15", "Centro", 6396, -73.1265, 7.1184, 1.1, -17, 0.0, "Centro, García Rovira"),
    _commune("68001-16", "Lagos del Cacique", 17641, -73.1005, 7.1018, 1.9, 22, 0.4,
             "Lagos del Cacique, El Tejar, Altos del Lago, Hacienda San Juan, Altos del Cacique, "
             "San Expedito, Los Guayacanes, Bosques del Cacique"),
    _commune("68001-17", "Mutis", 24874, -73.1385, 7.0945, 2.4, 2, 0.2,
             "Mutis, Estoraques, Monterredondo, Brisas del Mutis, La Gran Ladera, Prados Mutis, "
             "Los Héroes, Manzanares, Balconcitos"),
    _commune("68276-01", "Comuna 1", None, -73.0880, 7.0625, 2.2, 24, 0.1,
             "Casco antiguo, Los Andes, Quinta del Puente, Limoncito"),
    _commune("68276-02", "Comuna 2", None, -73.1065, 7.0735, 2.4, -12, 0.1,
             "Cañaveral, Lagos II, El Bosque, Paralela"),
    _commune("68276-03", "Comuna 3", None, -73.0965, 7.0740, 2.2, 18, 0.2,
             "Bucarica, Caracolí, Bellavista, Molinos, Ciudad Valencia"),
    _commune("68276-04", "Comuna 4", None, -73.0975, 7.0885, 2.4, -20, 0.3,
             "El Reposo, La Trinidad, Zapamanga, Campanazo, Plaza Satélite"),
    _commune("68276-05", "Comuna 5", None, -73.0860, 7.0860, 2.2, 38, 0.5,
             "Villa Luz, José A. Morales, Alares, El Oasis, Laureles"),
    _commune("68276-06", "Comuna 6", None, -73.0785, 7.0745, 2.0, 30, 0.7,
             "La Cumbre, El Carmen, Villa Helena Sur"),
    _commune("68276-07", "Comuna 7", None, -73.0960, 7.0600, 1.9, -5, 0.3,
             "Villabel, Altoviento, Paragüitas"),
    _commune("68276-08", "Comuna 8", None, -73.0760, 7.0520, 1.6, 12, 0.3,
             "Los Cauchos, Papi Quiero Piña, La Paz"),
    _commune("68307-01", "Comuna 1", None, -73.1680, 7.0690, 2.2, 6, 0.0,
             "Centro histórico, Lenguerke, La Campiña, La Aldea"),
    _commune("68307-02", "Comuna 2", None, -73.1690, 7.0810, 1.9, -15, 0.4,
             "El Poblado, Carrizal, Bosques de San Sebastián"),
    _commune("68307-03", "Comuna 3", None, -73.1560, 7.0680, 2.0, 20, 0.2,
             "Rincón de Girón, El Palenque, Los Caneyes"),
    _commune("68307-04", "Comuna 4", None, -73.1730, 7.0565, 2.3, -24, 0.4,
             "Bahondo, Villas de San Juan, El Consuelo, Brisas del Campo"),
    _commune("68307-05", "Comuna 5", None, -73.1610, 7.0515, 1.9, 10, 0.4,
             "Mirador de Arenales, Nuevo Girón, La Meseta"),
    _commune("68307-06", "Comuna 6", None, -73.1790, 7.0705, 1.5, 35, 0.6,
             "Bellavista, Paraíso, Eloy Valenzuela"),
    _commune("68547-01", "Comuna 1", None, -73.0500, 6.9885, 2.0, 28, 0.0,
             "Casco antiguo, Cabecera del Llano, Parque Principal"),
    _commune("68547-02", "Comuna 2", None, -73.0590, 6.9965, 1.9, 12, 0.2,
             "San Telmo, La Argentina, El Refugio, La Cuesta"),
    _commune("68547-03", "Comuna 3", None, -73.0500, 7.0010, 1.5, -18, 0.5,
             "Nueva Colombia, Puerto Nuevo, Promoción Social"),
    _commune("68547-04", "Comuna 4", None, -73.0570, 6.9810, 1.8, 40, 0.3,
             "Valle Verde, Comuneros, Tejaditos, Miraflores"),
    _commune("68547-05", "Comuna 5", None, -73.0435, 6.9790, 1.5, 5, 0.4,
             "Portal del Valle, Cisnes, Colorados"),
)  # fmt: skip

PARKS = (
    ("Parque Santander", -73.1237, 7.1195, 90),
    ("Parque Centenario", -73.1251, 7.1221, 80),
    ("Parque de los Niños", -73.1184, 7.1253, 95),
    ("Parque San Pío", -73.1097, 7.1180, 95),
    ("Parque Turbay", -73.1147, 7.1150, 70),
    ("Parque García Rovira", -73.1299, 7.1172, 70),
    ("Parque Romero", -73.1279, 7.1135, 65),
    ("Parque San Francisco", -73.1245, 7.1315, 70),
    ("Parque del Agua", -73.1080, 7.1305, 130),
    ("Parque Bosque Encantado", -73.1070, 7.1266, 110),
    ("Parque Antonia Santos", -73.1221, 7.1229, 65),
    ("Parque Bolívar", -73.1200, 7.1189, 70),
    ("Parque Las Palmas", -73.1123, 7.1196, 55),
    ("Estadio Américo Montanini", -73.1160, 7.1375, 210),
    ("Ciudad universitaria", -73.1195, 7.1413, 330),
    ("Parque La Ceiba", -73.1147, 7.1042, 65),
    ("Parque Las Cigarras", -73.1214, 7.1034, 110),
    ("Parque Ciudad Bolívar", -73.1269, 7.0978, 80),
    ("Parque Estoraques", -73.1435, 7.0915, 90),
    ("Parque Monterredondo", -73.1332, 7.0932, 75),
    ("Parque Fontana", -73.1198, 7.0890, 85),
    ("Parque Claveriano Norte", -73.1307, 7.1578, 70),
    ("Parque Lineal Río de Oro", -73.1435, 7.1498, 120),
    ("Parque La Concordia", -73.1183, 7.1134, 65),
    ("Parque Los Leones", -73.1060, 7.1185, 80),
    ("Parque principal de Floridablanca", -73.0880, 7.0625, 90),
    ("Jardín Botánico de demostración", -73.0905, 7.0690, 260),
    ("Parque principal de Girón", -73.1680, 7.0690, 80),
    ("Malecón de Girón", -73.1620, 7.0640, 160),
    ("Parque principal de Piedecuesta", -73.0500, 6.9885, 90),
    ("Parque Cañaveral", -73.1060, 7.0700, 120),
)

RIVERS = (
    ("Río de Oro", 34, ((-73.178, 7.030), (-73.182, 7.048), (-73.1775, 7.0625), (-73.1640, 7.0750),
                        (-73.1560, 7.0860), (-73.1525, 7.0990), (-73.1515, 7.1120), (-73.1480, 7.1260),
                        (-73.1495, 7.1390), (-73.1492, 7.1520), (-73.1478, 7.1660), (-73.1530, 7.1810),
                        (-73.1620, 7.1960))),
    ("Río Suratá", 22, ((-73.088, 7.212), (-73.102, 7.194), (-73.112, 7.178), (-73.1225, 7.1670),
                        (-73.1320, 7.1655), (-73.1478, 7.1660))),
    ("Río Frío", 18, ((-73.045, 7.083), (-73.062, 7.073), (-73.0760, 7.0645), (-73.0920, 7.0555),
                      (-73.1080, 7.0590), (-73.1270, 7.0580), (-73.1450, 7.0600), (-73.1640, 7.0625),
                      (-73.1775, 7.0625))),
    ("Río Lato", 16, ((-73.022, 6.967), (-73.040, 6.972), (-73.0620, 6.9735), (-73.0850, 6.9780),
                      (-73.1100, 6.9960), (-73.140, 7.012), (-73.178, 7.030))),
    ("Quebrada La Iglesia", 9, ((-73.090, 7.106), (-73.1020, 7.0955), (-73.1140, 7.0905),
                                (-73.1285, 7.0888), (-73.1430, 7.0855), (-73.1560, 7.0860))),
    ("Quebrada El Loro", 7, ((-73.1190, 7.1005), (-73.1300, 7.1055), (-73.1420, 7.1040),
                             (-73.1525, 7.0990))),
    ("Quebrada Chitota", 7, ((-73.1215, 7.1415), (-73.1330, 7.1385), (-73.1495, 7.1390))),
    ("Quebrada Zapamanga", 8, ((-73.068, 7.092), (-73.0830, 7.0800), (-73.0930, 7.0660),
                               (-73.1000, 7.0572))),
)  # fmt: skip

WOODS = (
    ("Cerros Orientales", (-73.090, 7.170), (-73.072, 7.176), (-73.060, 7.150), (-73.048, 7.120),
     (-73.040, 7.085), (-73.034, 7.050), (-73.028, 7.030), (-73.050, 7.028), (-73.062, 7.050),
     (-73.066, 7.075), (-73.080, 7.100), (-73.084, 7.125), (-73.098, 7.150)),
    ("Escarpe de Malpaso", (-73.1460, 7.1330), (-73.1400, 7.1200), (-73.1460, 7.1080), (-73.1450, 7.0990),
     (-73.1510, 7.0960), (-73.1520, 7.1140), (-73.1480, 7.1320)),
    ("Cerro de Palonegro", (-73.205, 7.135), (-73.178, 7.142), (-73.166, 7.118), (-73.172, 7.097),
     (-73.186, 7.092), (-73.203, 7.106)),
    ("Ruitoque", (-73.125, 7.040), (-73.096, 7.046), (-73.078, 7.034), (-73.082, 7.012), (-73.102, 7.004),
     (-73.124, 7.016), (-73.134, 7.030)),
    ("Cerro de La Cantera", (-73.028, 6.998), (-73.014, 6.992), (-73.018, 6.964), (-73.034, 6.962)),
    ("Cerros de Vijagual", (-73.128, 7.205), (-73.112, 7.200), (-73.118, 7.176), (-73.131, 7.174),
     (-73.136, 7.190)),
)  # fmt: skip

AIR_STATIONS = (
    ("Club Unión", -73.1110, 7.1160),
    ("Colegio Gaitán", -73.1344, 7.1300),
    ("Hospital del Norte", -73.1350, 7.1500),
    ("Centro Cultural Daniel Mantilla Orbegozo - Piedecuesta", -73.0510, 6.9890),
)
"""Real names of the SISAIRE stations in the source; their places here are synthetic."""

WIFI_ZONES = (
    ("Altísimo de Morrorico", -73.100, 7.133),
    ("Campo Madrid Betania", -73.141, 7.152),
    ("Calle de los Estudiantes", -73.124, 7.106),
    ("San Francisco - Zona del Calzado", -73.124, 7.129),
    ("Caminódromo San Miguel", -73.124, 7.110),
    ("Cancha Diamante I", -73.107, 7.092),
    ("Cancha El Tejar Norte", -73.136, 7.152),
    ("Cancha Kennedy Norte", -73.135, 7.152),
    ("Cancha La Bombonera Norte", -73.131, 7.144),
    ("Cancha Los Cosmos Villa Rosa", -73.131, 7.153),
    ("Cancha Barrio Manzanares", -73.137, 7.095),
    ("Cancha María Paz Norte", -73.140, 7.150),
    ("Cancha Pablo VI", -73.119, 7.097),
    ("Cancha sintética Esperanza III", -73.127, 7.148),
    ("Cancha Villa Rosa", -73.130, 7.150),
    ("Canchas La Quebrada", -73.105, 7.130),
    ("Centro de Salud Colorados", -73.134, 7.178),
    ("Centro de Salud La Joya", -73.134, 7.114),
    ("Centro Recreativo El Mutis", -73.130, 7.101),
    ("Centro Recreativo La Victoria", -73.116, 7.100),
    ("Parque Las Américas", -73.110, 7.127),
    ("Barrio Gaitán", -73.134, 7.131),
    ("Colegio Santander", -73.122, 7.138),
    ("Colegio Tecnológico", -73.119, 7.138),
    ("Parque Las Mercedes", -73.113, 7.106),
    ("Cuadra Play", -73.110, 7.115),
    ("Diamante II", -73.113, 7.093),
    ("Estadio Américo Montanini", -73.118, 7.136),
    ("Glorieta Estadio", -73.118, 7.134),
    ("Parque Fontana", -73.120, 7.089),
    ("Glorieta Caballo Simón Bolívar", -73.120, 7.138),
    ("Glorieta Parque San Francisco", -73.125, 7.131),
    ("Centro Recreativo El Norte", -73.135, 7.148),
    ("Monumento a la Hormiga - Neomundo", -73.106, 7.101),
    ("Parque del Agua", -73.110, 7.131),
    ("Parque Antonia Santos", -73.122, 7.123),
    ("Parque de los Sueños", -73.121, 7.106),
    ("Parque Bolívar", -73.120, 7.119),
    ("Parque Bosque Encantado", -73.107, 7.127),
    ("Parque Café Madrid Norte", -73.140, 7.164),
    ("Parque Calle 52", -73.111, 7.112),
    ("Caminódromo Fontana Real", -73.120, 7.088),
    ("Parque Múltiple Campo Hermoso", -73.141, 7.101),
    ("Parque Centenario", -73.125, 7.122),
    ("Parque Ciudad Bolívar", -73.127, 7.098),
    ("Parque Claveriano Norte", -73.131, 7.158),
    ("Parque Cristal Alto", -73.118, 7.076),
    ("Parque Cristo Rey", -73.129, 7.136),
    ("Parque de la Vida", -73.137, 7.108),
    ("Parque de los Niños", -73.118, 7.125),
    ("Parque Estoraques", -73.144, 7.091),
    ("Parque García Rovira", -73.130, 7.117),
    ("Parque Girardot", -73.135, 7.122),
    ("Parque Kiosko Esperanza I", -73.125, 7.146),
    ("Parque La Ceiba", -73.115, 7.104),
    ("Parque La Concordia", -73.118, 7.113),
    ("Parque Principal La Joya", -73.140, 7.111),
    ("Centro Recreativo Las Américas", -73.108, 7.126),
    ("Parque Las Cigarras", -73.121, 7.103),
    ("Parque Las Palmas", -73.112, 7.120),
    ("Parque Los Canelos", -73.122, 7.099),
    ("Parque Los Leones", -73.108, 7.124),
    ("Parque Monterredondo", -73.133, 7.093),
    ("Parque Las Ardillas", -73.130, 7.099),
    ("Parque Romero", -73.128, 7.114),
    ("Parque San Cristóbal Norte", -73.126, 7.144),
    ("Parque San Pío", -73.110, 7.118),
    ("Parque Santander", -73.123, 7.120),
    ("Transición IV", -73.128, 7.142),
    ("Parque Turbay", -73.115, 7.115),
    ("Paseo del Comercio I", -73.128, 7.118),
    ("Paseo del Comercio II", -73.126, 7.119),
    ("Patinódromo Roberto García Peña", -73.125, 7.105),
    ("Plaza de Mercado Guarín", -73.112, 7.127),
    ("Plaza de Mercado Alberto Rueda Norte", -73.133, 7.152),
    ("Plaza de Mercado San Francisco", -73.125, 7.135),
    ("Plazoleta de la Democracia", -73.131, 7.118),
    ("Centro Recreativo La Joya", -73.134, 7.116),
    ("San Martín - Parque Extremo", -73.111, 7.099),
    ("Terminal de Transportes", -73.129, 7.088),
)
"""Public WiFi zones of Bucaramanga by name; places rounded to about 100 m."""
