from __future__ import annotations

import json

import pytest
from factories import territory as make
from shapely.geometry import box, mapping

from amb247.territory import api, models

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def feature(bounds=None, geometry=None, **properties):
    shape = mapping(box(*bounds)) if bounds else geometry
    return {"type": "Feature", "properties": properties, "geometry": json.loads(json.dumps(shape))}


def collection(*features):
    return {"type": "FeatureCollection", "features": list(features)}


def municipality(code="68001", bounds=(-73.2, 7.0, -73.1, 7.2), **properties):
    return feature(
        bounds, level="municipality", code=code, name=properties.pop("name", f"M{code}"), **properties
    )


def barrio(name, bounds, **properties):
    return feature(bounds, NOMBRE=name, CATEGORIA="BARRIO", **properties)


def fields(findings) -> list[tuple[int, str]]:
    return [(one.index, one.field) for one in findings]


def test_an_empty_database_gets_its_metropolitan_area_from_the_municipalities():
    report = api.import_territory(collection(municipality(), municipality("68276", (-73.1, 7.0, -73.0, 7.2))))
    (root,) = api.area_tree()
    assert (report.created, report.refused, report.layout) == (2, (), "amb247")
    assert root.area.bbox == (-73.2, 7.0, -73.0, 7.2)
    assert models.AuditEntry.objects.filter(verb="territory.import").get().details["created"] == 2


def test_the_same_file_twice_changes_nothing(areas):
    given = collection(
        municipality(population=10, synthetic=True),
        feature((-73.2, 7.0, -73.1, 7.1), level="commune", code="68001-01", name="Norte", parent="68001"),
    )
    api.import_territory(given)
    stamp = models.TerritoryVersion.objects.get().stamp
    lines = models.AuditEntry.objects.count()
    again = api.import_territory(given)
    assert (again.created, again.updated, again.unchanged) == (0, 0, 2)
    assert models.TerritoryVersion.objects.get().stamp == stamp
    assert models.AuditEntry.objects.count() == lines


def test_nothing_is_half_imported():
    given = collection(municipality(), municipality("68276", None))
    with pytest.raises(api.ImportRefused) as caught:
        api.import_territory(given)
    assert fields(caught.value.report.refused) == [(2, "geometry")]
    assert not caught.value.report.is_written
    assert (models.Area.objects.count(), models.AuditEntry.objects.count()) == (0, 0)


def test_keep_good_takes_the_rest_and_counts_each_once():
    given = collection(municipality(), municipality("68276", None), municipality("a b"))
    report = api.import_territory(given, keep_good=True)
    assert (report.taken, report.unchanged, len(report.refused)) == (1, 0, 2)
    assert [area.code for area in api.areas("municipality")] == ["68001"]


def test_a_child_of_a_refused_parent_is_refused_too():
    child = feature((-73.2, 7.0, -73.1, 7.1), level="commune", code="68001-01", name="Norte", parent="68001")
    report = api.import_territory(collection(child, municipality(bounds=None)), keep_good=True)
    assert fields(report.refused) == [(1, "parent"), (2, "geometry")]


def test_the_order_in_the_file_does_not_matter():
    child = feature((-73.2, 7.0, -73.1, 7.1), level="commune", code="68001-01", name="Norte", parent="68001")
    assert api.import_territory(collection(child, municipality())).created == 2


def test_repeated_codes_names_and_shapes_are_refused(areas):
    given = collection(
        barrio("EL PRADO", (-73.19, 7.11, -73.18, 7.12)),
        barrio("El  Prado", (-73.17, 7.11, -73.165, 7.12)),
        barrio("OTRO", (-73.19, 7.11, -73.18, 7.12)),
    )
    report = api.import_territory(given, keep_good=True)
    assert fields(report.refused) == [(2, "name"), (3, "geometry")]
    assert all(one.remedy for one in report.refused)
    twice = collection(municipality("05001"), municipality("05001", (-70.2, 7.0, -70.1, 7.2)))
    assert fields(api.import_territory(twice, keep_good=True).refused) == [(2, "code")]


def test_neighbourhoods_without_code_get_one_from_their_commune_and_keep_it(areas):
    given = collection(
        barrio("EL PRADO", (-73.19, 7.11, -73.18, 7.12)),
        barrio("LA FERIA", (-73.19, 7.01, -73.18, 7.02)),
        barrio("EL ROSAL", (-73.16, 7.14, -73.14, 7.16)),
    )
    report = api.import_territory(given)
    assert [(one.index, one.field) for one in report.repaired] == [(1, "code"), (2, "code")]
    found = {area.name: area for area in api.areas("neighbourhood")}
    assert {name: area.code for name, area in found.items()} == {
        "El Rosal": "68001-01-001",  # there already, under this name
        "EL PRADO": "68001-01-002",
        "LA FERIA": "68001-02-001",
    }
    again = api.import_territory(collection(*reversed(given["features"])))
    assert (again.unchanged, again.repaired) == (3, ())


def test_a_neighbourhood_outside_every_commune_hangs_on_the_municipality_with_a_warning(areas):
    report = api.import_territory(collection(barrio("RURAL", (-73.05, 7.11, -73.04, 7.12))))
    (area,) = [area for area in api.areas("neighbourhood") if area.name == "RURAL"]
    assert (area.code, area.parent) == ("68276-00-001", "68276")
    assert fields(report.warnings) == [(1, "parent")]


def test_a_neighbourhood_outside_every_municipality_is_refused(areas):
    with pytest.raises(api.ImportRefused) as caught:
        api.import_territory(collection(barrio("LEJOS", (-70.05, 7.11, -70.04, 7.12))))
    assert fields(caught.value.report.refused) == [(1, "parent")]
    told = api.import_territory(
        collection(barrio("LEJOS", (-70.05, 7.11, -70.04, 7.12))), mapping=api.ColumnMapping(parent="68276")
    )
    assert told.created == 1
    assert fields(told.warnings) == [(1, "geometry")]


def test_a_told_municipality_still_finds_the_commune_in_it(areas):
    api.import_territory(
        collection(barrio("EL PRADO", (-73.19, 7.11, -73.18, 7.12))),
        mapping=api.ColumnMapping(parent="68001"),
    )
    assert api.area("68001-01-002").parent == "68001-01"


def test_a_parent_that_is_unknown_or_not_above_is_refused(areas):
    given = collection(
        feature((-73.2, 7.0, -73.1, 7.1), level="commune", code="x-1", name="A", parent="99999"),
        feature((-73.2, 7.0, -73.1, 7.11), level="commune", code="x-2", name="B", parent="68001-01"),
    )
    report = api.import_territory(given, keep_good=True)
    assert fields(report.refused) == [(1, "parent"), (2, "parent")]


def test_a_code_of_another_level_is_refused(areas):
    given = collection(
        feature((-73.2, 7.0, -73.1, 7.1), level="commune", code="68276", name="A", parent="68001")
    )
    with pytest.raises(api.ImportRefused) as caught:
        api.import_territory(given)
    assert fields(caught.value.report.refused) == [(1, "code")]


def test_a_file_without_population_keeps_the_known_one(areas):
    api.import_territory(collection(municipality(name="Bucaramanga")))
    assert api.area("68001").population == 600_000


def test_swapped_coordinates_need_the_option(areas):
    turned = mapping(box(7.0, -73.2, 7.2, -73.1))
    given = collection(feature(geometry=turned, level="municipality", code="68001", name="Bucaramanga"))
    with pytest.raises(api.ImportRefused) as caught:
        api.import_territory(given)
    assert "--swap" in caught.value.report.refused[0].remedy
    report = api.import_territory(given, swap=True)
    assert fields(report.repaired) == [(1, "coordinates")]
    assert api.area("68001").bbox == (-73.2, 7.0, -73.1, 7.2)


def test_a_commune_left_over_from_its_neighbourhoods_keeps_its_stored_shape(areas):
    ring = box(-73.2, 7.1, -73.1, 7.2).difference(box(-73.199, 7.101, -73.101, 7.199))
    given = collection(
        feature(geometry=mapping(ring), NOMBRE="COMUNA NORTE", TIPO="COMUNA"),
        feature((-73.199, 7.101, -73.101, 7.199), NOMBRE="TODO", TIPO="BARRIO"),
    )
    report = api.import_territory(given)
    assert (1, "geometry") in fields(report.repaired)
    assert api.area("68001-01").area_km2 > 100
    assert api.area("68001-01").name == "Norte"


def test_missing_communes_are_named(areas):
    given = collection(
        feature(
            (-73.2, 7.0, -73.1, 7.1),
            COD_COMUNA="3",
            COD_MUNICI="001",
            COD_DEPART="68",
            NOMBRE="San Francisco",
        )
    )
    (warning,) = api.import_territory(given).warnings
    assert "Faltan 14 de 17" in warning.reason
    assert "14 (Morrorico)" in warning.reason


def test_only_who_may_import_the_whole_area_imports(areas):
    given = collection(municipality())
    local = make.person_with("data_engineer", areas["68001"])
    with pytest.raises(api.NotAllowed):
        api.import_territory(given, by=local)
    assert api.import_territory(given, by=make.person_with("data_engineer")).updated == 1
    assert models.AuditEntry.objects.latest("id").actor is not None


def test_a_metropolitan_area_in_the_file_names_the_root():
    given = collection(
        feature(level="metropolitan_area", code="MDE", name="Valle de Aburrá"), municipality("05001")
    )
    api.import_territory(given)
    (root,) = api.area_tree()
    assert (root.area.code, root.area.name, [node.area.code for node in root.children]) == (
        "MDE", "Valle de Aburrá", ["05001"],
    )  # fmt: skip


def test_a_bad_file_is_refused_as_a_whole(tmp_path):
    path = tmp_path / "cut.geojson"
    path.write_text('{"type": "FeatureCollection", "features": [')
    with pytest.raises(api.FileRefused):
        api.import_territory(path)


@pytest.mark.data
def test_the_four_real_files(real_files):
    def run(name, **options):
        return api.import_territory(real_files / name, **options)

    municipalities = run("amb_municipios_dane_mgn2020.geojson")
    assert (municipalities.created, municipalities.refused, municipalities.repaired) == (4, (), ())
    assert api.area("68001").area_km2 == pytest.approx(152.91568607, rel=5e-4)  # DANE's own MPIO_NAREA

    communes = run("comunas_bucaramanga.geojson")
    assert (communes.created, len(communes.refused), len(communes.repaired)) == (15, 0, 7)
    assert "4 (Occidental), 14 (Morrorico)" in communes.warnings[0].reason
    assert sum(area.population for area in api.areas("commune")) == 459_507

    with pytest.raises(api.ImportRefused):
        run("barrios_bucaramanga.geojson")
    barrios = run("barrios_bucaramanga.geojson", keep_good=True)
    assert (barrios.created, [one.index for one in barrios.refused]) == (264, [213, 228, 265, 266, 269])
    assert [one.index for one in barrios.repaired if one.field == "coordinates"] == [22, 37]

    everything = run("Barrio_Comuna_Corregimiento.geojson")
    assert (everything.created, everything.updated, everything.unchanged) == (5, 264, 15)
    assert sum(one.field == "geometry" for one in everything.repaired) == 17

    for name in ("amb_municipios_dane_mgn2020.geojson", "comunas_bucaramanga.geojson"):
        again = run(name)
        assert (again.taken, again.refused) == (0, ())
    assert run("Barrio_Comuna_Corregimiento.geojson").unchanged == 284
