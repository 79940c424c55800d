"""Examples of each clause of the query language, found in the database; `test_agreement` holds Python's matching to the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import shapely.geometry
from context.querying.world import START, Names, put
from django.db import connection, transaction

from amb247.context.domain.queries import find as finding
from amb247.context.domain.queries import reading
from amb247.context.domain.queries.find import count, find, get, get_many, where
from amb247.context.ngsi_errors import BadRequestData, TooComplexQuery
from amb247.context.querying import syntax
from amb247.context.querying.matching import matcher, member_matcher, selector_matcher
from amb247.context.querying.query import Query, Restriction, Selector

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
N = Names()


def prop(value, **more):
    return {"type": "Property", "value": value, **more}


def place(*coordinates, kind="Point"):
    found = list(coordinates) if kind == "Point" else coordinates[0]
    return {"type": "GeoProperty", "value": {"type": kind, "coordinates": found}}


def found(query):
    names = [one.id.rpartition(":")[2] for one in find(query)]
    assert count(query) == len(names) or query.limit < count(query)
    return " ".join(names)


def by_q(text, **more):
    return found(Query(q=syntax.parse_q(text, N, **more), limit=100))


# --- q -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def things():
    put("urn:t:num", a=prop(20), sub=prop(1, rawdata=prop({"air": {"pm": 40, "PM20": 85}, "city": "Berlin"})))
    put("urn:t:text", a=prop("red"), unit=prop(5, unitCode="CEL", observedAt="2017-12-24T12:00:00.500Z"))
    put("urn:t:list", a=prop(["blue", "red", 7]))
    put("urn:t:flag", a=prop(True))
    put("urn:t:typed", a=prop({"@type": "DateTime", "@value": "2017-12-24T07:00:00-05:00"}))
    put("urn:t:link", a={"type": "Relationship", "object": "urn:ngsi-ld:P:1"})
    put("urn:t:links", a={"type": "Relationship", "object": ["urn:ngsi-ld:P:1", "urn:ngsi-ld:P:2"]})
    put("urn:t:lang", a={"type": "LanguageProperty", "languageMap": {"fr": "rouge", "en": ["red", "cat"]}})
    put("urn:t:vocab", a={"type": "VocabProperty", "vocab": "https://example.org/red"})
    put("urn:t:several", a=[prop(1), prop(30, datasetId="urn:d:2")])
    put("urn:t:json", a={"type": "JsonProperty", "json": {"id": "85a6", "value": "Overstay", "n": 3}})
    put("urn:t:listp", a={"type": "ListProperty", "valueList": [1, "red"]})
    put("urn:t:listr", a={"type": "ListRelationship", "objectList": [{"object": "urn:ngsi-ld:P:2"}]})
    put("urn:t:date", a=prop("2017-12-24"))
    put("urn:t:none", b=prop(1))


ALL = "date flag json lang link links list listp listr num several text typed vocab"


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        # existence
        ("a", ALL),
        ("b", "none"),
        ("sub.rawdata", "num"),
        ("sub.rawdata[air.pm]", "num"),
        ("sub.rawdata[air.nothing]", ""),
        ("unit.unitCode", "text"),
        ("a[en]", "lang"),
        ("a[de]", ""),
        ("a[*]", "lang"),
        ("a.datasetId", "several"),
        # equality: numbers, texts and flags are told apart
        ("a==20", "num"),
        ("a==20.0", "num"),
        ('a=="20"', ""),
        ("a==true", "flag"),
        ('a=="true"', ""),
        ("a==false", ""),
        ('a=="red"', "lang list listp text"),
        ('a=="RED"', ""),
        ("a==7", "list"),
        ('a=="blue","rouge",20', "lang list num"),
        ("a==30", "several"),
        ("a==1", "listp several"),
        ("a==10..20", "num"),
        ("a==10..30", "num several"),
        ('a=="a".."z"', "lang list listp text"),
        # unequal: what lacks the attribute does not match, what is of another kind does
        ("a!=20", ALL.replace(" num", "")),
        ('a!="red"', "date flag json link links listr num several typed vocab"),
        ("a!=1", ALL.replace("listp ", "")),  # another instance of `several` is not 1
        ("a!=0..100", "date flag json lang link links listr text typed vocab"),
        ('a!="red",20', "date flag json link links listr several typed vocab"),
        # order
        ("a>20", "several"),
        ("a>=20", "num several"),
        ("a<7", "listp several"),
        ("a<=7", "list listp several"),
        ('a>"rec"', "lang list listp text"),
        ('a<"c"', "date list typed"),
        # moments: typed or not, in whatever zone, with quotes or without
        ("a==2017-12-24T12:00:00Z", "typed"),
        ('a=="2017-12-24T12:00:00.000Z"', "typed"),
        ("a<2017-12-24T12:00:01Z", "typed"),
        ("a>2017-12-24T12:00:00Z", ""),
        ("a==2017-12-24T00:00:00Z..2017-12-25T00:00:00Z", "typed"),
        ("a==2017-12-24", "date"),
        ("a<2017-12-25", "date"),
        ("unit.observedAt>=2017-12-24T12:00:00.5Z", "text"),
        ("unit.observedAt>2017-12-24T12:00:00.5Z", ""),
        ('unit.observedAt=="2017-12-24T12:00:00,500Z"', "text"),
        ("a.createdAt>=2026-01-01T00:00:00Z;a==20", "num"),
        ("createdAt>2026-11-02T00:00:00Z", ""),
        ("modifiedAt==2026-11-01T12:00:00Z;b", "none"),
        # links: only (un)equality
        ("a==urn:ngsi-ld:P:1", "link links"),
        ('a=="urn:ngsi-ld:P:2"', "links listr"),
        ('a=="urn:ngsi-ld:P:1","urn:ngsi-ld:P:2"', "link links listr"),
        ("a!=urn:ngsi-ld:P:1", ALL.replace("link links ", "")),
        ('a>"urn:a"', ""),
        ('a~="urn:.*"', ""),
        # language maps
        ('a[en]=="red"', "lang"),
        ('a[en]=="cat"', "lang"),
        ('a[fr]=="red"', ""),
        ('a[*]=="rouge"', "lang"),
        ('a[*]!="rouge"', ""),
        ('a[fr]!="red"', "lang"),
        # vocabularies
        ("a==https://example.org/red", "vocab"),
        ('a=="https://example.org/red"', "vocab"),
        # compound values
        ("sub.rawdata[air.pm]==40", "num"),
        ('sub.rawdata[city]=="Berlin"', "num"),
        ('sub.rawdata[city]!="Paris"', "num"),
        ("sub.rawdata[air.nothing]!=1", ""),
        ('a[value]=="Overstay"', "json"),
        ("a[n]>2", "json"),
        # sub-attributes and members
        ("sub.rawdata.value==40", ""),
        ('unit.unitCode=="CEL"', "text"),
        ('unit.unitCode!="KMH"', "text"),
        ('a.datasetId=="urn:d:2"', "several"),
        ("a.value==20", "num"),
        # patterns
        ("a~=^r.d$", "lang list listp text"),
        ("a~=e", "lang list listp text"),
        ("a~=(?i)RED", "lang list listp text"),
        ("a~=[0-9]{4}-12", "date typed"),
        ("a!~=^r.d$", "date typed"),
        # logic
        ("a==20;sub", "num"),
        ("a==20|b==1", "none num"),
        ("a==20|b==1;c", "num"),
        ("(a==20|b==1);b", "none"),
        ("a;b", ""),
    ],
)
def test_q_finds(things, q, expected):
    assert by_q(q) == expected


def test_values_are_terms_of_the_context_where_asked():
    put("urn:t:1", gender={"type": "VocabProperty", "vocab": "https://example.org/Male"})
    put(
        "urn:t:2",
        gender={"type": "VocabProperty", "vocab": ["https://example.org/Male", "https://example.org/Old"]},
    )
    assert by_q("gender==Male", expand_values=["gender"]) == "1 2"
    assert by_q("gender==Male,Old", expand_values=["gender"]) == "1 2"
    assert by_q('gender=="Male"') == ""
    assert by_q("gender!=Old", expand_values=["gender"]) == "1"


def test_stamps_that_are_not_written_are_those_of_the_entity():
    later, earlier = "2026-11-01T12:00:00.123456Z", "2026-10-01T00:00:00.000Z"
    put("urn:t:1", a=prop(1))
    put("urn:t:2", a=prop(1, modifiedAt=later))
    put("urn:t:3", created_at=START - timedelta(days=60), a=prop(1, createdAt=earlier))
    assert by_q("a.createdAt==2026-11-01T12:00:00Z") == "1 2"
    assert by_q("a.createdAt<2026-11-01T12:00:00Z") == "3"
    assert by_q("a.modifiedAt>2026-11-01T12:00:00.123Z") == "2"
    assert by_q("a.modifiedAt==2026-11-01T12:00:00.123456Z") == "2"
    assert by_q("a.modifiedAt!=2026-11-01T12:00:00.123456Z") == "1 3"
    assert by_q("createdAt<2026-10-01T00:00:00Z") == "3"


def test_conditions_on_linked_entities():
    put("urn:d:1", types=["Device"], humidity=prop(40), on={"type": "Relationship", "object": "urn:r:1"})
    put("urn:d:2", types=["Probe"], humidity=prop(40), expires_at=datetime(2020, 1, 1, tzinfo=UTC))
    put("urn:r:1", types=["Room"], floor=prop(3))
    put("urn:s:1", sensor={"type": "Relationship", "object": ["urn:d:1", "urn:nowhere"]})
    put("urn:s:2", sensor={"type": "Relationship", "object": "urn:d:2"})
    put("urn:s:3", sensor={"type": "ListRelationship", "objectList": [{"object": "urn:d:1"}]})
    assert by_q("sensor{humidity}==40") == "1 3"
    assert by_q("sensor{Device:humidity}==40") == "1 3"
    assert by_q("sensor{Probe:humidity}==40") == ""
    assert by_q("sensor{on{Room:floor}}>2") == "1 3"
    assert by_q("sensor{humidity}") == "1 3"
    hidden = Query(
        q=syntax.parse_q("sensor{humidity}==40", N), restriction=Restriction(types=frozenset({"Thing"}))
    )
    assert find(hidden) == []
    assert count(hidden) == 0
    with pytest.raises(BadRequestData):
        matcher(hidden)


# --- types, ids, attributes, scopes ------------------------------------------------------------------------------


@pytest.fixture
def homes():
    put("urn:h:1", types=["Home"], scope=["/Madrid/Gardens"], a=prop(1))
    put("urn:h:2", types=["Home", "Vehicle"], scope=["/Madrid/Gardens/Norte/P1", "/CompanyA"], b=prop(1))
    put("urn:h:3", types=["Motorhome"], scope=["/Madrid/Sights/Norte"], a=prop(1), b=prop(1))
    put("urn:x:4", types=["Vehicle"])


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        ("Home", "1 2"),
        ("Home|Vehicle", "1 2 4"),
        ("(Home;Vehicle)", "2"),
        ("(Home;Vehicle),Motorhome", "2 3"),
        ("*", "1 2 3 4"),
        ("X", ""),
    ],
)
def test_types_are_selected(homes, types, expected):
    assert found(Query(types=syntax.parse_types(types, N))) == expected


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("/Madrid/Gardens", "1"),
        ("/Madrid/Gardens/#", "1 2"),
        ("/Madrid/+/Norte", "3"),
        ("/Madrid/+/Norte/#", "2 3"),
        ("/+/Gardens", "1"),
        ("/#", "1 2 3"),
        ("(/Madrid/#;/CompanyA)", "2"),
        ("/CompanyA,/Madrid/Sights/#", "2 3"),
        ("/Madrid", ""),
        ("/Mad/#", ""),
    ],
)
def test_scopes_are_selected(homes, scope, expected):
    assert found(Query(scope=syntax.parse_scope(scope))) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (Query(ids=("urn:h:1", "urn:h:9")), "1"),
        (Query(id_pattern="^urn:h:[23]"), "2 3"),
        (Query(id_pattern="(?i)URN:X"), "4"),
        (Query(attrs=("a",)), "1 3"),
        (Query(attrs=("a", "b")), "1 2 3"),
        (Query(id_pattern="h", attrs=("b",), types=syntax.parse_types("Home", N)), "2"),
        (Query(selectors=(Selector(ids=("urn:h:1",), types=syntax.parse_types("Home", N)), Selector(types=syntax.parse_types("Motorhome", N)))), "1 3"),
        (Query(selectors=(Selector(types=syntax.parse_types("Vehicle", N), id_pattern="x"),)), "4"),
        (Query(selectors=(Selector(types=syntax.parse_types("(Home;Vehicle)|Motorhome", N)),)), "2 3"),
        (Query(), "1 2 3 4"),
    ],
)  # fmt: skip
def test_ids_attributes_and_selectors(homes, query, expected):
    assert found(query) == expected
    fits = matcher(query)
    assert " ".join(one.id[-1] for one in find(Query()) if fits(one)) == expected
    if query.selectors:
        fits = selector_matcher(query.selectors)
        assert " ".join(one.id[-1] for one in find(Query()) if fits(one)) == expected


def test_pages_follow_each_other_in_the_order_of_ids():
    for number in range(25):
        put(f"urn:t:{number:02d}", types=["A"] if number % 3 else ["A", "B"], name=prop(f"n{number % 2}"))
    names = [f"urn:t:{number:02d}" for number in range(25)]
    patterned = syntax.parse_q("name~=n[01]|name~=(?i)never|never~=.", N)
    for query in (
        Query(),
        Query(types=syntax.parse_types("A", N)),
        Query(q=patterned),
        Query(q=patterned, types=syntax.parse_types("A|B", N)),
    ):
        pages = [
            [one.id for one in find(Query(**_fields(query) | {"limit": 10, "offset": offset}))]
            for offset in (0, 10, 20, 30)
        ]
        assert pages == [names[:10], names[10:20], names[20:], []]
    assert find(Query(limit=0)) == []


def _fields(query):
    return {name: getattr(query, name) for name in ("types", "q")}


def test_what_is_to_be_decided_here_is_read_in_portions(monkeypatch):
    monkeypatch.setattr(finding, "LARGEST_CHUNK", 4)
    for number in range(30):
        put(f"urn:t:{number:02d}", name=prop("Xa" if number % 7 == 0 else "b"))
    query = Query(q=syntax.parse_q("name~=(x|y)+a|name~=(?:X|Y)+a", N), limit=3)
    assert found(query) == "00 07 14"
    assert count(query) == 5


# --- places ------------------------------------------------------------------------------------------------------

SQUARE = [[[0, 0], [2, 0], [2, 2], [0, 2], [0, 0]]]


@pytest.fixture
def shapes():
    put("urn:g:inside", location=place(1, 1))
    put("urn:g:corner", location=place(0, 0))
    put("urn:g:outside", location=place(3, 3))
    put("urn:g:cross", location=place([[-1, 1], [1, 1]], kind="LineString"))
    put("urn:g:around", location=place([[[-1, -1], [3, -1], [3, 3], [-1, 3], [-1, -1]]], kind="Polygon"))
    put("urn:g:half", location=place([[[1, 0], [3, 0], [3, 2], [1, 2], [1, 0]]], kind="Polygon"))
    put("urn:g:same", location=place([[[2, 0], [2, 2], [0, 2], [0, 0], [2, 0]]], kind="Polygon"))
    put("urn:g:several", location=[place(9, 9), {**place(1, 1), "datasetId": "urn:d:1"}])
    put("urn:g:none", a=prop(1))


@pytest.mark.parametrize(
    ("relation", "expected"),
    [
        ("within", "inside same several"),
        ("contains", "around same"),
        ("intersects", "around corner cross half inside same several"),
        ("equals", "same"),
        ("disjoint", "outside several"),
        ("overlaps", "half"),
    ],
)
def test_relations_of_geometry(shapes, relation, expected):
    assert found(Query(geo=syntax.parse_geo(relation, "Polygon", SQUARE, None, N))) == expected


def test_near_is_measured_on_the_sphere():
    put("urn:g:a", location=place(-73.12, 7.12), other=place(0, 0))
    put("urn:g:b", location=place(-73.12, 7.13))  # 1112 m to the north
    put("urn:g:line", location=place([[-73.2, 7.121], [-73.0, 7.121]], kind="LineString"))  # passes at 111 m

    def near(text, geoproperty=None, kind="Point", coordinates="[-73.12,7.12]"):
        return found(Query(geo=syntax.parse_geo(f"near;{text}", kind, coordinates, geoproperty, N)))

    assert near("maxDistance==100") == "a"
    assert near("maxDistance==112") == "a line"
    assert near("maxDistance==1111") == "a line"
    assert near("maxDistance==1113") == "a b line"
    assert near("minDistance==1111") == "b"
    assert near("minDistance==50") == "b line"
    assert near("maxDistance==10", "other") == ""
    assert near("maxDistance==10", "other", coordinates="[0,0]") == "a"
    assert near("maxDistance==200", kind="LineString", coordinates="[[-73.13,7.131],[-73.11,7.131]]") == "b"


def test_near_reaches_over_the_date_line_and_the_pole():
    put("urn:g:east", location=place(179.999, 0))
    put("urn:g:pole", location=place(90, 89.9999))
    assert (
        found(Query(geo=syntax.parse_geo("near;maxDistance==300", "Point", [-179.999, 0], None, N))) == "east"
    )
    assert (
        found(Query(geo=syntax.parse_geo("near;maxDistance==30", "Point", [-90, 89.9999], None, N))) == "pole"
    )


# --- order -------------------------------------------------------------------------------------------------------


def ordered(text, **more):
    query = Query(order_by=syntax.parse_order_by(text, N, **more), limit=100)
    return " ".join(one.id.rpartition(":")[2] for one in find(query))


def test_values_of_several_kinds_come_in_the_standards_order():
    put("urn:o:num", a=prop(5))
    put("urn:o:less", a=prop(-1))
    put("urn:o:text", a=prop("b"))
    put("urn:o:object", a=prop({"x": 1}))
    put("urn:o:list", a=prop([1]))
    put("urn:o:flag", a=prop(False))
    put("urn:o:time", a=prop({"@type": "Time", "@value": "12:00:00Z"}))
    put("urn:o:date", a=prop({"@type": "Date", "@value": "2020-01-01"}))
    put("urn:o:moment", a=prop({"@type": "DateTime", "@value": "2020-01-01T00:00:00Z"}))
    put("urn:o:none")
    assert ordered("a") == "less num text object list flag time date moment none"
    assert ordered("a;desc") == "moment date time flag list object text num less none"


def test_texts_are_ordered_as_people_do():
    for name in ("Zoe", "ana", "Ana", "Ñandú", "álamo", "Nube", "Ola"):
        put(f"urn:o:{name}", name=prop(name))
    assert ordered("name") == "álamo ana Ana Ñandú Nube Ola Zoe"
    assert ordered("name;desc") == "Zoe Ola Nube Ñandú Ana ana álamo"


def test_order_by_several_paths_and_members():
    put("urn:o:1", types=["B"], n=prop(1, observedAt="2026-01-02T00:00:00.000Z"), address=prop({"city": "b"}))
    put("urn:o:2", types=["A"], n=prop(1, observedAt="2026-01-01T00:00:00.000Z"), address=prop({"city": "c"}))
    put("urn:o:3", types=["A"], n=prop(0), address=prop({"city": "a"}), created_at=START - timedelta(days=1))
    assert ordered("n,id;desc") == "3 2 1"
    assert ordered("n;desc,address[city]") == "1 2 3"
    assert ordered("n.observedAt") == "2 1 3"
    assert ordered("type,id") == "2 3 1"
    assert ordered("createdAt,id;desc") == "3 2 1"
    assert ordered("id;desc") == "3 2 1"
    assert [
        one.id[-1] for one in find(Query(order_by=syntax.parse_order_by("id;desc", N), limit=1, offset=1))
    ] == ["2"]


@pytest.mark.parametrize("with_line", [False, True])
def test_order_by_distance(with_line):
    put("urn:o:far", location=place(8, 41), area=place(8, 40))
    put("urn:o:near", location=place(8, 40.1), area=place(8, 45))
    put("urn:o:none", a=prop(1))
    line = ""
    if with_line:
        put("urn:o:zline", location=place([[8, 40.05], [8, 39.5]], kind="LineString"))
        line = "zline "
    assert ordered("location;dist-asc", order_from=[8, 40]) == f"{line}near far none"
    assert ordered("location;dist-desc", order_from=[8, 40]) == " ".join(["far near", *line.split(), "none"])
    assert ordered("area;dist-asc,id", order_from=[8, 40]).startswith("far near")
    assert ordered(
        "location;dist-asc", order_from=[[8, 41], [9, 41]], order_geometry="LineString"
    ).startswith("far near")


def test_order_of_what_is_decided_here():
    put("urn:o:1", name=prop("xa"), n=prop(2))
    put("urn:o:2", name=prop("xxa"), n=prop(1))
    put("urn:o:3", name=prop("b"), n=prop(0))
    query = Query(q=syntax.parse_q("name~=(x|y)+a", N), order_by=syntax.parse_order_by("n", N))
    assert found(query) == "2 1"


@pytest.mark.parametrize(
    ("collation", "is_known"),
    [("und", True), ("es-u-ks-level1", True), ("und-u-ks-identic", True), ("x'y", False), ("", False)],
)
def test_collations(collation, is_known):
    put("urn:o:1", n=prop("a"))
    query = Query(order_by=syntax.parse_order_by("n", N), collation=collation)
    if is_known:
        assert found(query) == "1"
    else:
        with pytest.raises(BadRequestData):
            find(query)


# --- reach and limits --------------------------------------------------------------------------------------------


def test_a_restriction_holds_in_every_question():
    put("urn:r:1", types=["Lamp"], location=place(1, 1), name=prop("a"))
    put("urn:r:2", types=["Lamp"], location=place(9, 9), name=prop("a"))
    put("urn:r:3", types=["Bus"], location=place(1, 1), name=prop("a"))
    put("urn:r:4", types=["Lamp"], name=prop("a"))
    put(
        "urn:r:5",
        types=["Lamp", "Bus"],
        location=place([[0, 1], [1.5, 1]], kind="LineString"),
        name=prop("a"),
    )
    put("urn:r:6", types=["Lamp"], location=place([[1, 1], [9, 1]], kind="LineString"), name=prop("a"))
    square = shapely.geometry.box(0, 0, 2, 2)
    reach = Restriction(types=frozenset({"Lamp"}), areas=(square,))
    for query in (
        Query(restriction=reach),
        Query(types=syntax.parse_types("Lamp", N), restriction=reach),
        Query(types=syntax.parse_types("Lamp|Bus", N), restriction=reach),
        Query(q=syntax.parse_q('name=="a"', N), restriction=reach),
        Query(q=syntax.parse_q("name~=(?:a|b)+", N), restriction=reach),
        Query(order_by=syntax.parse_order_by("id", N), restriction=reach),
        Query(geo=syntax.parse_geo("disjoint", "Point", [5, 5], None, N), restriction=reach),
        Query(ids=tuple(f"urn:r:{n}" for n in range(1, 7)), restriction=reach),
    ):
        assert found(query) == "1 5"
        assert count(query) == 2
    assert found(Query(restriction=Restriction(areas=(square,)))) == "1 3 5"
    assert found(Query(restriction=Restriction(types=frozenset({"Bus"})))) == "3 5"
    assert found(Query(restriction=Restriction(areas=()))) == ""
    assert found(Query(restriction=Restriction(types=frozenset()))) == ""
    assert found(Query(restriction=Restriction())) == "1 2 3 4 5 6"
    assert get("urn:r:1", reach) is not None
    assert get("urn:r:2", reach) is None
    assert set(get_many([f"urn:r:{n}" for n in range(1, 8)], reach)) == {"urn:r:1", "urn:r:5"}


def test_expired_entities_are_never_shown():
    past, future = datetime.now(UTC) - timedelta(seconds=1), datetime.now(UTC) + timedelta(hours=1)
    put("urn:e:1", expires_at=past, a=prop(1))
    put("urn:e:2", expires_at=future, a=prop(1))
    assert found(Query(types=syntax.parse_types("Thing", N))) == "2"
    assert by_q("a==1") == "2"
    assert get("urn:e:1") is None
    assert get_many(["urn:e:1", "urn:e:2"]).keys() == {"urn:e:2"}
    assert get("urn:e:2").expires_at == future


def test_a_query_that_takes_too_long_ends(monkeypatch):
    put("urn:t:1", a=prop(1))
    with pytest.raises(TooComplexQuery), transaction.atomic(), reading.reading(0.05):
        reading.fetch("SELECT pg_sleep(2)", [])
    assert get("urn:t:1") is not None
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        before = cursor.fetchone()
    find(Query())
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == before


def test_where_says_whether_it_says_everything():
    put("urn:t:1", types=["A"], a=prop("x"))
    text, params, is_exact = where(Query(types=syntax.parse_types("A", N)), alias="x")
    assert is_exact
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM context_entity x WHERE {text}", params)
        assert cursor.fetchone()[0] == 1
    assert not where(Query(q=syntax.parse_q("a~=(a+)+", N)))[2]


def test_values_and_names_are_never_sql():
    hostile = "'; DROP TABLE context_entity; -- %s \" \\ $1 ñ"
    put("urn:t:1", **{"https://example.org/a'b%s": prop(hostile)})
    quoted = hostile.replace("\\", "\\\\").replace('"', '\\"')
    assert by_q(f'https://example.org/a\'b%s=="{quoted}"') == "1"
    assert found(Query(attrs=("https://example.org/a'b%s",))) == "1"
    assert found(Query(types=syntax.parse_types("x'y", N))) == ""


# --- registrations -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("csf", "fits"),
    [
        ('contextSourceName=="East"', True),
        ('contextSourceName!="East"', False),
        ("priority>3", True),
        ("priority>5", False),
        ("management[timeout]==100", True),
        ("nothing", False),
        ('operations=="queryEntity"', True),
        ("createdAt>2026-01-01T00:00:00Z", True),
        ('id~="Registration:1$"', True),
        ("owner==urn:x:1", True),
    ],
)
def test_context_source_filters(csf, fits):
    registration = {
        "id": "urn:ngsi-ld:Registration:1",
        "type": "ContextSourceRegistration",
        "contextSourceName": "East",
        "priority": 5,
        "management": {"timeout": 100},
        "operations": ["queryEntity"],
        "createdAt": "2026-11-01T12:00:00Z",
        "owner": {"type": "Relationship", "object": "urn:x:1"},
    }
    assert member_matcher(syntax.parse_csf(csf))(registration) is fits
