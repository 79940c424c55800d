"""What became of one attempt to deliver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# accepted: the receiver has it. refused: it does not want this one (its fault or ours; others may go through).
# trouble: the receiver cannot take anything now, so the whole endpoint backs off. withdrawn: nobody was asked.
Verdict = Literal["accepted", "refused", "trouble", "withdrawn"]


@dataclass(frozen=True, slots=True)
class Outcome:
    verdict: Verdict
    reason: str = ""
    retry_after_s: float = 0.0


ACCEPTED = Outcome("accepted")


def trouble(problem: BaseException | str) -> Outcome:
    text = problem if isinstance(problem, str) else f"{type(problem).__name__}: {problem}"
    return Outcome("trouble", text[:300])
