"""SQL and Python say the same of any entity and any query."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import shapely.geometry
from context.querying.world import START, put
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amb247.context.domain.queries.find import count, find, get_many
from amb247.context.querying.compile import IndexKey, plan
from amb247.context.querying.matching import matcher
from amb247.context.querying.query import (
    AllOf,
    AnyOf,
    Compare,
    Exists,
    GeoQuery,
    Linked,
    Matches,
    Path,
    Query,
    Range,
    Restriction,
    ScopeExpr,
    ScopePattern,
    TypeExpr,
    Value,
)
from amb247.context.stored import Stored

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

NAMES = ("a", "b", "https://example.org/v#c'd")
SUBS = ("s", "t")
TEXTS = (
    "red",
    "blue",
    "",
    'q"uo\\te',
    "ñandú",
    "2026-11-01T12:00:00Z",
    "2026-11-01",
    "12:00:00Z",
    "true",
    "5",
)
MOMENTS = (
    "2026-11-01T12:00:00.500Z",
    "2026-11-01T12:00:00.000001Z",
    "2026-11-01T12:00:00.50025Z",
    "2026-11-01T12:00:00.500251Z",
    "2026-11-01T12:00:00Z",
    "2026-11-01T12:00:00.000Z",
    "2026-11-01T07:00:00-05:00",
    "2026-11-01T12:00:00.5Z",
    "2026-11-01T12:00:00,25Z",
    "2026-11-01T12:00:00",
    "2026-02-30T12:00:00Z",
    "2024-02-29T23:59:59.999999999Z",
    "2026-11-02",
    "12:30:00",
    "12:30:00.5Z",
)
IDS = tuple(f"urn:ngsi-ld:Thing:{n}" for n in range(5))
numbers = st.sampled_from((0, 1, 5, -3, 5.0, 2.5, 1e22, 10**15))
texts = st.sampled_from((*TEXTS, *MOMENTS))
scalars = st.one_of(numbers, st.booleans(), texts, st.none())
typed = st.builds(lambda v: {"@type": "DateTime", "@value": v}, st.sampled_from(MOMENTS))
leaves = st.one_of(scalars, typed)
compound = st.dictionaries(
    st.sampled_from(("m", "n", "en")), st.one_of(leaves, st.lists(leaves, max_size=2)), max_size=3
)
values = st.one_of(
    leaves,
    st.lists(st.one_of(leaves, compound), max_size=3),
    compound,
    st.dictionaries(st.sampled_from(("m", "n")), compound),
)
stamps = st.sampled_from(
    ("2026-11-01T12:00:00.000Z", "2026-11-01T12:00:00.000001Z", "2026-11-02T00:00:00.123Z")
)
languages = st.dictionaries(
    st.sampled_from(("en", "es", "@none")),
    st.one_of(st.sampled_from(TEXTS), st.lists(st.sampled_from(TEXTS), max_size=2)),
)
shapes = st.sampled_from(
    (
        {"type": "Point", "coordinates": [-73.12, 7.12]},
        {"type": "Point", "coordinates": [-73.121, 7.12]},
        {"type": "Point", "coordinates": [-73.2, 7.2]},
        {"type": "LineString", "coordinates": [[-73.13, 7.12], [-73.11, 7.12]]},
        {
            "type": "Polygon",
            "coordinates": [[[-73.13, 7.11], [-73.11, 7.11], [-73.11, 7.13], [-73.13, 7.13], [-73.13, 7.11]]],
        },
        {"type": "MultiPoint", "coordinates": [[-73.12, 7.12], [-73.2, 7.2]]},
        {
            "type": "Polygon",
            "coordinates": [
                [[-73.125, 7.11], [-73.1, 7.11], [-73.1, 7.13], [-73.125, 7.13], [-73.125, 7.11]]
            ],
        },
    )
)
KINDS = {
    "Property": ("value", values.filter(lambda v: v is not None)),
    "Relationship": (
        "object",
        st.one_of(st.sampled_from(IDS), st.lists(st.sampled_from(IDS), min_size=1, max_size=2)),
    ),
    "LanguageProperty": ("languageMap", languages),
    "VocabProperty": (
        "vocab",
        st.one_of(st.sampled_from(("red", "https://example.org/red")), st.lists(st.just("red"), max_size=2)),
    ),
    "ListProperty": ("valueList", st.lists(values, max_size=2)),
    "ListRelationship": (
        "objectList",
        st.lists(st.builds(lambda i: {"object": i}, st.sampled_from(IDS)), max_size=2),
    ),
    "JsonProperty": ("json", values),
}


def instances(depth=1):
    def build(kind):
        key, content = KINDS[kind]
        inner = {
            "observedAt": stamps,
            "modifiedAt": stamps,
            "createdAt": stamps,
            "unitCode": st.sampled_from(("CEL", "KMH")),
            "objectType": st.sampled_from(("red", "https://example.org/red")),
        }
        if depth:
            inner |= {name: attributes(depth - 1) for name in SUBS}
        return st.fixed_dictionaries({"type": st.just(kind), key: content}, optional=inner)

    return st.sampled_from(tuple(KINDS)).flatmap(build)


def attributes(depth=1):
    several = st.lists(instances(depth), min_size=2, max_size=2).map(
        lambda found: [found[0], {**found[1], "datasetId": "urn:d:1"}]
    )
    return st.one_of(instances(depth), instances(depth), several)


places = st.builds(lambda shape: {"type": "GeoProperty", "value": shape}, shapes)
entities = st.fixed_dictionaries(
    {
        "types": st.lists(st.sampled_from(("A", "B", "C")), min_size=1, max_size=2, unique=True),
        "scope": st.lists(
            st.sampled_from(("/a", "/a/b", "/a/b/c", "/x/b", "/a/x/c")), max_size=2, unique=True
        ),
        "created_at": st.sampled_from((START, START + timedelta(microseconds=1), START - timedelta(days=1))),
        "expires_at": st.sampled_from(
            (None, None, None, datetime(2020, 1, 1, tzinfo=UTC), datetime(2120, 1, 1, tzinfo=UTC))
        ),
    },
    optional={
        NAMES[0]: attributes(),
        NAMES[1]: attributes(),
        NAMES[2]: attributes(),
        "location": st.one_of(places, places, st.lists(places, min_size=2, max_size=2)),
        "area": places,
    },
)
worlds = st.lists(entities, min_size=1, max_size=5)


def value_of(text):
    from context.querying.world import Names

    from amb247.context.querying.qlanguage import _Parser

    return _Parser("", Names(), frozenset()).literal(text, expand=False, is_quoted=True)


literals = st.one_of(
    numbers.map(lambda n: Value("number", n)),
    st.booleans().map(lambda b: Value("boolean", b)),
    st.sampled_from((*TEXTS, *MOMENTS, *IDS, "https://example.org/red")).map(value_of),
    st.just(Value("text", "https://example.org/red", "https://example.org/red")),
    st.just(Value("text", "https://uri.etsi.org/ngsi-ld/default-context/red", "red")),
)
paths = st.one_of(
    st.builds(
        Path,
        st.sampled_from(NAMES),
        st.lists(st.sampled_from(SUBS), max_size=2).map(tuple),
        st.sampled_from(((), (), ("m",), ("m", "n"), ("en",), ("*",))),
    ),
    st.builds(
        lambda name, subs, last: Path(name, (*subs, last)),
        st.sampled_from(NAMES),
        st.lists(st.sampled_from(SUBS), max_size=1),
        st.sampled_from(
            ("observedAt", "createdAt", "modifiedAt", "unitCode", "datasetId", "objectType", "value")
        ),
    ),
    st.sampled_from(("createdAt", "modifiedAt", "expiresAt", "id", "scope")).map(Path),
)


def ordered_range(pair):
    low, high = sorted(pair, key=lambda one: one.value)
    return Range(low, high)


ranges = st.one_of(
    st.tuples(numbers, numbers).map(lambda p: ordered_range([Value("number", n) for n in p])),
    st.sampled_from(
        (("red", "z"), ("2026-11-01T00:00:00Z", "2026-11-01T12:00:00Z"), ("12:00:00", "13:00:00"))
    ).map(lambda p: ordered_range([value_of(t) for t in p])),
)
patterns = st.sampled_from(
    (
        "red",
        "^r.d$",
        "(red|blue)",
        "[a-f]+",
        "e*d",
        "(?i)RED",
        "(?i)s",
        "(?i)k$",
        "(?i)Ñ",
        r"\d{4}-",
        "(a|b)+c",
        r"\w\w",
        "^$",
        "ñ",
        ".",
    )
)
comparisons = st.one_of(
    st.builds(
        lambda path, op, found: Compare(path, op, tuple(found)),
        paths,
        st.sampled_from(("==", "!=")),
        st.one_of(st.lists(literals, min_size=1, max_size=3), ranges.map(lambda r: [r])),
    ),
    st.builds(
        lambda path, op, found: Compare(path, op, (found,)),
        paths,
        st.sampled_from(("<", "<=", ">", ">=")),
        literals.filter(lambda v: v.kind != "boolean"),
    ),
)
terms = st.one_of(
    comparisons,
    comparisons,
    st.builds(Exists, paths),
    st.builds(Matches, paths, patterns, st.booleans()),
)
linked = st.builds(Linked, st.sampled_from(NAMES), st.sampled_from(((), ("A",), ("A", "B"))), terms)
expressions = st.recursive(
    st.one_of(terms, terms, linked),
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(lambda p: AllOf(tuple(p))),
        st.lists(inner, min_size=2, max_size=3).map(lambda p: AnyOf(tuple(p))),
    ),
    max_leaves=4,
)
geos = st.builds(
    lambda relation, shape, name, metres, nearest: GeoQuery(
        relation,
        shapely.geometry.shape(shape),
        name,
        max_distance=metres if relation == "near" and nearest else None,
        min_distance=metres if relation == "near" and not nearest else None,
    ),
    st.sampled_from(("near", "near", "within", "contains", "intersects", "equals", "disjoint", "overlaps")),
    shapes,
    st.sampled_from(("location", "location", "area", "a")),
    st.sampled_from((10.0, 112.0, 20_000.0)),
    st.booleans(),
)
levels = st.lists(st.sampled_from(("a", "b", "c", "+")), min_size=1, max_size=3).map(tuple)
scopes = st.builds(
    ScopeExpr,
    st.lists(
        st.lists(st.builds(ScopePattern, levels, st.booleans()), min_size=1, max_size=2).map(tuple),
        min_size=1,
        max_size=2,
    ).map(tuple),
)
types = st.sampled_from(
    (TypeExpr((("A",),)), TypeExpr((("A", "B"), ("C",))), TypeExpr(((),)), TypeExpr((("A",), ("B",))))
)
restrictions = st.builds(
    Restriction,
    st.sampled_from((None, frozenset({"A"}))),
    st.sampled_from((None, (shapely.geometry.box(-73.13, 7.11, -73.119, 7.13),), ())),
)
queries = st.builds(
    Query,
    ids=st.sampled_from(((), (), (), IDS[:2])),
    id_pattern=st.sampled_from((None, None, None, "Thing:[12]$", "(?i)THING")),
    types=st.one_of(st.none(), types),
    attrs=st.sampled_from(((), (), ("a",), ("a", "location"))),
    q=st.one_of(st.none(), expressions),
    geo=st.one_of(st.none(), st.none(), geos),
    scope=st.one_of(st.none(), st.none(), scopes),
    limit=st.just(100),
    restriction=st.one_of(st.none(), st.none(), restrictions),
)


def facts(world):
    """Paths that lead somewhere in one of the entities, each with a scalar that is found there."""
    found = []

    def scalar(path, value):
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict) and "object" in one:
                scalar(path, one["object"])
            elif isinstance(one, dict) and "@value" in one:
                scalar(path, one["@value"])
            elif isinstance(one, dict):
                for member, inner in one.items():
                    scalar(Path(path.attribute, path.subs, (*path.members, member)), inner)
            elif one is not None and not isinstance(one, list):
                found.append((path, one))

    def look(path, given):
        for instance in given if isinstance(given, list) else [given]:
            for key, value in instance.items():
                if key in ("observedAt", "createdAt", "modifiedAt", "unitCode", "datasetId", "objectType"):
                    scalar(Path(path.attribute, (*path.subs, key)), value)
                elif key in SUBS:
                    look(Path(path.attribute, (*path.subs, key)), value)
                elif key in ("value", "object", "languageMap", "vocab", "valueList", "objectList", "json"):
                    scalar(path, value)
                    if key == "languageMap":
                        scalar(path, list(value.values()))

    for described in world:
        for name in NAMES:
            if name in described:
                look(Path(name), described[name])
    return found


def literal_of(scalar):
    if isinstance(scalar, bool):
        return Value("boolean", scalar)
    if isinstance(scalar, (int, float)):
        return Value("number", scalar)
    literal = value_of(scalar)
    return Value("text", scalar, "red") if scalar == "red" else literal


@st.composite
def likely(draw):
    """A world and a term about something that is in it."""
    world = draw(worlds)
    known = facts(world)
    if not known:
        return world, draw(terms)
    path, scalar = draw(st.sampled_from(known))
    value = literal_of(scalar)
    sign = draw(st.sampled_from(("==", "==", "!=", "<", "<=", ">", ">=", "~=", "!~=", "range", "exists")))
    if sign == "exists":
        return world, Exists(path)
    if sign in ("~=", "!~="):
        pattern = draw(patterns)
        if isinstance(scalar, str) and scalar.isalnum():
            pattern = draw(st.sampled_from((pattern, scalar, f"^{scalar}$", f"(?i){scalar.upper()}")))
        return world, Matches(path, pattern, sign == "!~=")
    if sign in ("==", "!="):
        return world, Compare(
            path, sign, tuple(draw(st.permutations([value, draw(literals)]))[: draw(st.integers(1, 2))])
        )
    if value.kind == "boolean":
        return world, Compare(path, "==", (value,))
    if sign == "range":
        other = draw(literals.filter(lambda one: one.kind == value.kind))
        return world, Compare(path, draw(st.sampled_from(("==", "!="))), (ordered_range([value, other]),))
    return world, Compare(path, sign, (value,))


def store(world):
    known = {}
    for entity_id, described in zip(IDS, world, strict=False):
        about = {key: described[key] for key in ("types", "scope", "created_at", "expires_at")}
        given_attributes = {key: value for key, value in described.items() if key not in about}
        put(entity_id, modified_at=START, **about, **given_attributes)
        known[entity_id] = Stored(
            entity_id,
            about["types"],
            about["scope"],
            given_attributes,
            about["created_at"],
            START,
            about["expires_at"],
        )
    return known


INDEXES = [IndexKey(name, kind) for name in NAMES for kind in ("text", "number")]


class Undo(Exception):
    pass


def check(world, query):
    try:
        with transaction.atomic():
            known = store(world)
            fits = matcher(query, lookup=lambda ids: get_many(ids, query.restriction))
            expected = sorted(entity_id for entity_id, entity in known.items() if fits(entity))
            assert [one.id for one in find(query)] == expected
            assert count(query) == len(expected)
            condition = plan(query, indexed=INDEXES)
            with connection.cursor() as cursor:
                cursor.execute(
                    f"SELECT id FROM context_entity e WHERE {condition.possible.text}",
                    condition.possible.params,
                )
                found = {row[0] for row in cursor.fetchall()}
            assert found == set(expected) if condition.is_exact else found >= set(expected)
            raise Undo
    except Undo:
        pass


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(likely())
def test_terms_about_what_is_there_mean_the_same_in_sql_and_python(case):
    world, term = case
    check(world, Query(q=term, limit=100))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds, st.builds(lambda q: Query(q=q, limit=100), expressions))
def test_expressions_mean_the_same_in_sql_and_python(world, query):
    check(world, query)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds, queries)
def test_queries_mean_the_same_in_sql_and_python(world, query):
    check(world, query)
