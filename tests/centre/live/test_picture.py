"""The live picture: list, map and figures from one place, for all or for some areas."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from factories.context import streetlight, vehicle

from amb247.centre.live.lists import Filters, list_things
from amb247.centre.live.picture import Picture, is_inside, key_of
from amb247.centre.live.tiles import _project, _varint, encode_points, streetlight_tile
from amb247.context.data import Change, Cursor

pytestmark = pytest.mark.unit


def now() -> datetime:
    """Asked anew each time: a bus of the time of collection would be stale when its test runs."""
    return datetime.now(UTC).replace(microsecond=0)


WEST, EAST = "68001-01", "68307-02"


def find_areas(lon, lat):
    return [WEST if x < -73.1 else EAST for x in lon]


def picture(*entities) -> Picture:
    made = Picture(find_areas)
    made.load(entities, Cursor(1, 1))
    return made


def change(entity, op="updated"):
    attributes = {name: value for name, value in entity.items() if name not in {"id", "type"}}
    return Change(Cursor(2, 1), now(), op, entity["id"], [entity["type"]], attributes, "")


def test_counts_list_and_rows_agree():
    city = picture(
        *(streetlight(i, at=now()) for i in range(5)),
        streetlight(7, at=now(), status="defectiveLamp"),
        streetlight(8, at=now(), communicationState="down"),
        vehicle(1, at=now()),
    )
    assert city.counts(None)["streetlight"] == {
        "ok": 5,
        "stale": 0,
        "fault": 1,
        "offline": 1,
        "maintenance": 0,
    }
    page = list_things(city, Filters(layers=("streetlight",)), None)
    assert page.total == 7
    assert [row.state for row in page.rows][:2] == ["fault", "offline"]
    assert list_things(city, Filters(layers=("streetlight",), state="abnormal"), None).total == 2
    assert list_things(city, Filters(text="000007"), None).total == 1


def test_only_the_visible_areas_are_shown():
    city = picture(vehicle(1, at=now(), lon=-73.15), vehicle(2, at=now(), lon=-73.05))
    only_west = frozenset({"68001"})
    assert city.counts(only_west)["vehicle"]["ok"] == 1
    assert [row[1][-1] for row in city.snapshot(only_west)["vehicles"]] == ["1"]
    assert list_things(city, Filters(), only_west).total == 1
    city.apply(
        [change(vehicle(1, at=now(), lon=-73.16)), change(vehicle(2, at=now(), lon=-73.06))], Cursor(2, 2)
    )
    news = city.take_news([None, only_west])
    assert len(news[None].vehicles) == 2
    assert [row[1][-1] for row in news[only_west].vehicles] == ["1"]


def test_area_code_holds_what_lies_below_it():
    assert is_inside("68001-01-003", {"68001-01"})
    assert not is_inside("68001-010", {"68001-01"})
    assert not is_inside("", {"68001"})


def test_news_are_told_once_and_coalesced():
    city = picture(vehicle(1, at=now()))
    moves = [change(vehicle(1, at=now(), lon=-73.12 + i / 1000)) for i in range(5)]
    city.apply(moves, Cursor(2, 2))
    news = city.take_news([None])[None]
    assert [row[2] for row in news.vehicles] == [round(-73.12 + 4 / 1000, 6)]
    assert not city.has_news()


def test_silent_bus_is_stale_then_put_away_then_back():
    old = now() - timedelta(minutes=5)
    city = picture(vehicle(1, at=old), vehicle(2, at=now() - timedelta(hours=2)))
    assert city.counts(None)["vehicle"] == {"ok": 0, "stale": 1, "fault": 0, "offline": 0, "maintenance": 0}
    city.apply([change(vehicle(2, at=now()))], Cursor(2, 2))
    assert city.counts(None)["vehicle"]["ok"] == 1
    assert [row[1][-1] for row in city.take_news([None])[None].vehicles] == ["2"]


def test_deleted_thing_is_gone_and_its_row_is_used_again():
    city = picture(vehicle(1, at=now()))
    gone = vehicle(1, at=now())
    city.apply([Change(Cursor(2, 1), now(), "deleted", gone["id"], ["Vehicle"], {}, "")], Cursor(2, 1))
    assert city.take_news([None])[None].gone == [key_of(gone["id"])]
    city.apply([change(vehicle(2, at=now()), "created")], Cursor(2, 3))
    assert city.layers["vehicle"].size == 1
    assert city.counts(None)["vehicle"]["ok"] == 1


def test_columns_grow():
    city = picture(*(streetlight(i, at=now()) for i in range(500)))
    assert city.counts(None)["streetlight"]["ok"] == 500
    assert np.count_nonzero(city.layers["streetlight"].area[:500] >= 0) == 500


NONSENSE = [
    {"type": "Property", "value": "north"},
    {"type": "Property", "value": {"a": [1]}},
    {"type": "Relationship", "object": ["urn:x:1"]},
    {"type": "JsonProperty", "json": None},
    {"type": "ListProperty", "valueList": []},
    {"type": "LanguageProperty", "languageMap": {"es": "x"}},
    [{"type": "Property", "value": "a", "datasetId": "urn:x:d"}, {"type": "Property", "value": 3}],
    None,
]


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_what_any_program_may_send_stops_nobody(nonsense):
    """The NGSI-LD interface takes every attribute kind under every name; the map goes on with what it understands."""
    bus, lamp = vehicle(at=now(), speed=10.0), streetlight()
    city = picture(bus, lamp)
    for entity_type, entity_id in [(one["type"], one["id"]) for one in (bus, lamp)] + [
        ("Alert", "urn:ngsi-ld:Alert:x")
    ]:
        names = (
            "bearing",
            "name",
            "status",
            "routeShortName",
            "location",
            "severity",
            "dateIssued",
            "alertSource",
        )
        attributes = dict.fromkeys(names, nonsense)
        city.apply(
            [Change(Cursor(5, 5), now(), "updated", entity_id, [entity_type], attributes, "")], Cursor(5, 5)
        )
    city.take_news([None])
    list_things(city, Filters(), None)


def test_a_thing_without_location_leaves_the_map():
    bus = vehicle(at=now(), speed=10.0)
    city = picture(bus)
    gone = Change(Cursor(5, 5), now(), "updated", bus["id"], ["Vehicle"], {"location": None}, "")
    city.apply([gone], Cursor(5, 5))
    assert city.counts(None)["vehicle"]["ok"] == 0


def test_many_lamps_at_once_reload_tiles_instead():
    city = picture(*(streetlight(i, at=now()) for i in range(3_100)))
    city.apply([change(streetlight(i, at=now(), powerState="off")) for i in range(3_100)], Cursor(2, 2))
    news = city.take_news([None])[None]
    assert (news.reload_tiles, news.things) == (True, [])


def test_change_of_an_unknown_alert_is_read_whole():
    whole = {
        "id": "urn:ngsi-ld:Alert:t:1", "type": "Alert",
        "severity": {"type": "Property", "value": "high"}, "status": {"type": "Property", "value": "cleared"},
    }  # fmt: skip
    city = Picture(find_areas, lambda _id: whole)
    city.load([], Cursor(1, 1))
    city.apply(
        [
            Change(
                Cursor(2, 1),
                now(),
                "updated",
                whole["id"],
                ["Alert"],
                {"description": {"type": "Property", "value": "x"}},
                "",
            )
        ],
        Cursor(2, 1),
    )
    assert city.visible_alerts(None) == []


def test_tile_holds_each_lamp_once_and_thins_evenly():
    city = picture(*(streetlight(i, at=now(), lon=-73.12 + i / 1e6, lat=7.12) for i in range(600)))

    def tile_at(zoom):
        x, y = _project(np.array([-73.1199]), np.array([7.12]), zoom)
        return streetlight_tile(city, zoom, int(x[0]), int(y[0]))[0]

    key = key_of("urn:ngsi-ld:Streetlight:test:000001")
    assert tile_at(15).count(_varint(key)) == 1
    kept = len(tile_at(9)) / len(tile_at(15))
    assert 1 / 48 / 2 < kept < 1 / 48 * 3
    assert streetlight_tile(city, 15, 0, 0)[0] == b""


def test_tile_is_what_the_specification_says():
    body = encode_points(
        "streetlights", np.array([5]), np.array([25]), np.array([17]), np.array([1], np.uint8)
    )
    # MVT 2.1, section 4.3.5: MoveTo(25, 17) is 9 50 34; feature id 5, tags (0, 1), type POINT
    assert b"\x08\x05\x12\x02\x00\x01\x18\x01\x22\x03\x09\x32\x22" in body


def test_the_box_holds_what_is_shown():
    assert picture().box() is None
    city = picture(vehicle(1, at=now(), lon=-97.75, lat=30.2), vehicle(2, at=now(), lon=-97.6, lat=30.4))
    assert city.box() == pytest.approx((-97.75, 30.2, -97.6, 30.4))
    city.apply([change(vehicle(2, at=now()), "deleted")], Cursor(2, 1))
    assert city.box() == pytest.approx((-97.75, 30.2, -97.75, 30.2))
