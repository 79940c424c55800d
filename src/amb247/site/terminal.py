"""Exit codes, and words for the person at the terminal."""

from __future__ import annotations

import sys

OK, REFUSED, USAGE, BROKEN = 0, 1, 2, 70


def say(words: str) -> None:
    print(f"· {words}", file=sys.stderr, flush=True)


def complain(words: str, detail: str = "") -> None:
    print(f"\n{words}", file=sys.stderr)
    if detail:
        print(detail, file=sys.stderr)
