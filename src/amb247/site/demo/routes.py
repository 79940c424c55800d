"""The 51 conventional bus routes of the metropolitan area: facts, and the places their street lists pass.

Code, name, operator, length, headways and dispatch hours are those of the public data set (see README.md);
None where it is silent or says 0. `via` follows the street list outwards, to the far end of the loop.
"""

from typing import NamedTuple


class BusRoute(NamedTuple):
    code: str
    name: str
    operator: str
    length_km: float | None
    """Length of the real round trip."""
    first: str | None
    last: str | None
    peak_min: int | None
    off_peak_min: int | None
    via: tuple[str, ...]


OPERATORS = {
    "CT": "Cotrander",
    "UN": "Unitransa S.A.",
    "TC": "Transcolombia S.A.",
    "LU": "Lusitania S.A.",
    "OT": "Oriental de Transportes S.A.",
    "TG": "Transportes Girón S.A.",
    "TP": "Transportes Piedecuesta S.A.",
    "MS": "Metropolitana de Servicios S.A.",
    "CO": "Cootragas CTA.",
    "SJ": "Transportes San Juan S.A.",
}

COLOURS = {
    "CT": "2A9D8F", "UN": "3A86C8", "TC": "7B61C9", "LU": "C2571A", "OT": "B0417A",
    "TG": "5B8C2A", "TP": "1F7A8C", "MS": "A67C00", "CO": "8A5A44", "SJ": "5C6BC0",
}  # fmt: skip


def _routes() -> tuple[BusRoute, ...]:
    routes = []
    for line in _TABLE.strip().splitlines():
        code, name, operator, length, first, last, peak, off_peak, via = (x.strip() for x in line.split("|"))
        routes.append(BusRoute(
            code, name, operator, float(length) if length else None, first or None, last or None,
            int(peak) if peak else None, int(off_peak) if off_peak else None, tuple(via.split()),
        ))  # fmt: skip
    return tuple(routes)


_TABLE = """
1|Galán - Modelo - Estadio|CT||05:00|20:00|7|12|galan campo_hermoso c9x45 c9x33 c17x33 c15x9 c25x9 estadio quebradaseca_33
2|Buenavista - Morrorico - Carrera 9 - INEM - Canelos|UN|31.8|||8|12|buenavista morrorico quebradaseca_33 c36x33 c9x33 c9x45 c17x45 c17x56 canelos cara_giron terminal inem cristal
3|Buenavista - Morrorico - INEM - Cristal Bajo|UN|22.7|05:00|20:00|8|15|buenavista morrorico albania quebradaseca_33 c33x56 la_flora cacique satelite provenza diamante fontana inem cristal
4|Don Bosco - Carrera 33 - Real de Minas|UN|25.6|05:00|19:30|10|15|don_bosco girardot quebradaseca_9 c9x33 c17x33 c15x14 estadio quebradaseca_33 c33x56 c17x56 plaza_mayor softbol c_bolivar canelos
5|Carrizal - Calle 45 - Cabecera - Portón del Tejar - Campanazo|UN|32.6|05:00|20:00|7|10|carrizal poblado palenque chimita campo_hermoso c9x45 c21x45 c33x45 hormigas la_flora cacique reposo campanazo
6|Joya - UIS - Carrera 33 - La Victoria|UN|21|05:15|18:30|10|15|la_joya c9x33 c17x33 c15x14 estadio quebradaseca_33 c33x56 hormigas la_victoria
7|Limoncito|CT|27|04:50|20:30|6||cauchos matadero florida limoncito bucarica satelite cacique la_flora c33x56 c33x33 c33x14 c25x9
9|Trinidad - Terrazas - Av. Quebradaseca - San Miguel|UN|30.9|05:00|20:00|8|12|villa_luz laureles campanazo reposo cacique terrazas c36x56 c36x33 quebradaseca_33 quebradaseca_9 c9x45 c15x45 c17x56
10|Quinta Estrella - Real de Minas - Reposo|UN|37.5|05:00|18:00|10|20|villa_luz campanazo reposo cacique la_flora la_victoria canelos c_bolivar softbol plaza_mayor c17x56 c17x45 c9x45 campo_hermoso galan
11|Bahondo - Rincón - Carrera 33|UN|39.73|05:00|20:30|7|12|arenales caneyes rincon palenque el_bueno puerta_del_sol hormigas c33x45 c33x14 c25x9
12|Bavaria - Café - Centro|TC|26.68|04:50|20:00|10|12|cafe_madrid bavaria betania kennedy colseguros la_virgen quebradaseca_15 quebradaseca_9 c9x33 c15x33
13|La Feria - Centro - La Victoria|UN|16.32|06:00|18:00|20|20|la_feria girardot quebradaseca_9 c9x33 c15x45 c17x56 la_victoria
14|Puente Tierra - Centro - Carrera 33 - Ciudad Valencia|TC|47.6|04:40|18:30|7|12|puente_tierra villa_rosa colseguros la_virgen quebradaseca_15 c15x33 c33x33 c33x56 la_flora satelite bucarica caracoli molinos
15|Bosconia - Los Ángeles - Chapinero - Centro - Real de Minas - La Ladrillera|TC|40.03|04:50|19:15|7|12|bosconia los_angeles colseguros la_virgen quebradaseca_15 c15x45 c17x56 plaza_mayor c_bolivar cara_giron terminal inem porvenir
16|Hamacas - Carrera 33 - Reposo|UN|33.95|06:00|18:00|8|15|betania kennedy colseguros la_virgen quebradaseca_15 quebradaseca_33 c33x56 la_flora cacique reposo campanazo
17|Café - INEM|TC|22.08|05:00|19:00|10|15|cafe_madrid bavaria maria_paz colseguros la_virgen quebradaseca_15 c17x33 c17x56 c21x56 puerta_del_sol hormigas la_flora cacique satelite provenza inem
20|Monterredondo - Carrera 33 - Villa Rosa|TC|29.91|04:50|18:00|15|20|villa_helena villa_rosa colseguros la_virgen c15x14 estadio quebradaseca_33 c33x56 c17x56 canelos c_bolivar softbol monterredondo
21|Norte Café - Estoraques|TC|48.55|04:40|19:30|7|12|colorados cafe_madrid kennedy colseguros la_virgen c15x9 c25x9 estadio quebradaseca_33 c33x56 c17x56 plaza_mayor softbol mutis estoraques
22|María Paz - Centro - Plaza Mayor|CT|16|06:00|18:00|20|30|maria_paz colseguros la_virgen quebradaseca_15 c15x45 c17x56 plaza_mayor
23|Villa Rosa - Real de Minas - Rocío|TC|37.7|05:00|19:00|7|12|villa_helena villa_rosa colseguros la_virgen quebradaseca_15 c15x45 c17x56 canelos c_bolivar cara_giron terminal inem porvenir
24|Colorados - Real de Minas - Mutis|TC|47.84|04:40|19:30|7|12|colorados betania kennedy colseguros la_virgen quebradaseca_15 quebradaseca_9 c9x45 c15x45 c17x56 plaza_mayor softbol mutis estoraques
25|Betania - Real de Minas - INEM - Fosunab|CT|40|05:00|19:00|8|12|betania kennedy colseguros la_virgen quebradaseca_15 quebradaseca_9 c9x45 c15x45 c17x56 canelos c_bolivar terminal inem provenza bosque
26|Cumbre - El Carmen - Transversal - Carrera 33|CT|26|05:00|20:30|6|10|la_cumbre el_carmen villa_luz campanazo reposo cacique la_flora c33x56 c33x14 san_francisco
27|Caracolí - Carretera Antigua - Carrera 33 - Centro|LU|25.54|||6|6|caracoli bucarica satelite cacique la_flora c33x56 c33x33 c15x33 c9x33
28|Laureles - Oasis - Reposo - Carretera Antigua - González Valencia - Centro|LU|22.4|||6|6|laureles villa_luz campanazo reposo satelite cacique la_flora hormigas c27x45 c17x45 c17x33 quebradaseca_15 quebradaseca_9
28A|Cumbre - Reposo - Carrera 36|LU|19.2|||4|4|la_cumbre el_carmen villa_luz campanazo reposo cacique la_flora c36x56 c36x33 quebradaseca_33
29|Estoraques - Pinos|OT|21.7|||7|7|estoraques mutis softbol plaza_mayor c17x56 c17x45 c17x33 c33x33 c33x14 c25x9
30|Mirador de Arenales - Poblado - Centro - Carrera 22|TG|34.9|||9|9|nuevo_giron arenales bahondo giron poblado palenque el_bueno puerta_del_sol c21x56 c21x33 san_francisco
31|Bahondo - Carrera 33|TG|35.2|||7|7|arenales bahondo giron poblado palenque el_bueno puerta_del_sol hormigas c33x45 c33x14 c25x9
32|Bellavista - Poblado - Real de Minas - UIS|TG|31.9|||7|7|eloy giron poblado palenque el_bueno cara_giron c_bolivar canelos c17x56 c21x45 san_francisco c25x9
33|Caracolí|CT|29.17|05:00|19:30|7|12|caracoli bucarica satelite cacique la_flora c33x56 c33x33 c9x33 c9x45 campo_hermoso
34|Bahondo - Poblado - Calle 45 - Carrera 33|UN|42.84|05:00|20:00|7|12|arenales caneyes giron poblado palenque chimita campo_hermoso c9x45 c33x45 c33x14 estadio
35|Bahondo - Rincón - Real de Minas - UIS|TP|34.7|05:00|18:30|15|18|bahondo arenales caneyes rincon palenque el_bueno cara_giron c_bolivar canelos c17x56 c17x33 c15x9 c25x9
36|Igsabelar|CT|22|05:00|19:30|8|12|florida limoncito bucarica satelite provenza diamante puerta_del_sol c21x45 c21x33
37|Brisas del Campo - Rincón - UIS|MS|36.3|||9|9|brisas bahondo arenales caneyes rincon palenque el_bueno puerta_del_sol c21x56 c21x33 san_francisco estadio
38|Café - Palenque - Puerta del Sol - UIS|MS|58.4|||10|10|colorados cafe_madrid bavaria chimita palenque el_bueno puerta_del_sol c21x56 c21x45 quebradaseca_21 c15x14 estadio
39|Brisas del Campo - Rincón - Real de Minas - UIS|OT|32.2|||8|8|brisas bahondo arenales caneyes rincon palenque el_bueno cara_giron c_bolivar c17x56 c17x33 c15x14 estadio
40|Campiña - Poblado - Carrera 33|CO|24.3|||10|10|campina giron poblado palenque el_bueno puerta_del_sol hormigas c33x45 c33x14 san_francisco
41|Caracolí - Transversal Oriental - Hipinto - Carrera 21 - Centro|LU|21.8|||9|9|caracoli el_carmen villa_luz campanazo reposo cacique la_flora la_victoria puerta_del_sol c21x56 c21x33 c9x33
42|La Meseta - Rincón de Girón - Real de Minas - Centro - UIS|OT|37.45|||||la_meseta arenales caneyes rincon palenque el_bueno cara_giron c_bolivar plaza_mayor c17x56 c21x45 san_francisco c25x9
43|La Meseta - Poblado - Real de Minas - Centro - UIS - Carrera 33|OT|17.7|||8|8|la_meseta arenales bahondo giron poblado palenque el_bueno cara_giron c_bolivar c21x56 c21x33 san_francisco c33x14
44|Florida - Terminal - Girón|SJ|26|||10|15|matadero florida limoncito bucarica satelite provenza inem terminal el_bueno palenque poblado giron bahondo
45|Mirador de Arenales - Poblado - Real de Minas - Carrera 36 - UIS|SJ|28.5|||10|15|arenales bahondo giron poblado palenque el_bueno cara_giron c_bolivar plaza_mayor c17x56 c36x56 c36x33 c33x14 estadio
46|Brisas del Campo - Poblado - Real de Minas - UIS|TP|37|05:00|19:00|10|15|brisas bahondo giron poblado palenque el_bueno cara_giron c_bolivar plaza_mayor c36x56 c36x33 c33x14 estadio
47|Mirador de Arenales - Poblado - Rincón - Floridablanca|TP|32|||15|15|arenales bahondo giron poblado palenque rincon bosque canaveral molinos caracoli limoncito florida
48|Carrizal - Carrera 33|TP||||18|18|carrizal poblado palenque el_bueno puerta_del_sol hormigas c33x45 c33x14 san_francisco
49|Piedecuesta - Anillo Vial - Girón - Kennedy - Colorados - Puente Tierra|TP||03:30|19:30|5|8|pc_terminal pc_norte cauchos papi canaveral bosque rincon caneyes giron poblado palenque chimita bavaria cafe_madrid betania kennedy
50|Piedecuesta - Floridablanca - Carretera Antigua - Carrera 33|TP|48.5|||9|12|pc_terminal pc_centro pc_norte cauchos florida limoncito bucarica satelite cacique la_flora c33x56 c33x33 quebradaseca_33
51|Piedecuesta - Floridablanca - Carretera Antigua - Carrera 21|TP|54|04:20|19:00|9|12|valle_verde pc_terminal pc_norte cauchos florida limoncito bucarica satelite cacique la_flora hormigas c27x45 c21x33 san_francisco
52|Terminal Transpiedecuesta - Carrera 21|TP|47|04:30|19:00|10|15|pc_terminal pc_norte cauchos papi canaveral provenza garcia_cadena puerta_del_sol c21x56 c21x33 san_francisco estadio
53|Nueva Colombia - Carrera 21|TP|45.5|05:00|19:00|10|15|puerto_nuevo pc_norte cauchos papi canaveral provenza garcia_cadena puerta_del_sol c21x56 c21x33 san_francisco estadio
"""

ROUTES = _routes()
