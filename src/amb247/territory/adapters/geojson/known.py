"""The communes that the municipalities of the metropolitan area are known to have.

Numbers and names of Bucaramanga's 17 communes: Acuerdo 002 de 2013 (POT) as the two municipal layers spell them;
the spellings after the first are those found in files.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Mapping
from typing import Final

COMMUNES: Final[Mapping[str, Mapping[int, tuple[str, ...]]]] = {
    "68001": {
        1: ("Norte",),
        2: ("Nororiental",),
        3: ("San Francisco",),
        4: ("Occidental",),
        5: ("García Rovira",),
        6: ("La Concordia",),
        7: ("La Ciudadela", "Ciudadela Real de Minas"),
        8: ("Suroccidente", "Sur Occidente"),
        9: ("La Pedregosa",),
        10: ("Provenza",),
        11: ("Sur",),
        12: ("Cabecera del Llano",),
        13: ("Oriental",),
        14: ("Morrorico",),
        15: ("Centro",),
        16: ("Lagos del Cacique", "Tejar"),
        17: ("Mutis",),
    }
}
SIMILAR: Final = 0.9  # "CIUDADELA RELA DE MINAS" is 0.96 like its commune; "Norte" and "Nororiental" are 0.63


def plain(name: str) -> str:
    """Lower case, no accents, single spaces, no leading 'Comuna': how names are compared."""
    letters = unicodedata.normalize("NFKD", name)
    text = " ".join("".join(one for one in letters if not unicodedata.combining(one)).lower().split())
    return re.sub(r"^comuna (?=\D)", "", text)


def commune_number(municipality: str, name: str) -> int | None:
    """The number of a known commune by its name, small misspellings forgiven."""
    if numbered := re.fullmatch(r"comuna (\d{1,2})", plain(name)):
        return int(numbered[1])
    names = {
        plain(spelling): number
        for number, spellings in COMMUNES.get(municipality, {}).items()
        for spelling in spellings
    }
    close = difflib.get_close_matches(plain(name), names, n=1, cutoff=SIMILAR)
    return names[close[0]] if close else None


def commune_name(municipality: str, number: int) -> str | None:
    spellings = COMMUNES.get(municipality, {}).get(number)
    return spellings[0] if spellings else None
