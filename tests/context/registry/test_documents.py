"""Registrations of any shape: refused with a reason, or kept, shown and matched; never an accident."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amb247.context.documents.registration import (
    MEMBERS,
    apply_fragment,
    duration_s,
    parse_registration,
    represent_registration,
)
from amb247.context.domain.merging import AUXILIARY, EQUAL, PROXIED, Part, entity_of, merged
from amb247.context.domain.registered import Index, Wanted, compile_registration, overlaps
from amb247.context.jsonld.context import CORE
from amb247.context.ngsi_errors import NgsiError
from amb247.context.querying.query import Selector, TypeExpr

pytestmark = pytest.mark.unit

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WORDS = st.sampled_from(
    [
        "urn:x:1", "Bus", "speed", "http://x.org", "exclusive", "redirect", "inclusive", "federationOps", "P1D",
        "2030-01-01T00:00:00Z", "urn:ngsi-ld:null", "", "(", "^urn", "/a/b", "@none", "\x00", "ñ",
    ]
)  # fmt: skip
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), WORDS, st.text(max_size=5))
KEYS = st.one_of(
    WORDS,
    st.sampled_from(
        [*MEMBERS, "entities", "propertyNames", "relationshipNames", "idPattern", "key", "value", "startAt"]
    ),
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)
INFO = st.fixed_dictionaries(
    {
        "entities": st.lists(
            st.fixed_dictionaries({"type": WORDS}, optional={"id": WORDS, "idPattern": WORDS}), max_size=2
        )
    },
    optional={"propertyNames": st.lists(WORDS, max_size=2)},
)
DOCUMENT = st.builds(
    lambda base, more: {**base, **more},
    st.fixed_dictionaries(
        {
            "type": st.just("ContextSourceRegistration"),
            "endpoint": st.just("http://x.org"),
            "information": st.one_of(st.lists(INFO, max_size=2), JSON),
        }
    ),
    st.dictionaries(st.sampled_from([*MEMBERS, "other"]), JSON, max_size=4),
)


@settings(max_examples=100, deadline=None)
@given(DOCUMENT, DOCUMENT)
def test_any_document(one, other):
    kept = []
    for raw in (one, other):
        with contextlib.suppress(NgsiError):
            kept.append(parse_registration(raw, CORE, now=NOW) | {"id": "urn:x:r"})
    for document in kept:
        shown = represent_registration(document, CORE)
        assert parse_registration(shown, CORE, now=NOW) == document
        ready = compile_registration(document)
        index = Index([ready])
        assert len(index.for_entity("urn:x:1", ["Bus"])) in {0, 1}
        assert len(index.for_query(Wanted(selectors=(Selector(types=TypeExpr((("Bus",),))),)))) in {0, 1}
        with contextlib.suppress(NgsiError):
            apply_fragment(document, other, CORE, now=NOW)
    if len(kept) == 2:
        first, second = map(compile_registration, kept)
        assert overlaps(first, second) == overlaps(second, first)


def entity(value, observed=None, modified=None, **more):
    speed = {"type": "Property", "value": value, **more}
    if observed is not None:
        speed["observedAt"] = f"2026-01-{observed:02}T00:00:00Z"
    if modified is not None:
        speed["modifiedAt"] = f"2026-02-{modified:02}T00:00:00Z"
    raw = {"id": "urn:x:1", "type": "Bus", "speed": speed, "createdAt": "2025-01-01T00:00:00Z"}
    return entity_of(raw, CORE, now=NOW)


@pytest.mark.parametrize(
    ("parts", "value"),
    [
        ([Part(entity(1, observed=1)), Part(entity(2, observed=2))], 2),
        ([Part(entity(1, observed=2)), Part(entity(2, observed=1))], 1),
        ([Part(entity(1, modified=1)), Part(entity(2, modified=2))], 2),
        ([Part(entity(1, observed=3, modified=1)), Part(entity(2, observed=1, modified=9))], 1),
        ([Part(entity(1, observed=3, modified=1)), Part(entity(2, modified=9))], 2),
        ([Part(entity(1)), Part(entity(2), is_local=True)], 2),
        ([Part(entity(1, observed=1), PROXIED), Part(entity(2, observed=2), EQUAL)], 1),
        ([Part(entity(1, observed=9), AUXILIARY), Part(entity(2, observed=2), EQUAL)], 2),
        ([Part(entity(1, observed=1), AUXILIARY), Part(entity(2, observed=2), AUXILIARY)], 1),
    ],
)
def test_whose_word_counts(parts, value):
    assert merged(parts).attributes["speed"]["value"] == value


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("PT5S", 5), ("P1D", 86_400), ("PT1H30M", 5_400), ("P1W", 604_800), ("PT0.5S", 0.5)],
)
def test_durations(text, seconds):
    assert duration_s(text) == seconds
