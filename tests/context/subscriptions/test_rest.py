"""Subscriptions over HTTP, as a client meets them."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading

import httpx
import pytest

from amb247.context.domain import subscriptions
from amb247.context.rest.app import ngsi_app

from .conftest import Served, eventually, lamp, put, subscribe

pytestmark = pytest.mark.integration
BASE = "/ngsi-ld/v1/subscriptions"
TYPES = "https://uri.etsi.org/ngsi-ld/errors/"


@pytest.fixture
def broker(url, monkeypatch):
    monkeypatch.setenv("AMB_NGSI_OPEN", "1")
    served = Served(ngsi_app())
    with httpx.Client(base_url=f"http://127.0.0.1:{served.port}/ngsi-ld/v1", timeout=20) as client:
        yield client
    served.stop()


def document(**members):
    return {
        "type": "Subscription",
        "entities": [{"type": "Lamp"}],
        "notification": {"endpoint": {"uri": "http://127.0.0.1:1/n"}},
        **members,
    }


def made(broker, **members) -> str:
    answer = broker.post("/subscriptions", json=document(**members))
    assert answer.status_code == 201, answer.text
    return answer.headers["location"].rsplit("/", 1)[1]


def test_create_and_retrieve(broker):
    given = document(
        id="urn:ngsi-ld:Subscription:one",
        subscriptionName="lamps",
        description="all of them",
        watchedAttributes=["power"],
        q="power>1",
        scopeQ="/city/#",
        throttling=5,
        expiresAt="2090-01-01T00:00:00Z",
        notificationTrigger=["entityCreated", "attributeUpdated"],
        geoQ={"georel": "within", "geometry": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]},
        notification={
            "attributes": ["power", "location"],
            "format": "concise",
            "showChanges": True,
            "sysAttrs": True,
            "endpoint": {
                "uri": "http://127.0.0.1:1/n",
                "accept": "application/ld+json",
                "timeout": 500,
                "cooldown": 10,
                "receiverInfo": [{"key": "a", "value": "b"}],
            },
        },
    )
    answer = broker.post("/subscriptions", json=given)
    assert answer.status_code == 201
    assert answer.headers["location"] == f"{BASE}/urn:ngsi-ld:Subscription:one"
    assert answer.content == b""
    answer = broker.get("/subscriptions/urn:ngsi-ld:Subscription:one")
    assert answer.status_code == 200
    read = answer.json()
    assert read.pop("status") == "active"
    assert read.pop("isActive") is True
    assert read.pop("expiresAt").startswith("2090-01-01T00:00:00")
    assert (read["notification"].pop("timesSent"), read["notification"].pop("timesFailed")) == (0, 0)
    del given["expiresAt"]
    assert read == given
    with_times = broker.get(answer.request.url, params={"options": "sysAttrs"}).json()
    assert {"createdAt", "modifiedAt"} <= with_times.keys()


def test_names_by_link_context(broker):
    answer = broker.post(
        "/subscriptions",
        headers={"content-type": "application/ld+json"},
        content=json.dumps(
            document(watchedAttributes=["power"])
            | {"@context": {"Lamp": "https://example.org/Lamp", "power": "https://example.org/p"}}
        ),
    )
    assert answer.status_code == 201
    read = broker.get(answer.headers["location"].removeprefix("/ngsi-ld/v1")).json()
    assert read["entities"] == [{"type": "https://example.org/Lamp"}]
    assert read["watchedAttributes"] == ["https://example.org/p"]


def test_list_by_pages(broker):
    names = [made(broker) for _ in range(3)]
    answer = broker.get("/subscriptions", params={"limit": 2, "count": "true"})
    assert [one["id"] for one in answer.json()] == names[:2]
    assert answer.headers["ngsild-results-count"] == "3"
    assert 'rel="next"' in answer.headers["link"]
    answer = broker.get("/subscriptions", params={"limit": 2, "offset": 2})
    assert [one["id"] for one in answer.json()] == names[2:]
    assert broker.get("/subscriptions", params={"limit": 0}).status_code == 400


def test_patch_replaces_members(broker):
    """5.8.2, 5.5.8: `notification` too is replaced as a whole, and must be a whole one."""
    name = made(broker, throttling=5, q="power>1", subscriptionName="a")
    answer = broker.patch(
        f"/subscriptions/{name}",
        json={
            "subscriptionName": "b",
            "q": None,
            "isActive": False,
            "notification": {
                "format": "keyValues",
                "endpoint": {"uri": "http://127.0.0.1:1/n", "accept": "application/ld+json"},
            },
        },
    )
    assert answer.status_code == 204
    read = broker.get(f"/subscriptions/{name}").json()
    assert read["subscriptionName"] == "b"
    assert "q" not in read
    assert (read["isActive"], read["status"]) == (False, "paused")
    assert read["throttling"] == 5
    assert read["notification"]["format"] == "keyValues"
    assert read["notification"]["endpoint"] == {
        "uri": "http://127.0.0.1:1/n",
        "accept": "application/ld+json",
    }
    answer = broker.patch(f"/subscriptions/{name}", json={"notification": {"format": "concise"}})
    assert answer.status_code == 400
    assert "notification.endpoint" in answer.json()["detail"]
    answer = broker.patch(
        f"/subscriptions/{name}", json={"notification": {"endpoint": {"uri": "http://127.0.0.1:1/n"}}}
    )
    assert answer.status_code == 204
    assert "format" not in broker.get(f"/subscriptions/{name}").json()["notification"]


def test_delete(broker):
    name = made(broker)
    assert broker.delete(f"/subscriptions/{name}").status_code == 204
    for answer in (
        broker.get(f"/subscriptions/{name}"),
        broker.delete(f"/subscriptions/{name}"),
        broker.patch(f"/subscriptions/{name}", json={"throttling": 3}),
        broker.get(f"/subscriptions/{name}/deadLetters"),
        broker.get(f"/subscriptions/{name}/events"),
    ):
        assert answer.status_code == 404
        assert answer.json()["type"] == TYPES + "ResourceNotFound"


def test_same_id_twice(broker):
    made(broker, id="urn:ngsi-ld:Subscription:x")
    answer = broker.post("/subscriptions", json=document(id="urn:ngsi-ld:Subscription:x"))
    assert (answer.status_code, answer.json()["type"]) == (409, TYPES + "AlreadyExists")


@pytest.mark.parametrize("name", ["not-a-uri", "a%20b"])
def test_id_must_be_a_uri(broker, name):
    assert broker.get(f"/subscriptions/{name}").status_code == 400
    assert broker.delete(f"/subscriptions/{name}").status_code == 400


def test_tenant_comes_to_be_and_is_apart(broker):
    headers = {"NGSILD-Tenant": "acme"}
    answer = broker.post("/subscriptions", json=document(), headers=headers)
    assert (answer.status_code, answer.headers["ngsild-tenant"]) == (201, "acme")
    assert len(broker.get("/subscriptions", headers=headers).json()) == 1
    assert broker.get("/subscriptions").json() == []
    assert broker.get("/subscriptions", headers={"NGSILD-Tenant": "other"}).status_code == 404


def test_without_token(broker, monkeypatch):
    monkeypatch.delenv("AMB_NGSI_OPEN")
    assert broker.get("/subscriptions").status_code == 401
    assert broker.post("/subscriptions", json=document()).status_code == 401


def test_others_subscriptions_are_as_if_they_were_not_there(url):
    one = subscribe("http://127.0.0.1:1/n", owner="token:a", restriction={"types": ["Lamp"], "areas": None})
    assert [found.id for found in subscriptions.page(limit=10, owner="token:a")] == [one]
    assert subscriptions.page(limit=10, owner="token:b") == []
    assert subscriptions.count(owner="token:b") == 0
    for work in (
        lambda: subscriptions.get(one, owner="token:b"),
        lambda: subscriptions.delete(one, owner="token:b"),
        lambda: subscriptions.replay(one, owner="token:b"),
        lambda: subscriptions.dead_letters(one, owner="token:b", limit=1),
    ):
        with pytest.raises(subscriptions.ResourceNotFound):
            work()


def test_dead_letters_over_http(broker, engine, receiver):
    receiver.behave["/n"] = 410
    name = made(broker, notification={"endpoint": {"uri": receiver.uri()}})
    put(lamp(1, power=1), lamp(2, power=2))
    letters = eventually(
        lambda: len(found := broker.get(f"/subscriptions/{name}/deadLetters").json()) == 2 and found
    )
    assert letters[0]["reason"] == "answered 410 (attempt 3)"
    assert letters[0]["notification"]["subscriptionId"] == name
    receiver.behave.clear()
    answer = broker.post(f"/subscriptions/{name}/deadLetters/{letters[1]['id']}")
    assert (answer.status_code, answer.json()) == (202, {"replayed": 1})
    assert receiver.wait_for(1)[0].document["id"] == letters[1]["id"]
    assert broker.post(f"/subscriptions/{name}/deadLetters").json() == {"replayed": 1}
    receiver.wait_for(2)
    receiver.behave["/n"] = 410
    put(lamp(1, power=3))
    eventually(lambda: broker.get(f"/subscriptions/{name}/deadLetters").json())
    assert broker.delete(f"/subscriptions/{name}/deadLetters").status_code == 204
    assert broker.get(f"/subscriptions/{name}/deadLetters").json() == []


# --- events ----------------------------------------------------------------------------------------------------------


class Watching:
    """A stream of events, read on a thread."""

    def __init__(self, broker, name, **headers) -> None:
        self.events: list[dict[str, str]] = []
        self.started = threading.Event()
        self.connection = http.client.HTTPConnection(broker.base_url.host, broker.base_url.port)
        self.connection.request("GET", f"{BASE}/{name}/events", headers=headers)
        self.sock = self.connection.sock
        self.answer = self.connection.getresponse()
        assert self.answer.headers["content-type"].startswith("text/event-stream")
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        assert self.started.wait(10)

    def run(self) -> None:
        event: dict[str, str] = {}
        with contextlib.suppress(OSError, http.client.HTTPException):
            while line := self.answer.readline():
                self.started.set()
                key, _, value = line.decode().rstrip("\n").partition(": ")
                if not key:
                    if "data" in event:
                        self.events.append(event)
                    event = {}
                event[key] = value

    def wait_for(self, count):
        return eventually(lambda: len(self.events) >= count and list(self.events), timeout_s=10)

    def powers(self):
        return [
            json.loads(one["data"])["data"][0]["power"]["value"]
            for one in self.events
            if one["event"] == "notification"
        ]

    def close(self):
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.thread.join(10)
        self.answer.close()
        self.connection.close()


def test_events_are_the_same_notifications(broker, receiver):
    name = made(broker, q="power>1", notification={"endpoint": {"uri": "sse:events"}})
    watching = Watching(broker, name)
    for power in range(4):
        put(lamp(power=power))
    first = watching.wait_for(2)[0]
    assert watching.powers() == [2, 3]
    assert first["event"] == "notification"
    document = json.loads(first["data"])
    assert (document["type"], document["subscriptionId"]) == ("Notification", name)
    assert "@context" in document

    watching.close()
    put(lamp(power=4))
    again = Watching(broker, name, **{"Last-Event-ID": first["id"]})
    again.wait_for(2)
    assert again.powers() == [3, 4]
    put(lamp(power=5))
    again.wait_for(3)
    assert again.powers() == [3, 4, 5]
    assert broker.delete(f"/subscriptions/{name}").status_code == 204
    assert again.wait_for(4)[-1]["event"] == "end"
    again.thread.join(5)
    assert not again.thread.is_alive()
    again.close()


@pytest.mark.parametrize("join", ["inline", "flat"])
def test_events_tell_linked_entities_too(broker, join):
    put({"id": "urn:ngsi-ld:Pole:1", "type": "Pole", "height": {"type": "Property", "value": 9}})
    name = made(broker, notification={"endpoint": {"uri": "sse:events"}, "join": join})
    watching = Watching(broker, name)
    put(lamp(pole={"type": "Relationship", "object": "urn:ngsi-ld:Pole:1"}))
    (event,) = watching.wait_for(1)
    watching.close()
    told = json.loads(event["data"])["data"]
    pole = told[0]["pole"]["entity"] if join == "inline" else told[1]
    assert (pole["id"], pole["height"]["value"]) == ("urn:ngsi-ld:Pole:1", 9)


def test_events_follow_changes_of_the_subscription(broker):
    name = made(broker)
    watching = Watching(broker, name)
    put(lamp(power=1))
    watching.wait_for(1)
    assert broker.patch(f"/subscriptions/{name}", json={"q": "power>5"}).status_code == 204
    put(lamp(power=2))
    put(lamp(power=7))
    watching.wait_for(2)
    assert watching.powers() == [1, 7]
    watching.close()


def test_events_of_far_back(broker):
    """Further back than what the process keeps in memory."""
    name = made(broker)
    first = Watching(broker, name)
    put(lamp(power=0))
    (start,) = first.wait_for(1)
    first.close()
    for power in range(1, 4):
        put(*[lamp(number, power=power) for number in range(1000)])
    late = Watching(broker, name, **{"Last-Event-ID": start["id"]})
    late.wait_for(3000)
    assert len(late.events) == 3000
    late.close()


@pytest.mark.parametrize(
    ("headers", "status"), [({"Last-Event-ID": "x"}, 400), ({"Accept": "text/html"}, 406)]
)
def test_events_wrongly_asked(broker, headers, status):
    name = made(broker)
    assert broker.get(f"/subscriptions/{name}/events", headers=headers).status_code == status


def test_periodic_has_no_events(broker):
    name = made(broker, timeInterval=60)
    answer = broker.get(f"/subscriptions/{name}/events")
    assert (answer.status_code, answer.json()["type"]) == (422, TYPES + "OperationNotSupported")
