"""Hypothesis strategies for NGSI-LD entities of every attribute kind, and for hostile JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from hypothesis import strategies as st

NULL = "urn:ngsi-ld:null"
letters = st.characters(categories=["Lu", "Ll"], max_codepoint=0x24F)
names = st.builds(
    lambda first, rest: first + rest,
    letters,
    st.text(st.characters(categories=["Lu", "Ll", "Nd"], max_codepoint=0x24F) | st.just("_"), max_size=8),
).filter(lambda name: name not in RESERVED)
RESERVED = {
    *(
        "id",
        "type",
        "scope",
        "value",
        "object",
        "languageMap",
        "vocab",
        "valueList",
        "objectList",
        "json",
        "lang",
    ),
    *(
        "datasetId",
        "unitCode",
        "observedAt",
        "expiresAt",
        "createdAt",
        "modifiedAt",
        "deletedAt",
        "instanceId",
    ),
    *("objectType", "valueType", "entity", "entityList", "dataset", "ngsi", "geojson"),
}
texts = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=20).filter(
    lambda text: text != NULL
)
uris = st.builds(
    lambda kind, end: f"urn:ngsi-ld:{kind}:{end}",
    st.sampled_from(["Vehicle", "Person", "Device"]),
    st.text("abcXYZ0123-_.", min_size=1, max_size=8),
)
numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.booleans() | numbers | texts
compounds = st.recursive(
    scalars | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
).filter(lambda value: value is not None)
times = st.datetimes(min_value=datetime(1970, 1, 2)).map(
    lambda at: at.isoformat(timespec="milliseconds").removesuffix(".000") + "Z"
)
positions = st.tuples(st.floats(-180, 180), st.floats(-90, 90)).map(list)


def _ring(positions: list[list[float]]) -> list[list[float]]:
    return [*positions, positions[0]]


rings = st.lists(positions, min_size=3, max_size=5).map(_ring)
lines = st.lists(positions, min_size=2, max_size=4)
geometries = st.one_of(
    positions.map(lambda c: {"type": "Point", "coordinates": c}),
    st.lists(positions, min_size=1, max_size=3).map(lambda c: {"type": "MultiPoint", "coordinates": c}),
    lines.map(lambda c: {"type": "LineString", "coordinates": c}),
    st.lists(lines, min_size=1, max_size=2).map(lambda c: {"type": "MultiLineString", "coordinates": c}),
    st.lists(rings, min_size=1, max_size=2).map(lambda c: {"type": "Polygon", "coordinates": c}),
    st.lists(st.lists(rings, min_size=1, max_size=2), min_size=1, max_size=2).map(
        lambda c: {"type": "MultiPolygon", "coordinates": c}
    ),
)
languages = st.sampled_from(["es", "en", "fr-CH", "de", "@none"])
targets = uris | st.lists(uris, min_size=1, max_size=3)
words = names | st.lists(names, min_size=1, max_size=3)

values: dict[str, tuple[str, Any]] = {
    "Property": ("value", compounds),
    "GeoProperty": ("value", geometries),
    "Relationship": ("object", targets),
    "LanguageProperty": (
        "languageMap",
        st.dictionaries(languages, texts | st.lists(texts, min_size=1, max_size=2), min_size=1, max_size=3),
    ),
    "VocabProperty": ("vocab", words),
    "ListProperty": ("valueList", st.lists(compounds, max_size=3)),
    "ListRelationship": (
        "objectList",
        st.lists(uris.map(lambda one: {"object": one}), min_size=1, max_size=3),
    ),
    "JsonProperty": ("json", compounds.filter(lambda value: isinstance(value, (dict, list)))),
}


@st.composite
def instances(draw: Any, *, depth: int = 1) -> dict[str, Any]:
    """One normalized instance of any kind."""
    kind = draw(st.sampled_from(sorted(values)))
    key, strategy = values[kind]
    instance = {"type": kind, key: draw(strategy)}
    if draw(st.booleans()):
        instance["observedAt"] = draw(times)
    if kind in ("Property", "ListProperty") and draw(st.booleans()):
        instance["unitCode"] = draw(st.sampled_from(["KMH", "CEL", "P1"]))
    if kind in ("Relationship", "ListRelationship") and draw(st.booleans()):
        instance["objectType"] = draw(words)
    if kind in ("Property", "ListProperty") and draw(st.booleans()):
        instance["valueType"] = draw(names)
    if draw(st.integers(0, 4)) == 0:
        instance["expiresAt"] = draw(times)
    if depth and draw(st.integers(0, 2)) == 0:
        instance.update(draw(st.dictionaries(names, attributes(depth=depth - 1), max_size=2)))
    return instance


@st.composite
def attributes(draw: Any, *, depth: int = 1) -> Any:
    """An instance, or several told apart by datasetId."""
    if draw(st.integers(0, 4)):
        return draw(instances(depth=depth))
    several = draw(st.lists(instances(depth=depth), min_size=2, max_size=3))
    for number, one in enumerate(several):
        if number or draw(st.booleans()):
            one["datasetId"] = f"urn:ngsi-ld:dataset:{number}"
    return several


@st.composite
def entities(draw: Any) -> dict[str, Any]:
    """A whole normalized entity."""
    types = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    entity: dict[str, Any] = {
        "id": draw(uris),
        "type": types[0] if len(types) == 1 else types,
    }
    scopes = draw(st.lists(names.map(lambda name: f"/{name}"), max_size=2, unique=True))
    if scopes:
        entity["scope"] = scopes[0] if len(scopes) == 1 else scopes
    if draw(st.integers(0, 4)) == 0:
        entity["expiresAt"] = draw(times)
    return entity | draw(st.dictionaries(names, attributes(), max_size=4))


hostile = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=10)
    | st.sampled_from(
        [
            NULL,
            "Property",
            "Relationship",
            "GeoProperty",
            "LanguageProperty",
            "Point",
            "urn:a:b",
            "@none",
            "2020-01-01",
        ]
    ),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "id",
                    "type",
                    "@id",
                    "@type",
                    "@value",
                    "@context",
                    "scope",
                    "value",
                    "object",
                    "languageMap",
                    "vocab",
                    "valueList",
                    "objectList",
                    "json",
                    "datasetId",
                    "observedAt",
                    "unitCode",
                    "objectType",
                    "coordinates",
                    "speed",
                    "a b",
                    "x:y",
                    "https://uri.etsi.org/ngsi-ld/hasValue",
                    "dataset",
                    "expiresAt",
                    "createdAt",
                ]
            )
            | st.text(max_size=5),
            inner,
            max_size=6,
        )
    ),
    max_leaves=25,
)
