"""Each model says which personal data it holds, why and for how long (Ley 1581 de 2012, articles 4, 8 and 12)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class PersonalData:
    """Declaration of a model.

    Parameters
    ----------
    fields : mapping
        Field name -> what it says of a person.
    purpose : str
        What it is processed for, in words the person would understand.
    retention : str
        When it is deleted.
    legal_basis : str
        The law or consent it rests on.
    """

    fields: Mapping[str, str] = field(default_factory=dict)
    purpose: str = ""
    retention: str = ""
    legal_basis: str = ""

    @property
    def is_none(self) -> bool:
        return not self.fields


NO_PERSONAL_DATA = PersonalData()
