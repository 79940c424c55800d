from __future__ import annotations

import pytest

from amb247.context.jsonld.context import CORE
from amb247.context.jsonld.core import CORE_URL
from amb247.context.jsonld.resolve import MAX_DEPTH, is_single, resolve
from amb247.context.ngsi_errors import BadRequestData, LdContextNotAvailable

EX = "https://example.org/vocab#"
A, B = "https://example.org/a.jsonld", "https://example.org/b.jsonld"


def inline(value, **pages):
    def fetch(url):
        try:
            return pages[{A: "a", B: "b"}[url]]
        except KeyError:
            raise LdContextNotAvailable(url) from None

    return resolve(value, fetch=fetch, link="https://here.example/x")


def test_core_alone():
    assert inline(None) is CORE
    assert inline(CORE_URL) is CORE
    assert inline([CORE_URL, "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.3.jsonld"]) is CORE
    assert CORE.as_jsonld() == CORE_URL


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("speed", "speed"),
        ("location", "location"),
        ("https://uri.etsi.org/ngsi-ld/default-context/speed", "speed"),
        ("https://uri.etsi.org/ngsi-ld/location", "location"),
        ("ngsi-ld:location", "location"),
        ("http://purl.org/dc/terms/title", "title"),
        ("https://smartdatamodels.org/dataModel.Streetlighting/powerState", "powerState"),
        ("https://smartdatamodels.org/name", "name"),
        (
            "https://smartdatamodels.org/dataModel.X/nobodyKnowsThis",
            "https://smartdatamodels.org/dataModel.X/nobodyKnowsThis",
        ),
        ("https://example.org/vocab#x", "https://example.org/vocab#x"),
        (
            "https://uri.etsi.org/ngsi-ld/default-context/value",
            "https://uri.etsi.org/ngsi-ld/default-context/value",
        ),
        ("@id", "id"),
        ("type", "type"),
    ],
)
def test_core_expands(given, name):
    assert CORE.expand(given) == name


def test_core_compacts_to_short_names_and_iris():
    assert [
        CORE.compact(name) for name in ("speed", "location", EX + "x", "https://uri.etsi.org/ngsi-ld/a/b")
    ] == [
        "speed",
        "location",
        EX + "x",
        "https://uri.etsi.org/ngsi-ld/a/b",
    ]


@pytest.mark.parametrize(
    "bad", ["", "a b", "1a", "a<b", "a\x00", "-a", "a-b", "<script>", "a/b", "x" * 600, "a:b c", "a:"]
)
def test_bad_names_are_refused(bad):
    with pytest.raises(BadRequestData):
        CORE.expand(bad)


def test_terms_prefixes_and_vocabulary():
    context = inline(
        {
            "ex": EX,
            "speed": "ex:speed",
            "owner": {"@id": EX + "owner", "@type": "@id"},
            "alias": "speed",
            "nothing": None,
        }
    )
    assert [context.expand(term) for term in ("speed", "owner", "alias", "ex:other", "nothing")] == [
        EX + "speed",
        EX + "owner",
        EX + "speed",
        EX + "other",
        "nothing",
    ]
    assert context.compact(EX + "speed") == "alias"
    assert context.compact(EX + "owner") == "owner"
    assert context.compact(EX + "other") == "ex:other"
    assert context.compact("speed") == "https://uri.etsi.org/ngsi-ld/default-context/speed"
    assert context.as_jsonld()[1] == CORE_URL


def test_the_core_cannot_be_changed():
    context = inline({"location": EX + "place", "type": EX + "type", "Property": EX + "P", "@vocab": EX})
    assert context.expand("location") == "location"
    assert context.expand("type") == "type"
    assert context.expand("unknown") == "unknown"
    assert context.expand("Property") == "Property"


def test_vocabulary_holds_for_terms_defined_under_it():
    context = inline({"@vocab": EX, "speed": {"@type": "@id"}, "slow": "speed"})
    assert context.expand("speed") == EX + "speed"
    assert context.expand("slow") == EX + "speed"


def test_later_contexts_replace_earlier_ones_and_null_clears():
    assert inline([{"a": EX + "1"}, {"a": EX + "2"}]).expand("a") == EX + "2"
    assert inline([{"a": EX + "1"}, None, {"b": EX + "2"}]).expand("a") == "a"


def test_remote_contexts_nest_with_relative_addresses():
    context = inline(A, a={"@context": ["b.jsonld", {"speed": "ex:speed"}]}, b={"@context": {"ex": EX}})
    assert context.expand("speed") == EX + "speed"
    assert context.source == A
    assert context.as_jsonld() == [A, CORE_URL]


def test_one_url_is_its_own_link():
    assert resolve(A, fetch=lambda _url: {"@context": {}}).link == A
    assert resolve([A, CORE_URL], fetch=lambda _url: {"@context": {"a": EX}}).link == A
    assert is_single([A, CORE_URL])
    assert is_single(None)
    assert not is_single([A, B])
    assert not is_single({"a": EX})


def test_loops_and_depth_are_refused():
    with pytest.raises(LdContextNotAvailable, match="itself"):
        inline(A, a={"@context": B}, b={"@context": A})
    with pytest.raises(LdContextNotAvailable):
        resolve(
            "https://example.org/0",
            fetch=lambda url: {"@context": f"https://example.org/{int(url.rpartition('/')[2]) + 1}"},
        )
    with pytest.raises(BadRequestData):
        inline({"a": "b:x", "b": "a:y"})
    deep = {}
    for _ in range(MAX_DEPTH * 4):
        deep = [deep]
    with pytest.raises(BadRequestData):
        inline(deep)


@pytest.mark.parametrize(
    "bad",
    [
        5,
        "not a url",
        "ftp://example.org/x",
        {"a": 5},
        {"a": {"@id": 5}},
        {"a": {"@id": EX, "@context": {}}},
        {"a": {"@reverse": EX}},
        {"@import": A},
        {"@unknown": 1},
        {"@vocab": 5},
        {"": EX},
        {f"t{n}": EX for n in range(20_001)},
    ],
)
def test_bad_contexts_are_refused(bad):
    with pytest.raises(BadRequestData):
        inline(bad)


@pytest.mark.parametrize("page", [None, [], {"no": "context"}, {"@context": 5}, {"@context": {"a": 5}}])
def test_bad_remote_contexts_are_not_available(page):
    with pytest.raises(LdContextNotAvailable):
        inline(A, a=page)


def test_known_names_are_remembered_only_up_to_a_number(monkeypatch):
    monkeypatch.setattr("amb247.context.jsonld.context.MAX_KEPT", 100)
    context = inline({"a": EX})
    for number in range(1_000):
        context.expand(f"name{number}")
        context.compact(f"name{number}")
    assert len(context._expanded) <= 101
    assert len(context._compacted) <= 101
