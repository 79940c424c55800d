from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest
from context.querying.world import Names
from hypothesis import given
from hypothesis import strategies as st

from amb247.context.jsonld.context import CORE, Context
from amb247.context.ngsi_errors import BadRequestData, NgsiError, TooComplexQuery
from amb247.context.querying import qlanguage, syntax
from amb247.context.querying.query import (
    AllOf,
    AnyOf,
    Compare,
    Exists,
    Linked,
    Matches,
    Order,
    Path,
    Range,
    ScopePattern,
    TypeExpr,
    Value,
    link_depth,
)

pytestmark = pytest.mark.unit

N = Names()
MINE = Context(
    {"speed": "https://example.org/speed", "Male": "https://example.org/Male", "ex": "https://example.org/"},
    source=None,
    link="",
)


def q(text, **more):
    return syntax.parse_q(text, N, **more)


def number(value):
    return Value("number", value)


def text(value, concept=None):
    return Value("text", value, concept)


NOON = datetime(2017, 12, 24, 12, tzinfo=UTC)
# The examples of the standard, 4.9, and what its grammar allows beside them.
READ = [
    ("temperature", Exists(Path("temperature"))),
    ("temperature==20", Compare(Path("temperature"), "==", (number(20),))),
    ('brandName!="Mercedes"', Compare(Path("brandName"), "!=", (text("Mercedes"),))),
    (
        'isParked=="urn:ngsi-ld:OffStreetParking:Downtown1"',
        Compare(
            Path("isParked"),
            "==",
            (text("urn:ngsi-ld:OffStreetParking:Downtown1", "urn:ngsi-ld:OffStreetParking:Downtown1"),),
        ),
    ),
    ("isParked==urn:x:1", Compare(Path("isParked"), "==", (text("urn:x:1", "urn:x:1"),))),
    (
        'speed>50;brandName!="Mercedes"',
        AllOf(
            (
                Compare(Path("speed"), ">", (number(50),)),
                Compare(Path("brandName"), "!=", (text("Mercedes"),)),
            )
        ),
    ),
    (
        '((speed>50|rpm>3000);brandName=="Mercedes")',
        AllOf(
            (
                AnyOf(
                    (Compare(Path("speed"), ">", (number(50),)), Compare(Path("rpm"), ">", (number(3000),)))
                ),
                Compare(Path("brandName"), "==", (text("Mercedes"),)),
            )
        ),
    ),
    (
        "(temperature>=20;temperature<=25)|capacity<=10",
        AnyOf(
            (
                AllOf(
                    (
                        Compare(Path("temperature"), ">=", (number(20),)),
                        Compare(Path("temperature"), "<=", (number(25),)),
                    )
                ),
                Compare(Path("capacity"), "<=", (number(10),)),
            )
        ),
    ),
    ("a;b|c", AnyOf((AllOf((Exists(Path("a")), Exists(Path("b")))), Exists(Path("c"))))),
    (
        "temperature.observedAt>=2017-12-24T12:00:00Z",
        Compare(Path("temperature", ("observedAt",)), ">=", (Value("datetime", NOON),)),
    ),
    ('a=="2017-12-24T12:00:00Z"', Compare(Path("a"), "==", (Value("datetime", NOON),))),
    ("a==2017-12-24T12:00:00,0Z", Compare(Path("a"), "==", (Value("datetime", NOON),))),
    ("a==2017-12-24", Compare(Path("a"), "==", (Value("date", "2017-12-24"),))),
    ("a>12:00:00Z", Compare(Path("a"), ">", (Value("time", "12:00:00000000000"),))),
    ('address[city]=="Berlin"', Compare(Path("address", (), ("city",)), "==", (text("Berlin"),))),
    (
        "sensor.rawdata[airquality.particulate]==40",
        Compare(Path("sensor", ("rawdata",), ("airquality", "particulate")), "==", (number(40),)),
    ),
    ('color[en]=="red"', Compare(Path("color", (), ("en",)), "==", (text("red"),))),
    ('color[*]!="red"', Compare(Path("color", (), ("*",)), "!=", (text("red"),))),
    ('color=="black","red"', Compare(Path("color"), "==", (text("black"), text("red")))),
    ("a==1,2.5,true", Compare(Path("a"), "==", (number(1), number(2.5), Value("boolean", True)))),
    ("a!=10..20", Compare(Path("a"), "!=", (Range(number(10), number(20)),))),
    ("a==-1.5..1e3", Compare(Path("a"), "==", (Range(number(-1.5), number(1000.0)),))),
    ('a=="b".."d"', Compare(Path("a"), "==", (Range(text("b"), text("d")),))),
    ("name~=^(red|blue);x", AllOf((Matches(Path("name"), "^(red|blue)"), Exists(Path("x"))))),
    (r"(name!~=[)|;]\;x)", Matches(Path("name"), r"[)|;]\;x", negated=True)),
    ('name~="a;b|\\"c"', Matches(Path("name"), 'a;b|"c')),
    ('a=="quo\\"te \\u00f1"', Compare(Path("a"), "==", (text('quo"te ñ'),))),
    (" a > 5 ; b ", AllOf((Compare(Path("a"), ">", (number(5),)), Exists(Path("b"))))),
    ("https://example.org/a.b==1", Compare(Path("https://example.org/a.b"), "==", (number(1),))),
    ("ex:a.ex:b==1", Compare(Path("ex:a", ("ex:b",)), "==", (number(1),))),
    ("sensor{humidity}==40", Linked("sensor", (), Compare(Path("humidity"), "==", (number(40),)))),
    (
        "sensor{Device,Probe:humidity}==40;x",
        AllOf(
            (
                Linked("sensor", ("Device", "Probe"), Compare(Path("humidity"), "==", (number(40),))),
                Exists(Path("x")),
            )
        ),
    ),
    ("a{B:c{d.e[f]}}", Linked("a", ("B",), Linked("c", (), Exists(Path("d", ("e",), ("f",)))))),
]


@pytest.mark.parametrize(("given_text", "expected"), READ)
def test_q_reads(given_text, expected):
    assert q(given_text) == expected


@pytest.mark.parametrize(
    "wrong",
    [
        "", " ", ";", "a;", "a|", "|a", "(a", "a)", "()", "a==", "a=5", "a=>5", "a>>5", "a==text", 'a=="open', "a>1,2", "a>1..2",
        "a==1..", 'a==1.."x"', "a==true..false", "a>true", "a==1,", "a==01", "a==+5", "a==1e999", "a..b", ".a", "a.", "a[", "a[]",
        "a[b", "a[b]c", "1a", "a b", "a~=", "a~=(", "a==1;;b", "a{b", "a{}", "a}b", "a{b}c", 'a=="\\u0000"', 'a=="\\ud800"', "-",
        "createdAt.x", "a.observedAt.b", "a.unitCode[x]", "*", "a==1 2", '"a"==1', "a==NaN", "a==Infinity", "a==null", "a.value.b",
    ],
)  # fmt: skip
def test_q_refuses(wrong):
    with pytest.raises(BadRequestData):
        q(wrong)


@pytest.mark.parametrize(
    "huge",
    [
        "(" * 50 + "a" + ")" * 50,
        ";".join("a" for _ in range(200)),
        "a==" + ",".join("1" for _ in range(300)),
        "a" * 9000,
        ".".join("a" for _ in range(20)),
        "a{b{c{d{e}}}}",
        "a[" + ".".join("m" for _ in range(20)) + "]",
    ],
)
def test_q_has_limits(huge):
    with pytest.raises(TooComplexQuery):
        q(huge)


@given(st.text(alphabet='ab1.;|()[]{}=!<>~"\\, :*-+eZT\x00ñ\U0001f600', max_size=40))
def test_any_text_is_read_or_refused_by_name(anything):
    for parse in (
        q,
        lambda t: syntax.parse_types(t, CORE),
        syntax.parse_scope,
        lambda t: syntax.parse_order_by(t, CORE),
    ):
        with contextlib.suppress(NgsiError):
            parse(anything)


def test_names_are_expanded_and_values_only_where_asked():
    assert syntax.parse_q("speed.ex:sub>5", MINE) == Compare(
        Path("https://example.org/speed", ("https://example.org/sub",)), ">", (number(5),)
    )
    male = text("https://example.org/Male", "https://example.org/Male")
    assert syntax.parse_q("gender==Male", MINE, expand_values=("gender",)) == Compare(
        Path("gender"), "==", (male,)
    )
    assert syntax.parse_q('gender=="Male"', MINE, expand_values=("gender",)) == Compare(
        Path("gender"), "==", (male,)
    )
    assert syntax.parse_q('gender=="Male"', MINE) == Compare(Path("gender"), "==", (text("Male"),))
    default = "https://uri.etsi.org/ngsi-ld/default-context/Female"
    assert syntax.parse_q("gender==Female", MINE, expand_values=("gender",)) == Compare(
        Path("gender"), "==", (text(default, "Female"),)
    )


def test_links_are_counted_by_depth():
    assert link_depth(q("a;b")) == 0
    assert link_depth(q("a;(b{c}|d{e{f}})")) == 2
    assert link_depth(None) == 0


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        ("Building", (("Building",),)),
        ("Building|House", (("Building",), ("House",))),
        ("Building,House", (("Building",), ("House",))),
        ("(Home;Vehicle)", (("Home", "Vehicle"),)),
        ("(Home;Vehicle)|Motorhome", (("Home", "Vehicle"), ("Motorhome",))),
        ("((A|B);C),D", (("A", "C"), ("B", "C"), ("D",))),
        ("A;B", (("A", "B"),)),
        ("*", ((),)),
    ],
)
def test_types_read(given_text, expected):
    assert syntax.parse_types(given_text, N) == TypeExpr(expected)


@pytest.mark.parametrize("wrong", ["", ",", "A,", "(A", "A)", "A||B", "A B", "1", "A;;B", "()"])
def test_types_refuse(wrong):
    with pytest.raises(BadRequestData):
        syntax.parse_types(wrong, CORE)


def test_types_do_not_explode():
    with pytest.raises(TooComplexQuery):
        syntax.parse_types(";".join("(A|B|C|D)" for _ in range(10)), N)


@pytest.mark.parametrize(
    ("pattern", "fits", "fits_not"),
    [
        ("/Madrid", ["/Madrid"], ["/Madrid/Gardens", "/Madri"]),
        (
            "/Madrid/Gardens/#",
            ["/Madrid/Gardens", "/Madrid/Gardens/ParqueNorte/Parterre1"],
            ["/Madrid", "/Madrid/GardensX"],
        ),
        (
            "/Madrid/+/ParqueNorte",
            ["/Madrid/Gardens/ParqueNorte"],
            ["/Madrid/ParqueNorte", "/Madrid/a/b/ParqueNorte"],
        ),
        ("/#", ["/a", "/a/b"], []),
        ("/a,/b", ["/a", "/b"], ["/c"]),
        ("/+/b/#", ["/x/b", "/x/b/c"], ["/b", "/x/c/b"]),
    ],
)
def test_scopes_read(pattern, fits, fits_not):
    expr = syntax.parse_scope(pattern)
    assert all(expr.fits([scope]) for scope in fits)
    assert not any(expr.fits([scope]) for scope in fits_not)
    assert not expr.fits([])


def test_scopes_combine():
    both = syntax.parse_scope("(/Madrid/Districts;/CompanyA)|CompanyB")
    assert both.alternatives == (
        (ScopePattern(("Madrid", "Districts")), ScopePattern(("CompanyA",))),
        (ScopePattern(("CompanyB",)),),
    )
    assert both.fits(["/Madrid/Districts", "/CompanyA"])
    assert not both.fits(["/Madrid/Districts"])
    assert both.fits(["/CompanyB"])


@pytest.mark.parametrize("wrong", ["", "/", "//", "/a//b", "/#/a", "/a/#/b", "/a+", "(/a", "/a b", "/a;"])
def test_scopes_refuse(wrong):
    with pytest.raises(BadRequestData):
        syntax.parse_scope(wrong)


def test_geo_reads_what_the_address_and_a_document_give():
    near = syntax.parse_geo("near;maxDistance==2000", "Point", "[8,40]", "observationSpace", N)
    assert (near.relation, near.max_distance, near.min_distance, near.geoproperty) == (
        "near",
        2000,
        None,
        "observationSpace",
    )
    assert (near.shape.x, near.shape.y) == (8, 40)
    far = syntax.parse_geo("near;minDistance==0.5", "Point", [8, 40, 12.5], None, N)
    assert (far.min_distance, far.geoproperty, far.shape.has_z) == (0.5, "location", False)
    square = "[[[100.0,0.0],[101.0,0.0],[101.0,1.0],[100.0,1.0],[100.0,0.0]]]"
    for relation in ("within", "contains", "intersects", "equals", "disjoint", "overlaps"):
        assert syntax.parse_geo(relation, "Polygon", square, None, N).relation == relation
    assert syntax.parse_geo(None, None, None, "location", N) is None


@pytest.mark.parametrize(
    ("georel", "geometry", "coordinates"),
    [
        ("near", "Point", "[8,40]"), ("near;maxDistance=5", "Point", "[8,40]"), ("near;maxDistance==0", "Point", "[8,40]"),
        ("near;maxDistance==-1", "Point", "[8,40]"), ("near;maxDistance==1e999", "Point", "[8,40]"), ("touches", "Point", "[8,40]"),
        ("within", "Circle", "[8,40]"), ("within", "GeometryCollection", "[]"), ("within", "Point", "[8"), ("within", "Point", "[8]"),
        ("within", "Point", '["8",40]'), ("within", "Point", "[181,40]"), ("within", "Point", "[8,91]"), ("within", "Point", "[true,1]"),
        ("within", "Polygon", "[[[0,0],[1,1],[0,1],[1,0],[0,0]]]"), ("within", "Polygon", "[[0,0],[1,1]]"), ("within", "Polygon", "[]"),
        ("within", "LineString", "[[0,0]]"), ("within", None, "[8,40]"), (None, "Point", "[8,40]"), ("within", "Point", None),
        ("within", "Point", "{}"), ("within", "Point", "NaN"), ("near;maxDistance==2;x", "Point", "[8,40]"), (5, "Point", "[8,40]"),
        ("within", "Point", "[[[[[[[[0,0]]]]]]]]"),
    ],
)  # fmt: skip
def test_geo_refuses(georel, geometry, coordinates):
    with pytest.raises(BadRequestData):
        syntax.parse_geo(georel, geometry, coordinates, None, N)


def test_geo_has_limits():
    ring = [[n / 100, 0] for n in range(6000)] + [[60, 1], [0, 0]]
    with pytest.raises(TooComplexQuery):
        syntax.parse_geo("within", "Polygon", [ring], None, N)
    with pytest.raises(TooComplexQuery):
        syntax.parse_geo("within", "Polygon", "[" * 300_000, None, N)
    with pytest.raises(BadRequestData):
        syntax.parse_geo("within", "Polygon", "[" * 50_000, None, N)


def test_orders_read():
    assert syntax.parse_order_by("name,age;desc,address[city],name.observedAt;asc", N) == (
        Order(Path("name")),
        Order(Path("age"), descending=True),
        Order(Path("address", (), ("city",))),
        Order(Path("name", ("observedAt",))),
    )
    (order,) = syntax.parse_order_by("location;dist-desc", N, order_from="[8,40]")
    assert order.descending
    assert order.origin.geom_type == "Point"
    (order,) = syntax.parse_order_by(
        ["location;dist-asc"], N, order_from=[[8, 40], [9, 42]], order_geometry="LineString"
    )
    assert order.origin.geom_type == "LineString"


@pytest.mark.parametrize("wrong", ["", "a;up", "a;dist-asc", "a==1", "a,", "a;b", "a;desc;asc", "(a)"])
def test_orders_refuse(wrong):
    with pytest.raises(BadRequestData):
        syntax.parse_order_by(wrong, N)


def test_ids_must_be_uris():
    assert syntax.parse_ids("urn:a:1, urn:a:2") == ("urn:a:1", "urn:a:2")
    with pytest.raises(BadRequestData):
        syntax.parse_ids("urn:a:1,nope")
    with pytest.raises(TooComplexQuery):
        syntax.parse_ids(["urn:a:1"] * 3000)


def test_selectors_read():
    selector = syntax.parse_selector({"type": "A|B", "id": "urn:a:1", "idPattern": "^urn"}, N)
    assert (selector.ids, selector.id_pattern) == (("urn:a:1",), "^urn")
    assert syntax.parse_selector({"type": ["A", "B"], "id": ["urn:a:1", "urn:a:2"]}, N).ids == (
        "urn:a:1",
        "urn:a:2",
    )
    for wrong in (
        {},
        [],
        {"type": 5},
        {"type": "A", "id": "x"},
        {"type": "A", "idPattern": "("},
        {"type": "A", "id": [5]},
    ):
        with pytest.raises(BadRequestData):
            syntax.parse_selector(wrong, N)


def test_no_input_takes_long_to_read():
    import time

    start = time.perf_counter()
    for hostile in (
        "(" * 8000,
        "a~=" + "(" * 8000,
        "a==" + "(" * 8000,
        '"' * 8000,
        "a[" * 4000,
        "a{" * 4000,
        "a;" * 4000,
        "[" * 8000,
    ):
        for parse in (q, lambda t: syntax.parse_types(t, N), syntax.parse_scope):
            with contextlib.suppress(NgsiError):
                parse(hostile)
    assert time.perf_counter() - start < 2
    assert qlanguage.MAX_LENGTH >= 8_000
