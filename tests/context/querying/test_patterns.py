from __future__ import annotations

import time

import pytest
from django.db import connection

from amb247.context.ngsi_errors import BadRequestData
from amb247.context.querying.patterns import compiled, for_postgresql

pytestmark = pytest.mark.unit

BOTH = [
    "abc",
    "^urn:ngsi-ld:Vehicle:.*$",
    "(red|blue)",
    r"\d+",
    r"a\.b",
    r"\\d",
    "[a-f0-9]+",
    "[^a-c]x",
    r"\w\w",
    "ñ.o",
    "a b",
    "x{2}",
    "e*d",
    "(?:ab|cd)e",
    r"50\+",
    r"\(a\)",
    "^$",
    "[a-z-]+",
    ".",
    "[A-z]",
]
TEXTS = [
    "abc",
    "urn:ngsi-ld:Vehicle:1",
    "red",
    "12",
    "a.b",
    "axb",
    r"\d",
    "dx",
    "año",
    "a\nb",
    "",
    "50+",
    "(a)",
    "abe",
    "cde",
    "_",
    "A-b",
]


@pytest.mark.integration
@pytest.mark.django_db
@pytest.mark.parametrize("pattern", BOTH)
def test_postgresql_reads_what_it_is_given_as_re2_does(pattern):
    translated = for_postgresql(pattern)
    if translated is None:
        return
    ours = [compiled(pattern).search(text) is not None for text in TEXTS]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT t ~ %s FROM unnest(%s::text[]) WITH ORDINALITY u(t, n) ORDER BY n", [translated, TEXTS]
        )
        assert [row[0] for row in cursor.fetchall()] == ours


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|a)*b", "a{1,50}", r"(x)\1", "(?i)a", "a**", "a|b", r"\bword", "[[:alpha:]]"]
)
def test_postgresql_is_given_nothing_that_could_take_long_or_differ(pattern):
    assert for_postgresql(pattern) is None


@pytest.mark.parametrize("pattern", ["(", "[a", "*", r"(x)\1", "(?=a)", "a{2000}{2000}", "x" * 600, "a\x00"])
def test_what_is_no_pattern_is_refused(pattern):
    with pytest.raises(BadRequestData):
        compiled(pattern)


def test_no_pattern_takes_long():
    start = time.perf_counter()
    assert compiled("(a+)+$").search("a" * 50_000 + "b") is None
    assert time.perf_counter() - start < 1
