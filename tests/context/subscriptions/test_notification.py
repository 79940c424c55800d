"""What a notification says, and when there is one."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from amb247.context import api
from amb247.context.domain import subscriptions
from amb247.context.jsonld.context import CORE
from amb247.context.jsonld.resolve import resolve

from .conftest import eventually, lamp, put, shown, subscribe

pytestmark = pytest.mark.integration
CORE_URL = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.8.jsonld"


def no_fetch(url):
    raise AssertionError(url)


def test_notification_says_what_and_of_whom(engine, receiver):
    one = subscribe(receiver)
    put(lamp(power=30))
    (got,) = receiver.wait_for(1)
    document = got.document
    assert document["data"] == [
        {"id": "urn:ngsi-ld:Lamp:1", "type": "Lamp", "power": {"type": "Property", "value": 30}}
    ]
    assert document["type"] == "Notification"
    assert document["subscriptionId"] == one
    assert document["id"].startswith("urn:ngsi-ld:Notification:")
    assert abs(datetime.now(UTC) - datetime.fromisoformat(document["notifiedAt"])) < timedelta(seconds=5)
    assert "@context" not in document
    assert got.headers["content-type"] == "application/json"
    assert got.headers["link"] == (
        f'<{CORE_URL}>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'
    )
    assert "ngsild-tenant" not in got.headers


def test_content_is_the_state_at_the_change(engine, receiver):
    receiver.behave["/n"] = 0.15
    subscribe(receiver)
    for power in range(4):
        put(lamp(power=power, note="same"))
    got = receiver.wait_for(4)
    assert [one.entities[0]["power"]["value"] for one in got] == [0, 1, 2, 3]
    assert all(one.entities[0]["note"]["value"] == "same" for one in got)


def test_counters_follow(engine, receiver):
    one = subscribe(receiver)
    before = shown(one)
    assert before["status"] == "active"
    assert before["notification"]["timesSent"] == 0
    assert "lastNotification" not in before["notification"]
    assert "status" not in before["notification"]
    put(lamp(power=1))
    receiver.wait_for(1)
    after = eventually(lambda: (found := shown(one)["notification"])["timesSent"] and found)
    assert after["timesSent"] == 1
    assert after["timesFailed"] == 0
    assert after["status"] == "ok"
    assert after["lastSuccess"] == after["lastNotification"]
    assert "lastFailure" not in after


@pytest.mark.parametrize(("accept", "has_link"), [("application/json", True), ("application/ld+json", False)])
def test_context_stands_in_the_header_or_in_the_body(engine, receiver, accept, has_link):
    subscribe(receiver, endpoint={"accept": accept})
    put(lamp(power=1))
    (got,) = receiver.wait_for(1)
    assert got.headers["content-type"] == accept
    assert ("link" in got.headers) == has_link
    assert (got.document.get("@context") == CORE_URL) != has_link


def test_geojson(engine, receiver):
    place = {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [-73.1, 7.1]}}
    subscribe(receiver, endpoint={"accept": "application/geo+json"})
    put(lamp(location=place))
    (got,) = receiver.wait_for(1)
    assert got.headers["content-type"] == "application/geo+json"
    assert got.document["data"] == {
        "type": "FeatureCollection",
        "features": [
            {
                "id": "urn:ngsi-ld:Lamp:1",
                "type": "Feature",
                "geometry": place["value"],
                "properties": {"type": "Lamp", "location": place},
            }
        ],
        "@context": CORE_URL,
    }


def test_geojson_without_context_where_the_receiver_prefers_json(engine, receiver):
    subscribe(
        receiver,
        endpoint={
            "accept": "application/geo+json",
            "receiverInfo": [{"key": "Prefer", "value": "body=json"}],
        },
    )
    put(lamp(power=1))
    (got,) = receiver.wait_for(1)
    assert "@context" not in got.document["data"]
    assert got.headers["link"].startswith(f"<{CORE_URL}>")


def test_receiver_info_goes_into_headers_and_credentials_too(engine, receiver):
    uri = receiver.uri("/n?key=1").replace("http://", "http://me:p%40ss@")
    subscribe(uri, endpoint={"receiverInfo": [{"key": "X-Api-Key", "value": "sesame"}]})
    put(lamp(power=1))
    (got,) = receiver.wait_for(1)
    assert got.headers["x-api-key"] == "sesame"
    assert got.headers["authorization"] == "Basic bWU6cEBzcw=="
    assert got.path == "/n?key=1"


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"format": "keyValues"}, {"power": 5, "color": "warm"}),
        ({"format": "simplified"}, {"power": 5, "color": "warm"}),
        ({"format": "concise"}, {"power": 5, "color": "warm"}),
        ({"attributes": ["power"], "format": "keyValues"}, {"power": 5}),
        ({"omit": ["power"], "format": "keyValues"}, {"color": "warm"}),
    ],
)
def test_form_of_the_entities(engine, receiver, how, expected):
    subscribe(receiver, notification=how)
    put(lamp(power=5, color="warm"))
    (got,) = receiver.wait_for(1)
    assert got.entities == [{"id": "urn:ngsi-ld:Lamp:1", "type": "Lamp", **expected}]


def test_pick_says_every_member(engine, receiver):
    subscribe(receiver, notification={"pick": ["id", "power"], "format": "keyValues"})
    put(lamp(power=5, color="warm"))
    (got,) = receiver.wait_for(1)
    assert got.entities == [{"id": "urn:ngsi-ld:Lamp:1", "power": 5}]


def test_system_times_where_asked(engine, receiver):
    subscribe(receiver, notification={"sysAttrs": True})
    put(lamp(power=5))
    (got,) = receiver.wait_for(1)
    (entity,) = got.entities
    assert {"createdAt", "modifiedAt"} <= entity.keys() & entity["power"].keys()


def test_language_of_the_subscription(engine, receiver):
    subscribe(receiver, lang="es", notification={"format": "keyValues"})
    put(lamp(name={"type": "LanguageProperty", "languageMap": {"es": "poste", "en": "pole"}}))
    (got,) = receiver.wait_for(1)
    assert got.entities[0]["name"] == "poste"


def test_names_are_those_of_the_subscriber(engine, receiver):
    given = {"Lamp": "https://example.org/Lamp", "power": "https://example.org/power"}
    theirs = resolve(given, fetch=no_fetch)
    subscribe(receiver, context=theirs, given=given, q="power>1", watchedAttributes=["power"])
    put(
        {
            "id": "urn:ngsi-ld:Lamp:1",
            "type": "https://example.org/Lamp",
            "https://example.org/power": {"type": "Property", "value": 2},
        }
    )
    (got,) = receiver.wait_for(1)
    assert got.entities == [
        {"id": "urn:ngsi-ld:Lamp:1", "type": "Lamp", "power": {"type": "Property", "value": 2}}
    ]


def test_own_context_for_notifications(engine, receiver):
    subscribe(receiver, jsonldContext=CORE_URL)
    put(lamp(power=1))
    (got,) = receiver.wait_for(1)
    assert got.headers["link"].startswith(f"<{CORE_URL}>")


# --- which changes ---------------------------------------------------------------------------------------------------


def told(receiver, *changes, path="/n", **subscription):
    """Which of the changes were told, by their number; a last one shows that all were looked at."""
    subscribe(receiver, **subscription)
    for change in changes:
        change()
    subscribe(receiver.uri("/last"), entities=[{"type": "End"}])
    put({"id": "urn:ngsi-ld:End:1", "type": "End"})
    receiver.wait_for(1, path="/last")
    time.sleep(0.1)
    return [one.entities[0] for one in receiver.received if one.path == path]


def create(**values):
    return lambda: put(lamp(**values))


def remove():
    api.delete(["urn:ngsi-ld:Lamp:1"])


@pytest.mark.parametrize(
    ("triggers", "expected"),
    [
        (None, ["made", "changed", "added"]),
        (["entityCreated"], ["made"]),
        (["entityUpdated"], ["changed", "added"]),
        (["entityDeleted"], ["deleted"]),
        (["attributeCreated"], ["made", "added"]),
        (["attributeUpdated"], ["changed"]),
        (["entityCreated", "entityDeleted"], ["made", "deleted"]),
    ],
)
def test_triggers(engine, receiver, triggers, expected):
    entities = told(
        receiver,
        create(power=1),
        create(power=2),
        create(color="warm"),
        remove,
        notificationTrigger=triggers,
        notification={"format": "keyValues"},
    )

    def kind(entity):
        if "deletedAt" in entity:
            return "deleted"
        return "added" if "color" in entity else {1: "made", 2: "changed"}[entity["power"]]

    assert [kind(one) for one in entities] == expected


def test_only_watched_attributes_trigger(engine, receiver):
    entities = told(
        receiver,
        create(power=1, color="warm"),
        create(color="cold"),
        create(power=2),
        watchedAttributes=["power"],
        notification={"format": "keyValues"},
    )
    assert [(one["power"], one["color"]) for one in entities] == [(1, "warm"), (2, "cold")]


def test_watching_without_entities(engine, receiver):
    entities = told(receiver, create(power=1), create(color="x"), entities=None, watchedAttributes=["power"])
    assert len(entities) == 1


def test_conditions(engine, receiver):
    place = {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [-73.1, 7.1]}}
    far = {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [-70, 7.1]}}
    entities = told(
        receiver,
        create(power=1, location=place),
        create(power=9, location=far),
        create(power=10, location=place),
        q="power>5",
        geoQ={"georel": "near;maxDistance==1000", "geometry": "Point", "coordinates": [-73.1, 7.1]},
        notification={"format": "keyValues"},
    )
    assert [one["power"] for one in entities] == [10]


@pytest.mark.parametrize(
    ("selectors", "expected"),
    [
        ([{"type": "Lamp", "id": "urn:ngsi-ld:Lamp:2"}], [2]),
        ([{"type": "Lamp", "id": ["urn:ngsi-ld:Lamp:2", "urn:ngsi-ld:Lamp:3"]}], [2, 3]),
        ([{"type": "Lamp", "idPattern": ":[12]$"}], [1, 2]),
        ([{"type": "Lamp,Tree"}], [1, 2, 3]),
        ([{"type": "Tree"}], []),
        ([{"type": "*"}], [1, 2, 3]),
        ([{"type": "Tree"}, {"type": "Lamp", "idPattern": "3$"}], [3]),
    ],
)
def test_selectors(engine, receiver, selectors, expected):
    entities = told(
        receiver,
        *[lambda number=number: put(lamp(number, power=1)) for number in (1, 2, 3)],
        entities=selectors,
    )
    assert sorted(int(one["id"][-1]) for one in entities if one["type"] == "Lamp") == expected


@pytest.mark.parametrize(
    ("value", "literal"),
    [("a", '"a"'), (1, "1"), (1.0, "1"), (1.5, "1.5"), (True, "true"), (["a", "b"], '"a"')],
)
def test_equality_finds_by_any_kind_of_value(engine, receiver, value, literal):
    """The index by value must agree with the matching by condition."""
    instance = {"type": "Property", "value": value}
    entities = told(receiver, create(state=instance), create(state="other"), q=f"state=={literal}")
    assert len(entities) == 1


def test_restriction_of_the_token_holds_for_notifications(engine, receiver):
    square = {"type": "Polygon", "coordinates": [[[-74, 7], [-73, 7], [-73, 8], [-74, 8], [-74, 7]]]}
    place = {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [-73.1, 7.1]}}
    elsewhere = {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [-72.1, 7.1]}}
    entities = told(
        receiver,
        lambda: put(lamp(1, location=elsewhere)),
        lambda: put(lamp(2, location=place)),
        lambda: put(lamp(3, power=1)),
        lambda: put(lamp(2, location=elsewhere)),
        lambda: put({"id": "urn:ngsi-ld:Tree:1", "type": "Tree", "location": place}),
        entities=[{"type": "*"}],
        restriction={"types": ["Lamp"], "areas": [square]},
    )
    assert [one["id"] for one in entities] == ["urn:ngsi-ld:Lamp:2"]


def test_nothing_while_paused_or_expired(engine, receiver):
    one = subscribe(receiver)
    subscriptions.update(one, {"isActive": False}, CORE, given=None)
    assert shown(one)["status"] == "paused"
    put(lamp(power=1))
    receiver.none_within(0.3)
    subscriptions.update(one, {"isActive": True}, CORE, given=None)
    put(lamp(power=2))
    receiver.wait_for(1)
    soon = (datetime.now(UTC) + timedelta(seconds=0.4)).isoformat()
    subscriptions.update(one, {"expiresAt": soon}, CORE, given=None)
    put(lamp(power=3))
    receiver.wait_for(2)
    time.sleep(0.4)
    assert shown(one)["status"] == "expired"
    put(lamp(power=4))
    receiver.none_within(0.3)
    assert [got.entities[0]["power"]["value"] for got in receiver.received] == [2, 3]


def test_changes_from_before_a_subscription_are_not_told(engine, receiver):
    subscribe(receiver.uri("/other"))
    for power in range(5):
        put(lamp(power=power))
    subscribe(receiver)
    put(lamp(power=7))
    receiver.wait_for(1, path="/n")
    receiver.wait_for(6, path="/other")
    assert [one.entities[0]["power"]["value"] for one in receiver.received if one.path == "/n"] == [7]


def test_a_new_subscription_misses_nothing(engine, receiver):
    """Made and at once followed by a change, again and again, while others write."""
    for number in range(20):
        subscribe(receiver.uri(f"/{number}"), entities=[{"type": "Lamp", "id": f"urn:ngsi-ld:Lamp:{number}"}])
        put(lamp(number, power=number))
    receiver.wait_for(20)
    assert {one.path for one in receiver.received} == {f"/{number}" for number in range(20)}


def test_deleted_subscription_is_told_nothing(engine, receiver):
    one = subscribe(receiver)
    put(lamp(power=1))
    receiver.wait_for(1)
    subscriptions.delete(one)
    put(lamp(power=2))
    receiver.none_within(0.3)


# --- what changed ----------------------------------------------------------------------------------------------------


def test_show_changes(engine, receiver):
    kinds = {
        "power": ({"type": "Property", "value": 1}, {"type": "Property", "value": 2}, "previousValue", 1),
        "group": (
            {"type": "Relationship", "object": "urn:ngsi-ld:G:1"},
            {"type": "Relationship", "object": "urn:ngsi-ld:G:2"},
            "previousObject",
            "urn:ngsi-ld:G:1",
        ),
        "name": (
            {"type": "LanguageProperty", "languageMap": {"es": "a"}},
            {"type": "LanguageProperty", "languageMap": {"es": "b"}},
            "previousLanguageMap",
            {"es": "a"},
        ),
    }
    put(lamp(**{name: was for name, (was, *_) in kinds.items()}, still=1))
    subscribe(receiver, notification={"showChanges": True})
    put(lamp(**{name: now for name, (_, now, *_) in kinds.items()}, fresh=1))
    (got,) = receiver.wait_for(1)
    (entity,) = got.entities
    for name, (_, now, previous, value) in kinds.items():
        assert entity[name] == {**now, previous: value}
    assert entity["still"] == {"type": "Property", "value": 1}
    assert entity["fresh"] == {"type": "Property", "value": 1}


def test_deletion_of_an_entity(engine, receiver):
    put(lamp(power=1))
    subscribe(receiver, notificationTrigger=["entityDeleted"])
    subscribe(receiver.uri("/all"), notificationTrigger=["entityDeleted"], notification={"showChanges": True})
    remove()
    (got,) = receiver.wait_for(1, path="/n")
    (entity,) = got.entities
    assert entity.keys() == {"id", "type", "deletedAt"}
    (got,) = receiver.wait_for(1, path="/all")
    assert got.entities[0]["power"] == {
        "type": "Property",
        "value": "urn:ngsi-ld:null",
        "previousValue": 1,
    }


# --- throttling and intervals ----------------------------------------------------------------------------------------


def test_throttling_tells_the_last_state_of_each_entity_when_it_has_elapsed(engine, receiver):
    subscribe(receiver, throttling=1)
    put(lamp(1, power=0))
    (first,) = receiver.wait_for(1)
    for power in (1, 2, 3):
        put(lamp(1, power=power))
    put(lamp(2, power=9))
    second = receiver.wait_for(2)[1]
    assert second.at - first.at >= 0.9
    assert {one["id"][-1]: one["power"]["value"] for one in second.entities} == {"1": 3, "2": 9}
    receiver.none_within(1.2)


def test_throttled_state_survives_a_restart(engine, receiver):
    subscribe(receiver, throttling=2)
    put(lamp(1, power=0))
    receiver.wait_for(1)
    put(lamp(1, power=1))
    time.sleep(0.1)
    engine.restart()
    got = receiver.wait_for(2)
    assert got[1].entities[0]["power"]["value"] == 1
    assert got[1].at - got[0].at >= 1.8
    receiver.none_within(0.3)


def test_periodic_notifications_hold_all_that_match(engine, receiver):
    for number in (1, 2, 3):
        put(lamp(number, power=number))
    one = subscribe(receiver, timeInterval=0.5, q="power>1")
    first, second = receiver.wait_for(2)
    assert [entity["id"][-1] for entity in first.entities] == ["2", "3"]
    assert 0.4 <= second.at - first.at <= 1.5
    subscriptions.update(one, {"isActive": False}, CORE, given=None)
    time.sleep(0.2)
    receiver.none_within(0.8)


def test_linked_entities(engine, receiver):
    put({"id": "urn:ngsi-ld:Pole:1", "type": "Pole", "height": {"type": "Property", "value": 9}})
    subscribe(receiver, notification={"join": "inline", "joinLevel": 1})
    subscribe(receiver.uri("/flat"), notification={"join": "flat"})
    put(lamp(pole={"type": "Relationship", "object": "urn:ngsi-ld:Pole:1"}))
    (got,) = receiver.wait_for(1, path="/n")
    assert got.entities[0]["pole"]["entity"]["height"]["value"] == 9
    (got,) = receiver.wait_for(1, path="/flat")
    assert [one["id"] for one in got.entities] == ["urn:ngsi-ld:Lamp:1", "urn:ngsi-ld:Pole:1"]
