"""How patient the delivery is. Operators and tests set other figures by AMB_NGSI_DELIVERY, such as `attempts=4,give_up_s=60`."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Policy:
    timeout_s: float = 10.0  # of one attempt, where the subscription says nothing else
    longest_timeout_s: float = 60.0  # what a subscription may ask for
    window: int = 16  # notifications under way to one endpoint; never two of one entity
    first_wait_s: float = 0.5  # back-off doubles from here ...
    longest_wait_s: float = 60.0  # ... to here
    refusals: int = 3  # attempts for what the receiver refuses (4xx)
    attempts: int = 12  # attempts for what fails while others go through
    give_up_s: float = 24 * 3600.0  # what an endpoint in trouble did not take in this time is given up
    keep_dead_days: float = 14.0
    late_s: float = 0.3  # what is not acknowledged so soon is written down
    memory: int = 1_000  # notifications kept in memory per endpoint; the rest waits in the table
    tidy_s: float = 5.0

    def __post_init__(self) -> None:
        for one in fields(self):
            if getattr(self, one.name) <= 0:
                raise ValueError(f"AMB_NGSI_DELIVERY: {one.name} must be greater than 0")

    def wait_s(self, failures: int) -> float:
        """How long to wait after so many failures in a row, spread so that not everybody comes back at once."""
        longest = min(self.longest_wait_s, self.first_wait_s * 2.0 ** min(failures - 1, 20))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - nobody gains by guessing it


def policy_from_environment() -> Policy:
    kinds = {one.name: int if one.type == "int" else float for one in fields(Policy)}
    given = {}
    for part in filter(None, os.environ.get("AMB_NGSI_DELIVERY", "").split(",")):
        name, _, value = part.partition("=")
        if name.strip() not in kinds:
            raise ValueError(f"AMB_NGSI_DELIVERY: there is no {name.strip()!r}; known: {', '.join(kinds)}")
        given[name.strip()] = kinds[name.strip()](value)
    return Policy(**given)  # type: ignore[arg-type] # mypy cannot see which member has which kind
