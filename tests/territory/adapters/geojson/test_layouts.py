from __future__ import annotations

import pytest

from amb247.territory.adapters.geojson.known import commune_number, plain
from amb247.territory.adapters.geojson.layouts import Candidate, candidates_of, recognise
from amb247.territory.data import ColumnMapping
from amb247.territory.errors import FileRefused

pytestmark = pytest.mark.unit

COMMUNE = {
    "COD_COMUNA": "13",
    "COD_MUNICI": "001",
    "COD_DEPART": "68",
    "NOMBRE": "Oriental",
    "PERSONAS_S": 54093,
}


def read(properties, mapping=None):
    features = [{"type": "Feature", "properties": properties, "geometry": None}]
    (one,) = candidates_of(features, recognise(features, mapping))
    return one


def test_danes_municipalities():
    one = read({"MPIO_CCNCT": "68307", "DPTO_CCDGO": "68", "MPIO_CCDGO": "307", "MPIO_CNMBR": "Girón"})
    assert (one.level, one.code, one.name) == ("municipality", "68307", "Girón")


def test_a_municipality_whose_codes_disagree_is_refused():
    one = read({"MPIO_CCNCT": "68307", "DPTO_CCDGO": "68", "MPIO_CCDGO": "276", "MPIO_CNMBR": "Girón"})
    assert one[2].field == "MPIO_CCNCT"


def test_communes_get_the_municipalitys_code():
    one = read(COMMUNE | {"NOMBRE_COD": "13"})
    assert (one.level, one.code, one.parent, one.population, one.repairs) == (
        "commune", "68001-13", "68001", 54093, [],
    )  # fmt: skip


def test_a_commune_named_otherwise_in_its_code_field_is_said():
    assert [field for field, _reason in read(COMMUNE | {"NOMBRE_COD": "Comuna 13"}).repairs] == ["NOMBRE_COD"]


def test_a_commune_without_name_gets_the_known_one():
    assert read(COMMUNE | {"COD_COMUNA": "14", "NOMBRE": ""}).name == "Morrorico"
    assert read(COMMUNE | {"COD_COMUNA": "30", "NOMBRE": None}).name == "Comuna 30"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"COD_COMUNA": "trece"}, "COD_COMUNA"),
        ({"COD_COMUNA": None}, "COD_COMUNA"),
        ({"COD_COMUNA": True}, "COD_COMUNA"),
        ({"COD_MUNICI": "0001"}, "COD_MUNICI"),
        ({"PERSONAS_S": -1}, "PERSONAS_S"),
        ({"PERSONAS_S": "66.710"}, "PERSONAS_S"),
        ({"PERSONAS_S": 10**12}, "PERSONAS_S"),
        ({"NOMBRE": "x" * 200}, "NOMBRE"),
        ({"NOMBRE": "a\0b"}, "NOMBRE"),
    ],
)
def test_a_bad_property_names_its_field(change, field):
    index, _label, refusal = read(COMMUNE | change)
    assert (index, refusal.field) == (1, field)


def test_neighbourhoods_by_category_and_by_kind():
    assert read({"NOMBRE": "COLORADOS", "CATEGORIA": "BARRIO"}).level == "neighbourhood"
    assert read({"NOMBRE": "CORREGIMIENTO 1", "TIPO": "CORREGIMIENTO"}).level == "commune"
    assert read({"NOMBRE": "X", "TIPO": "ISLA"})[2].field == "TIPO"


def test_our_own_layout():
    one = read({"level": "commune", "code": "68001-01", "name": "Norte", "parent": "68001", "population": None,
                "synthetic": True})  # fmt: skip
    assert (one.code, one.parent, one.population, one.synthetic) == ("68001-01", "68001", None, True)
    assert read({"level": "continent", "name": "Asia"})[2].field == "level"
    assert read({"level": "commune", "name": "Norte", "code": "a b"})[2].field == "code"


def test_columns_told_by_the_user():
    mapping = ColumnMapping(name="n", level="neighbourhood", code="c", parent="p", population="h")
    one = read({"n": "Sotomayor", "c": 12, "p": "68001-12", "h": "1200"}, mapping)
    assert (one.level, one.code, one.parent, one.population) == ("neighbourhood", "12", "68001-12", 1200)


def test_a_parent_that_is_no_column_is_a_code_for_all():
    assert read({"n": "X"}, ColumnMapping(name="n", level="commune", parent="68276")).parent == "68276"
    assert read({"NOMBRE": "X", "CATEGORIA": "BARRIO"}, ColumnMapping(parent="68276")).parent == "68276"


def test_unknown_columns_are_listed_with_the_options():
    with pytest.raises(FileRefused, match=r"barrio, pob.*--level"):
        read({"barrio": "X", "pob": 1})


@pytest.mark.parametrize(
    "feature", [None, 1, "x", [], {}, {"type": "Point"}, {"properties": {"level": "commune"}}]
)
def test_what_is_no_feature_is_refused(feature):
    good = {
        "type": "Feature",
        "properties": {"level": "municipality", "name": "A", "code": "1"},
        "geometry": None,
    }
    features = [good, good, good, feature]
    found = list(candidates_of(features, recognise(features, None)))
    assert isinstance(found[0], Candidate)
    assert (found[3][0], found[3][2].field) == (4, "type")


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("COMUNA CIUDADELA RELA DE MINAS", 7),
        ("COMUNA SUROCCIDENTE", 8),
        ("Sur Occidente", 8),
        ("Garcia  Rovira", 5),
        ("Comuna 14", 14),
        ("COMUNA NORTE", 1),
        ("Tejar", 16),
        ("CORREGIMIENTO 1", None),
        ("Cualquiera", None),
    ],
)
def test_communes_are_known_by_their_names(name, number):
    assert commune_number("68001", name) == number


def test_names_are_compared_plain():
    assert plain("  GARCÍA   Rovira ") == plain("Garcia rovira")
