"""The Colombian tax number (NIT) and its check digit.

References
----------
DIAN, Orden Administrativa 4 de 1989: weights 3, 7, 13, 17, 19, 23, 29, 37, 41, 43, 47, 53, 59, 67, 71 from the
right, remainder by 11; 0 and 1 stay, otherwise 11 minus it.
"""

from __future__ import annotations

import re

from django.utils.translation import gettext as _

from amb247.territory.errors import TerritoryError

WEIGHTS = (3, 7, 13, 17, 19, 23, 29, 37, 41, 43, 47, 53, 59, 67, 71)


def check_digit(number: str) -> int:
    """Of 1 to 15 digits, without the check digit."""
    rest = sum(int(digit) * weight for digit, weight in zip(reversed(number), WEIGHTS, strict=False)) % 11
    return rest if rest < 2 else 11 - rest


def normalised_nit(text: str) -> str:
    """`890.201.222-0` or `890201222-0` as `890201222-0`; without a check digit it is added."""
    parts = re.fullmatch(r"(\d{5,15})(?:-(\d))?", re.sub(r"[.\s]", "", text))
    if parts is None:
        raise TerritoryError(
            _("Un NIT tiene de 5 a 15 cifras y el dígito de verificación, como 890201222-0.")
        )
    right = check_digit(parts[1])
    if parts[2] is not None and int(parts[2]) != right:
        raise TerritoryError(
            _("El dígito de verificación de %(nit)s debe ser %(digit)s.") % {"nit": parts[1], "digit": right}
        )
    return f"{parts[1]}-{right}"
