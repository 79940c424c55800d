"""/csourceSubscriptions: operations, and what subscribers are told (GS CIM 009 v1.8.1, 5.11, 6.12, 6.13)."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from .conftest import registration

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

ERRORS = "https://uri.etsi.org/ngsi-ld/errors/"
ID = "urn:ngsi-ld:Subscription:1"
CORE = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.8.jsonld"


def subscription(receiver, **more):
    return {
        "id": ID,
        "type": "Subscription",
        "entities": [{"type": "Bus"}],
        "notification": {"endpoint": {"uri": f"{receiver.endpoint}/told", "accept": "application/json"}},
        **more,
    }


def refused(response, status, kind, word=""):
    assert response.status_code == status, response.text
    assert response.json()["type"] == ERRORS + kind
    assert word in response.json()["detail"]


@pytest.fixture
def receiver(second):
    second.replies["POST", "/told"] = (204, None)
    return second


@pytest.fixture
def subscribed(broker, receiver):
    response = broker.post("/csourceSubscriptions", json=subscription(receiver))
    assert response.status_code == 201, response.text
    return broker


def test_create_answers_where_it_is_and_it_comes_out_as_it_went_in(broker, receiver):
    body = subscription(receiver, csf='operator=="ESSA"', description="who has buses", scopeQ="/AMB/#")
    body["temporalQ"] = {"timerel": "after", "timeAt": "2020-01-01T00:00:00Z"}
    response = broker.post("/csourceSubscriptions", json=body)
    assert response.status_code == 201, response.text
    assert response.headers["location"] == f"/ngsi-ld/v1/csourceSubscriptions/{ID}"
    found = broker.get(f"/csourceSubscriptions/{ID}").json()
    assert found == body | {"isActive": True, "status": "active"}


def test_create_twice(subscribed, receiver):
    refused(subscribed.post("/csourceSubscriptions", json=subscription(receiver)), 409, "AlreadyExists")


@pytest.mark.parametrize(
    ("member", "value", "word"),
    [
        ("type", "Something", "type"),
        ("notification", None, "notification"),
        ("notification", {"endpoint": {"uri": "http://10.0.0.7/"}}, "endpoint.uri"),
        ("notification", {"endpoint": {"uri": "sse:"}}, "endpoint.uri"),
        ("entities", None, "entities"),
        ("csf", "((", ""),
        ("temporalQ", {"timerel": "during", "timeAt": "2020-01-01T00:00:00Z"}, "temporalQ.timerel"),
        ("temporalQ", {"timerel": "before"}, "temporalQ.timeAt"),
        ("expiresAt", "2001-01-01T00:00:00Z", "expiresAt"),
    ],
)
def test_create_of_something_else_is_refused(broker, receiver, member, value, word):
    body = {k: v for k, v in (subscription(receiver) | {member: value}).items() if v is not None}
    refused(broker.post("/csourceSubscriptions", json=body), 400, "BadRequestData", word)


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_what_is_not_there(broker, method):
    body = {"json": {"description": "x"}} if method == "PATCH" else {}
    refused(broker.request(method, f"/csourceSubscriptions/{ID}", **body), 404, "ResourceNotFound")
    refused(broker.request(method, "/csourceSubscriptions/one", **body), 400, "BadRequestData")


def test_list(broker, receiver):
    for number in range(3):
        body = subscription(receiver) | {"id": f"urn:ngsi-ld:Subscription:{number}"}
        assert broker.post("/csourceSubscriptions", json=body).status_code == 201
    response = broker.get("/csourceSubscriptions", params={"limit": 2, "count": "true"})
    assert [one["id"][-1] for one in response.json()] == ["0", "1"]
    assert response.headers["NGSILD-Results-Count"] == "3"
    assert 'rel="next"' in response.headers["link"]


def test_update_and_delete(subscribed):
    response = subscribed.patch(f"/csourceSubscriptions/{ID}", json={"isActive": False, "description": "d"})
    assert response.status_code == 204
    found = subscribed.get(f"/csourceSubscriptions/{ID}", params={"options": "sysAttrs"}).json()
    assert (found["status"], found["description"]) == ("paused", "d")
    assert found["modifiedAt"] > found["createdAt"]
    refused(subscribed.patch(f"/csourceSubscriptions/{ID}", json={"csf": "(("}), 400, "BadRequestData")
    assert subscribed.delete(f"/csourceSubscriptions/{ID}").status_code == 204
    assert subscribed.get(f"/csourceSubscriptions/{ID}").status_code == 404


# --- telling ------------------------------------------------------------------------------------------------------


def test_what_fits_already_is_told_first(broker, source, receiver, register):
    fitting = register(source.endpoint, contextSourceInfo=[{"key": "Authorization", "value": "secret"}])
    register(source.endpoint, types=("Tram",))
    assert broker.post("/csourceSubscriptions", json=subscription(receiver)).status_code == 201
    (told,) = receiver.wait_for(1)
    assert told.headers["content-type"] == "application/json"
    assert "json-ld#context" in told.headers["link"]
    body = told.body
    assert body["type"] == "ContextSourceNotification"
    assert body["subscriptionId"] == ID
    assert body["triggerReason"] == "newlyMatching"
    assert [one["id"] for one in body["data"]] == [fitting]
    assert "contextSourceInfo" not in body["data"][0]


def test_what_comes_changes_and_goes_is_told_in_its_order(subscribed, source, receiver, register):
    made = register(source.endpoint)
    path = f"/csourceRegistrations/{made}"
    other = {"information": [{"entities": [{"type": "Tram"}]}]}
    subscribed.patch(path, json={"description": "changed"})
    subscribed.patch(path, json=other)
    subscribed.patch(path, json={"description": "nobody cares"})
    subscribed.patch(path, json={"information": [{"entities": [{"type": "Bus"}]}]})
    subscribed.delete(path)
    told = receiver.wait_for(5)
    time.sleep(0.1)
    assert [one.body["triggerReason"] for one in told] == [
        "newlyMatching",
        "updated",
        "noLongerMatching",
        "newlyMatching",
        "noLongerMatching",
    ]
    assert told[1].body["data"][0]["description"] == "changed"
    found = subscribed.get(f"/csourceSubscriptions/{ID}").json()["notification"]
    assert (found["timesSent"], found["timesFailed"], found["status"]) == (5, 0, "ok")


@pytest.mark.parametrize(
    ("more", "fits"),
    [
        ({"csf": 'operator=="ESSA"'}, True),
        ({"csf": 'operator=="Other"'}, False),
        ({"entities": [{"type": "Bus", "id": "urn:ngsi-ld:Bus:1"}]}, True),
        ({"entities": [{"type": "Tram"}]}, False),
        ({"watchedAttributes": ["speed"]}, True),
        ({"watchedAttributes": ["doors"]}, False),
        ({"scopeQ": "/AMB/#"}, True),
        ({"scopeQ": "/Other"}, False),
        ({"temporalQ": {"timerel": "before", "timeAt": "2020-01-01T00:00:00Z"}}, False),
        ({"isActive": False}, False),
        (
            {"geoQ": {"geometry": "Point", "coordinates": [-73, 7], "georel": "near;maxDistance==100"}},
            True,
        ),
        (
            {"geoQ": {"geometry": "Point", "coordinates": [-70, 7], "georel": "near;maxDistance==100"}},
            False,
        ),
    ],
)
def test_only_what_was_asked_for_is_told(broker, source, receiver, register, more, fits):
    assert broker.post("/csourceSubscriptions", json=subscription(receiver, **more)).status_code == 201
    register(
        source.endpoint,
        operator="ESSA",
        names=["speed"],
        scope="/AMB/North",
        location={"type": "Point", "coordinates": [-73, 7]},
    )
    receiver.wait_for(1, limit_s=5 if fits else 0.2)
    assert len(receiver.asked) == int(fits)


def test_ld_json_and_headers(broker, source, receiver, register):
    body = subscription(receiver)
    body["notification"]["endpoint"] |= {
        "accept": "application/ld+json",
        "receiverInfo": [{"key": "Authorization", "value": "Bearer mine"}],
    }
    headers = {"NGSILD-Tenant": "north"}
    assert broker.post("/csourceSubscriptions", json=body, headers=headers).status_code == 201
    made = registration(source.endpoint)
    assert broker.post("/csourceRegistrations", json=made, headers=headers).status_code == 201
    (told,) = receiver.wait_for(1)
    assert told.headers["content-type"] == "application/ld+json"
    assert told.headers["authorization"] == "Bearer mine"
    assert told.headers["ngsild-tenant"] == "north"
    assert told.body["@context"] == CORE


def test_a_receiver_that_fails_is_tried_again(subscribed, source, receiver, register):
    replies = [(500, None), (204, None)]
    receiver.replies["POST", "/told"] = lambda _: replies.pop(0)
    register(source.endpoint)
    assert len(receiver.wait_for(2)) == 2


def test_a_periodic_one_is_told_now_and_then(broker, source, receiver, register):
    made = register(source.endpoint)
    body = subscription(receiver, timeInterval=1)
    assert broker.post("/csourceSubscriptions", json=body).status_code == 201
    broker.patch(f"/csourceRegistrations/{made}", json={"description": "changed"})
    told = receiver.wait_for(3)
    assert [one.body["triggerReason"] for one in told] == ["newlyMatching", "updated", "updated"]
    assert told[2].body["data"][0]["description"] == "changed"
    assert broker.delete(f"/csourceSubscriptions/{ID}").status_code == 204


@pytest.fixture(scope="module")
def mqtt_port(tmp_path_factory):
    """`nats-server` of the wheel, which speaks MQTT."""
    folder = tmp_path_factory.mktemp("nats")
    with socket.socket() as free, socket.socket() as other:
        free.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        port, own = free.getsockname()[1], other.getsockname()[1]
    (folder / "nats.conf").write_text(
        f'server_name: t\nhost: 127.0.0.1\nport: {own}\njetstream: {{store_dir: "{folder}/js"}}\n'
        f"mqtt: {{host: 127.0.0.1, port: {port}}}\n"
    )
    program = Path(shutil.which("nats-server") or Path(sys.executable).parent / "nats-server")
    with subprocess.Popen(
        [program, "-c", folder / "nats.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        end = time.monotonic() + 10
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield port
        process.terminate()


def test_over_mqtt(broker, source, receiver, register, mqtt_port):
    told = []
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.on_connect = lambda c, *_: c.subscribe("city/sources", qos=1)
    client.on_message = lambda _c, _u, message: told.append(message.payload)
    client.connect("127.0.0.1", mqtt_port)
    client.loop_start()
    try:
        time.sleep(0.5)
        body = subscription(receiver)
        body["notification"]["endpoint"] = {
            "uri": f"mqtt://127.0.0.1:{mqtt_port}/city/sources",
            "notifierInfo": [
                {"key": "MQTT-Version", "value": "mqtt3.1.1"},
                {"key": "MQTT-QoS", "value": "1"},
            ],
        }
        assert broker.post("/csourceSubscriptions", json=body).status_code == 201
        register(source.endpoint)
        end = time.monotonic() + 5
        while not told and time.monotonic() < end:
            time.sleep(0.02)
    finally:
        client.disconnect()
        client.loop_stop()
    assert b'"triggerReason":"newlyMatching"' in told[0]
    assert b'"metadata"' in told[0]
