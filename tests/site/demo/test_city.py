import json
from collections import Counter

import pytest
import shapely
from shapely.geometry import shape

from amb247.site.demo.city import build_city
from amb247.site.demo.geography import map_features, roads, territory_geojson
from amb247.site.demo.things import all_things

from .conftest import MORNING

pytestmark = pytest.mark.unit


def test_same_seed_gives_the_same_city(small):
    again = build_city(seed=7, scale=0.02)

    assert json.dumps(territory_geojson(again)) == json.dumps(territory_geojson(small))
    assert list(all_things(again, MORNING)) == list(all_things(small, MORNING))


def test_other_seed_gives_another_city(small):
    other = build_city(seed=8, scale=0.02)

    assert json.dumps(territory_geojson(other)) != json.dumps(territory_geojson(small))


@pytest.mark.parametrize("scale", [0, -1, 21])
def test_absurd_scale_is_refused(scale):
    with pytest.raises(ValueError, match="scale"):
        build_city(seed=7, scale=scale)


def test_full_city_has_the_promised_numbers(full):
    counts = Counter(entity["type"] for entity in all_things(full, MORNING))

    assert counts["Streetlight"] == 60_000
    assert counts["AccessPoint"] == 80
    assert counts["Camera"] == 800
    assert counts["Device"] == 40
    assert counts["AirQualityObserved"] + counts["WeatherObserved"] == 40
    assert len(full.transit.routes) == 51
    assert 500 <= counts["StreetlightFeeder"] <= 900
    assert 90 <= counts["StreetlightControlCabinet"] <= 160


def test_small_city_scales_luminaires_exactly(small):
    counts = Counter(entity["type"] for entity in all_things(small, MORNING))

    assert counts["Streetlight"] == 1_200
    assert counts["Camera"] == 16


def test_territory_counts_and_codes(small):
    features = territory_geojson(small)["features"]
    levels = Counter(feature["properties"]["level"] for feature in features)
    codes = [feature["properties"]["code"] for feature in features]

    assert levels["municipality"] == 4
    assert sum(code.startswith("68001-") and len(code) == 8 for code in codes) == 17
    assert len(set(codes)) == len(codes)
    seen = {None}
    for feature in features:
        assert feature["properties"]["parent"] in seen
        assert feature["properties"]["synthetic"] is True
        seen.add(feature["properties"]["code"])


def test_unknown_populations_stay_unknown(small):
    by_code = {
        f["properties"]["code"]: f["properties"]["population"] for f in territory_geojson(small)["features"]
    }

    assert by_code["68001-01"] == 66710
    assert by_code["68001-04"] is None
    assert by_code["68001"] is None


@pytest.mark.parametrize("level", ["municipality", "commune", "neighbourhood"])
def test_areas_are_valid_and_do_not_overlap(full, level):
    shapes = [
        shape(f["geometry"]) for f in territory_geojson(full)["features"] if f["properties"]["level"] == level
    ]

    assert all(area.is_valid and area.geom_type == "Polygon" for area in shapes)
    first, second = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    overlap = sum(shapes[a].intersection(shapes[b]).area for a, b in zip(first, second, strict=True) if a < b)
    assert overlap < 1e-5 * sum(area.area for area in shapes)


def test_communes_lie_in_their_municipality_and_neighbourhoods_tile_communes(full):
    areas = {area.code: area for area in full.territory.areas}
    for area in full.territory.communes:
        assert area.shape.difference(areas[area.parent].shape).area < 1.0
        parts = [child.shape for child in full.territory.neighbourhoods if child.parent == area.code]
        assert shapely.union_all(parts).area == pytest.approx(area.shape.area, rel=1e-3)


def test_roads_and_map_features_are_drawable(full):
    drawn = list(roads(full))
    features = list(map_features(full))

    assert drawn[0]["roadClass"]["value"] == "arterial"
    assert {road["roadClass"]["value"] for road in drawn} == {"arterial", "secondary", "street"}
    assert {"Carrera 27", "Carrera 33", "Avenida Quebradaseca"} <= {road["name"]["value"] for road in drawn}
    assert {feature["kind"]["value"] for feature in features} == {"water", "wood", "park"}
    for entity in (*drawn, *features):
        assert shape(entity["location"]["value"]).is_valid
    assert len(json.dumps(drawn)) < 3_000_000


def test_luminaires_stand_in_town_on_compact_feeders(full):
    town = shapely.union_all([area.shape for area in full.territory.communes]).buffer(400)
    assets = full.assets

    assert shapely.contains_xy(town, assets.lamp_xy).mean() > 0.97
    sizes = Counter(assets.lamp_feeder.tolist())
    assert min(sizes.values()) >= 41
    assert max(sizes.values()) <= 135


def test_a_small_share_is_faulty_or_silent(full):
    lamps = [entity for entity in all_things(full, MORNING) if entity["type"] == "Streetlight"]
    faulty = sum(lamp["status"]["value"] != "ok" for lamp in lamps)
    silent = sum(lamp["communicationState"]["value"] == "down" for lamp in lamps)

    assert 0.020 < faulty / len(lamps) < 0.030
    assert 0.012 < silent / len(lamps) < 0.020


def test_identifiers_are_unique_and_everything_says_it_is_synthetic(small):
    things = list(all_things(small, MORNING))

    assert len({thing["id"] for thing in things}) == len(things)
    assert all(thing["synthetic"]["value"] is True for thing in things)
    assert all(thing["source"]["value"] == "urn:amb247:demo" for thing in things)
