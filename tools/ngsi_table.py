"""Make docs/ngsi-ld.md: what of GS CIM 009 the broker does, by clause, operation and parameter, and the tests that say so.

    PYTHONPATH=src python tools/ngsi_table.py

The facts are in `tests/context/clauses.py`, the operations and parameters in `context/rest/openapi.py`. A test holds the file to them.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import django

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "ngsi-ld.md"
sys.path.append(str(ROOT / "tests"))

from context.clauses import OF_OPERATIONS, OF_PARAMETERS, PARTS, Clause  # noqa: E402 - behind the path

HEAD = """# NGSI-LD: what is done, clause by clause

ETSI GS CIM 009 v1.9.1, served at `/ngsi-ld/v1`; the description for machines is `/ngsi-ld/v1/openapi.json`. Made by
`tools/ngsi_table.py` from `tests/context/clauses.py`: change it there. Clauses without a row say nothing that an implementation does.
Every operation is also asked by [generated requests](../tests/context/rest/test_openapi.py) (no 500, no undeclared answer).

Beyond the standard: CSV and Parquet, subscriptions as event streams, dead letters, tokens by tenant, type and territory.
"""
WRONG_VALUE = "rest/parameters::a_wrong_value_is_refused"
WRONG_PERSON = "rest/access::the_wrong_person_is_refused"


def path_of(test: str) -> tuple[str, str]:
    """`rest/access::x` -> (tests/context/rest/test_access.py, test_x)."""
    file, name = test.split("::")
    folder, _, stem = file.rpartition("/")
    stem = stem if stem.startswith("test_") else f"test_{stem}"
    return "/".join(part for part in ("tests/context", folder, f"{stem}.py") if part), f"test_{name}"


def table() -> str:
    """The whole document."""
    return "\n".join([HEAD, *_summary(), *_clauses(), *_operations(), *_parameters()]) + "\n"


def _links(tests: Iterable[str]) -> str:
    found = []
    for test in dict.fromkeys(tests):
        path, name = path_of(test)
        found.append(f"[{name.removeprefix('test_')}](../{path})")
    return "<br>".join(found)


def _summary() -> Iterator[str]:
    yield "| part | done | partly | not |"
    yield "| --- | ---: | ---: | ---: |"
    for title, clauses in PARTS:
        states = Counter(one.state for one in clauses)
        yield f"| {title} | {states['done']} | {states['partly']} | {states['not']} |"


def _clauses() -> Iterator[str]:
    for title, clauses in PARTS:
        yield f"\n## {title}\n"
        yield "| clause | | state | remarks | tests |"
        yield "| --- | --- | --- | --- | --- |"
        for one in clauses:
            yield _row(one)


def _row(one: Clause) -> str:
    return f"| {one.number} | {one.title} | {one.state} | {one.says} | {_links(one.tests)} |"


def _operations() -> Iterator[str]:
    from amb247.context.rest.openapi import OPERATIONS

    yield "\n## Operations\n"
    yield (
        "The wrong person (no token, an unknown one, another tenant's, one without the right) is refused by all that are not public: "
        f"{_links([WRONG_PERSON])}; what is out of a token's reach by type or place is not there, is not counted and is not changed "
        "(the other tests of that file)."
    )
    yield "\n| operation | request | clauses | does | refuses |"
    yield "| --- | --- | --- | --- | --- |"
    for one in OPERATIONS:
        does, refuses = OF_OPERATIONS[one.name]
        clauses = one.clauses or "beyond the standard"
        public = ", public" if one.is_public else ""
        yield f"| {one.name} | `{one.method} {one.path}` | {clauses}{public} | {_links([does])} | {_links([refuses])} |"


def _parameters() -> Iterator[str]:
    from amb247.context.rest.openapi import OPERATIONS

    yield "\n## Query parameters\n"
    yield (
        f"A wrong value is refused by each operation that has the parameter: {_links([WRONG_VALUE])}; `lang`, `containedBy` and "
        "`jsonKeys` have none. `local`, `sysAttrs` and `count` are flags for every operation."
    )
    yield "\n| parameter | operations | does |"
    yield "| --- | --- | --- |"
    for name, tests in OF_PARAMETERS.items():
        users = [one.name for one in OPERATIONS if name in _of(one)]
        yield f"| `{name}` | {', '.join(users)} | {_links([tests])} |"


def _of(one: object) -> set[str]:
    found = set(getattr(one, "parameters", ()))
    return (
        found
        | {name for name in ("options",) if getattr(one, "options", None) is not None}
        | ({"format"} if getattr(one, "form", None) is not None else set())
    )


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "amb247.site.settings")
    django.setup()
    TARGET.write_text(table(), encoding="utf-8")
    print(TARGET)
