"""What a table knows about people, why, and for how long (Ley 1581 de 2012, Decreto 1377 de 2013).

Every model carries the class attribute `personal_data`; `tests/site/test_personal_data.py` fails on one without.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

Words: TypeAlias = "str | Promise"

LEY_1581: Final = _("Ley 1581 de 2012 y Decreto 1377 de 2013 (compilado en el Decreto 1074 de 2015)")


@dataclass(frozen=True)
class PersonalData:
    """Declaration of one table.

    Parameters
    ----------
    fields : mapping of str to words
        Field name -> what it says about a person.
    purpose : words
        Why it is kept: one sentence that can be shown to the person.
    retention : words
        Until when, and what happens then.
    legal_basis : words
        The law, and where it asks for one the consent or the exception.

    Raises
    ------
    ValueError
        No field, purpose or retention is given: then nothing has been declared.
    """

    fields: Mapping[str, Words]
    purpose: Words
    retention: Words
    legal_basis: Words = LEY_1581

    def __post_init__(self) -> None:
        if not self.fields or not self.purpose or not self.retention or not self.legal_basis:
            raise ValueError("A declaration names its fields, purpose, retention and legal basis.")


@dataclass(frozen=True)
class NoPersonalData:
    """The table says nothing about an identified or identifiable person."""


NO_PERSONAL_DATA: Final = NoPersonalData()
Declaration: TypeAlias = PersonalData | NoPersonalData
