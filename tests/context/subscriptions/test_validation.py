"""What is no subscription, and which member is said to be wrong."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from amb247.context.documents.subscription import (
    apply_patch,
    interest_of,
    parse_fragment,
    parse_subscription,
    represent_subscription,
)
from amb247.context.domain.endpoints import check_uri, is_allowed, parse_address
from amb247.context.domain.selection import check_queries, restriction_of, stored_restriction
from amb247.context.jsonld.context import CORE
from amb247.context.jsonld.resolve import resolve
from amb247.context.ngsi_errors import BadRequestData

pytestmark = pytest.mark.unit
ENDPOINT = {"uri": "http://example.org/n"}


def raw(**members):
    base = {
        "type": "Subscription",
        "entities": [{"type": "Lamp"}],
        "notification": {"endpoint": ENDPOINT},
    }
    return {key: value for key, value in (base | members).items() if value is not ...}


def notification(**members):
    return raw(notification={"endpoint": ENDPOINT, **members})


def endpoint(**members):
    return raw(notification={"endpoint": {**ENDPOINT, **members}})


WRONG = [
    ([], "object"),
    ("text", "object"),
    (raw(type=...), "type"),
    (raw(type="Subscribe"), "type"),
    (raw(type=["Subscription"]), "type"),
    (raw(id="no uri"), "id"),
    (raw(id=7), "id"),
    (raw(entities=...), "entities"),
    (raw(entities=[]), "entities"),
    (raw(entities={"type": "Lamp"}), "entities"),
    (raw(entities=[{"id": "urn:x:1"}]), "entities[0].type"),
    (raw(entities=[{"type": ""}]), "entities[0].type"),
    (raw(entities=[{"type": "A;(B"}]), "entities[0].type"),
    (raw(entities=[{"type": "Lamp", "id": "no uri"}]), "entities[0].id"),
    (raw(entities=[{"type": "Lamp", "idPattern": "("}]), "entities[0].idPattern"),
    (raw(entities=[{"type": "Lamp"}, "x"]), "entities[1]"),
    (raw(watchedAttributes=[]), "watchedAttributes"),
    (raw(watchedAttributes="power"), "watchedAttributes"),
    (raw(watchedAttributes=[1]), "watchedAttributes[0]"),
    (raw(watchedAttributes=["a b"]), "a b"),
    (raw(notificationTrigger=["entityChanged"]), "notificationTrigger[0]"),
    (raw(notificationTrigger=[]), "notificationTrigger"),
    (raw(timeInterval=0), "timeInterval"),
    (raw(timeInterval=-1), "timeInterval"),
    (raw(timeInterval="5"), "timeInterval"),
    (raw(timeInterval=True), "timeInterval"),
    (raw(timeInterval=5, throttling=5), "timeInterval"),
    (raw(timeInterval=5, watchedAttributes=["a"]), "timeInterval"),
    (raw(timeInterval=5, entities=..., q="a==1"), "entities"),
    (raw(throttling=0), "throttling"),
    (raw(throttling=float("nan")), "throttling"),
    (raw(q=""), "q"),
    (raw(q=5), "q"),
    (raw(scopeQ=[]), "scopeQ"),
    (raw(geoQ="near"), "geoQ"),
    (raw(geoQ={"georel": "within", "geometry": "Point"}), "geoQ.coordinates"),
    (raw(geoQ={"georel": "within", "coordinates": [0, 0]}), "geoQ.geometry"),
    (raw(geoQ={"geometry": "Point", "coordinates": [0, 0]}), "geoQ.georel"),
    (raw(geoQ={"georel": "under", "geometry": "Point", "coordinates": [0, 0]}), "geoQ.georel"),
    (raw(geoQ={"georel": "within", "geometry": "Blob", "coordinates": [0, 0]}), "geoQ.geometry"),
    (raw(geoQ={"georel": "within", "geometry": "Point", "coordinates": "[0"}), "geoQ.coordinates"),
    (raw(isActive="yes"), "isActive"),
    (raw(expiresAt="tomorrow"), "expiresAt"),
    (raw(expiresAt="2090-01-01"), "expiresAt"),
    (raw(expiresAt="2001-01-01T00:00:00Z"), "expiresAt"),
    (raw(expiresAt=5), "expiresAt"),
    (raw(jsonldContext={"a": "b"}), "jsonldContext"),
    (raw(description=None), "description"),
    (raw(q="urn:ngsi-ld:null"), "q"),
    (raw(subscriptionName=""), "subscriptionName"),
    (raw(lang=5), "lang"),
    (raw(notification=...), "notification"),
    (raw(notification=[]), "notification"),
    (raw(notification={}), "notification.endpoint"),
    (raw(notification={"endpoint": {}}), "notification.endpoint.uri"),
    (raw(notification={"endpoint": "http://example.org"}), "notification.endpoint"),
    (endpoint(uri="no uri"), "notification.endpoint.uri"),
    (endpoint(accept="text/html"), "notification.endpoint.accept"),
    (endpoint(timeout=0), "notification.endpoint.timeout"),
    (endpoint(cooldown=-1), "notification.endpoint.cooldown"),
    (endpoint(receiverInfo={"a": "b"}), "notification.endpoint.receiverInfo"),
    (endpoint(receiverInfo=[{"key": "a"}]), "notification.endpoint.receiverInfo[0]"),
    (endpoint(receiverInfo=[{"key": "a", "value": 5}]), "notification.endpoint.receiverInfo[0].value"),
    (endpoint(receiverInfo=[{"key": "a", "value": "x\r\nHost: y"}]), "receiverInfo[0].value"),
    (endpoint(receiverInfo=[{"key": "a: b\r\n", "value": "x"}]), "receiverInfo[0].key"),
    (endpoint(receiverInfo=[{"key": "Content-Length", "value": "0"}]), "receiverInfo[0].key"),
    (endpoint(notifierInfo=[{"key": "MQTT-QoS", "value": "3"}]), "notifierInfo[0].value"),
    (endpoint(notifierInfo=[{"key": "MQTT-Version", "value": "4"}]), "notifierInfo[0].value"),
    (notification(format="xml"), "notification.format"),
    (notification(attributes=[]), "notification.attributes"),
    (notification(attributes=["a"], pick=["a"]), "notification.attributes"),
    (notification(pick=["a"], omit=["a"]), "notification.omit"),
    (notification(showChanges="yes"), "notification.showChanges"),
    (notification(showChanges=True, format="keyValues"), "notification.showChanges"),
    (notification(join="all"), "notification.join"),
    (notification(joinLevel=2), "notification.joinLevel"),
    (notification(join="flat", joinLevel=0), "notification.joinLevel"),
]


@pytest.mark.parametrize(("document", "member"), WRONG)
def test_wrong_member_is_named(document, member):
    with pytest.raises(BadRequestData) as refused:
        parse_subscription(document, CORE)
    assert member in refused.value.detail


@pytest.mark.parametrize(
    "document",
    [
        raw(q="a=="),
        raw(q="a==1;;b"),
        raw(scopeQ="///"),
        raw(geoQ={"georel": "near;maxDistance==-5", "geometry": "Point", "coordinates": [0, 0]}),
        raw(geoQ={"georel": "within", "geometry": "Polygon", "coordinates": [0, 0]}),
        raw(entities=[{"type": "A;;B"}]),
        raw(csf="a=="),
        notification(pick=["a{b"]),
    ],
)
def test_what_could_not_be_matched_is_refused(document):
    from amb247.context.delivery.compiled import form_of

    with pytest.raises(BadRequestData):
        found = parse_subscription(document, CORE)
        check_queries(found, None)
        form_of(found)


def test_names_become_internal_and_back():
    names = resolve({"Lamp": "https://example.org/Lamp", "p": "https://example.org/p"}, fetch=None)
    given = raw(
        entities=[{"type": "(Lamp,Tree);Pole"}],
        watchedAttributes=["p"],
        geoQ={"georel": "within", "geometry": "Point", "coordinates": [0, 0], "geoproperty": "p"},
        notification={"endpoint": ENDPOINT, "pick": ["id", "p{p}"]},
    )
    document = parse_subscription(given, names)
    assert document["entities"] == [{"type": "(https://example.org/Lamp,Tree);Pole"}]
    assert document["watchedAttributes"] == ["https://example.org/p"]
    assert document["notification"]["pick"] == ["id", "https://example.org/p{https://example.org/p}"]
    assert interest_of(document) == ["Pole", "Tree", "https://example.org/Lamp"]
    document["id"] = "urn:x:1"
    assert represent_subscription(document, names) == given | {"id": "urn:x:1"}


def test_what_a_client_read_it_may_send_back():
    given = raw(status="active", createdAt="x", modifiedAt="y", unknown={"a": 1})
    given["notification"] = {"endpoint": ENDPOINT, "timesSent": 4, "lastSuccess": "x"}
    assert parse_subscription(given, CORE) == raw()


def test_interest():
    assert interest_of(parse_subscription(raw(entities=..., watchedAttributes=["a"]), CORE)) == ["*"]
    assert interest_of(parse_subscription(raw(entities=[{"type": "*"}, {"type": "A"}]), CORE)) == ["*"]
    assert interest_of(parse_subscription(raw(timeInterval=5), CORE)) == []


def patched(document, fragment):
    return apply_patch(document, parse_fragment(fragment, CORE, subscription_id="urn:x:1"))


def test_patch():
    """5.5.8: a member is the fragment's, whole; what the fragment's notification does not have is gone."""
    document = parse_subscription(
        raw(throttling=5, q="a==1", notification={"endpoint": ENDPOINT, "format": "concise"}), CORE
    )
    told = {"endpoint": ENDPOINT, "sysAttrs": True}
    after = patched(document, {"throttling": None, "watchedAttributes": ["b"], "notification": told})
    assert after == parse_subscription(
        raw(q="a==1", watchedAttributes=["b"], notification={"endpoint": ENDPOINT, "sysAttrs": True}), CORE
    )
    assert "throttling" in document


@pytest.mark.parametrize(
    ("fragment", "member"),
    [
        ({}, "nothing"),
        ([], "object"),
        ({"id": "urn:x:2", "q": "a"}, "id"),
        ({"type": "Lamp", "q": "a"}, "type"),
        ({"notification": None}, "notification"),
        ({"notification": {"endpoint": {"uri": None}}}, "uri"),
        ({"notification": {"format": "concise"}}, "notification.endpoint"),
        ({"entities": None}, "entities"),
        ({"timeInterval": 5}, "timeInterval"),
        ({"expiresAt": "2001-01-01T00:00:00Z"}, "expiresAt"),
        ({"notification": {"format": "x"}}, "notification.format"),
    ],
)
def test_wrong_patch(fragment, member):
    document = parse_subscription(raw(throttling=5), CORE)
    with pytest.raises(BadRequestData) as refused:
        patched(document, fragment)
    assert member in refused.value.detail


def test_an_expired_subscription_may_still_be_changed():
    document = parse_subscription(
        raw(expiresAt="2030-01-01T00:00:00Z"), CORE, now=datetime(2020, 1, 1, tzinfo=UTC)
    )
    patch = parse_fragment({"description": "old"}, CORE, subscription_id="urn:x:1")
    assert apply_patch(document, patch, now=datetime(2040, 1, 1, tzinfo=UTC))["description"] == "old"


# --- endpoints -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "uri",
    [
        "ftp://example.org/x",
        "http://",
        "http:///path",
        "http://exa mple.org",
        "http://example.org:99999/",
        "http://[::1/",
        "mqtt://example.org",
        "mqtt://example.org/",
        "mqtt://example.org/a/+/b",
        "mqtt://example.org/a/%23",
        "file:///etc/passwd",
        "javascript:alert(1)",
    ],
)
def test_addresses_that_lead_nowhere(uri):
    with pytest.raises(BadRequestData, match=r"notification\.endpoint\.uri"):
        parse_address(uri)


def test_address_is_taken_apart():
    one = parse_address("https://ana:s%40@Example.org:8443/a/b?c=1")
    assert (one.scheme, one.host, one.port, one.path, one.user, one.password) == (
        "https",
        "example.org",
        8443,
        "/a/b?c=1",
        "ana",
        "s@",
    )
    assert one.authority == "example.org:8443"
    assert parse_address("mqtts://h/a/b").port == 8883
    assert parse_address("http://[2001:db8::1]/").authority == "[2001:db8::1]"


CLOSED = [
    "127.0.0.1",
    "10.1.2.3",
    "192.168.0.1",
    "172.16.5.5",
    "169.254.169.254",
    "0.0.0.0",
    "224.0.0.1",
    "[::1]",
    "[fe80::1]",
    "[fd00::1]",
    "[::ffff:10.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "localhost",
]


@pytest.mark.parametrize("host", CLOSED)
def test_addresses_inside_the_network_are_closed(host, monkeypatch):
    monkeypatch.delenv("AMB_NGSI_NOTIFY_ALLOW", raising=False)
    monkeypatch.delenv("AMB_NGSI_OPEN", raising=False)
    with pytest.raises(BadRequestData, match=r"notification\.endpoint\.uri"):
        check_uri(f"http://{host}/x")


def test_the_operator_opens_them(monkeypatch):
    address = parse_address("http://10.1.2.3:8080/x")
    local = parse_address("http://127.0.0.1/x")
    monkeypatch.setenv("AMB_NGSI_OPEN", "1")
    assert is_allowed("127.0.0.1", local)
    assert not is_allowed("10.1.2.3", address)
    monkeypatch.setenv("AMB_NGSI_NOTIFY_ALLOW", "10.1.2.3:8080, broker.local")
    assert is_allowed("10.1.2.3", address)
    assert not is_allowed("10.1.2.3", parse_address("http://10.1.2.3/x"))
    assert is_allowed("10.9.9.9", parse_address("http://broker.local:1234/x"))
    monkeypatch.setenv("AMB_NGSI_NOTIFY_ALLOW", "private")
    assert is_allowed("192.168.7.7", address)
    assert not is_allowed("169.254.169.254", address)


def test_restriction_is_kept_as_it_was():
    stored = {
        "types": ["Lamp"],
        "areas": [{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}],
    }
    again = stored_restriction(restriction_of(stored))
    assert restriction_of(again) == restriction_of(stored)
    assert restriction_of(None) is None
    assert stored_restriction(None) is None
