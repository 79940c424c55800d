"""Notifications over MQTT, to brokers that are really running: nats-server (3.1.1) and Mosquitto (5)."""

from __future__ import annotations

import contextlib
import json
import queue

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from amb247.context.domain import subscriptions

from .conftest import eventually, free_port, lamp, put, running, shown, subscribe

pytestmark = pytest.mark.integration


@contextlib.contextmanager
def listening(port: int, topic: str, *, version=MQTTProtocolVersion.MQTTv311, qos=2, user=None):
    """A queue of (message as JSON, qos) that arrive under a topic."""
    arrived: queue.Queue = queue.Queue()
    subscribed: queue.Queue = queue.Queue()
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=version)
    if user:
        client.username_pw_set(*user)
    client.on_message = lambda _c, _d, message: arrived.put((json.loads(message.payload), message.qos))
    client.on_subscribe = lambda *_: subscribed.put(True)
    client.on_connect = lambda c, *_: c.subscribe(topic, qos)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        subscribed.get(timeout=10)
        yield arrived
    finally:
        client.disconnect()
        client.loop_stop()


@pytest.mark.parametrize("qos", [0, 1])
def test_mqtt_3_with_credentials(engine, nats, qos):
    with listening(nats, "city/lamps", user=("city", "secret")) as arrived:
        one = subscribe(
            f"mqtt://city:secret@127.0.0.1:{nats}/city/lamps",
            endpoint={
                "notifierInfo": [
                    {"key": "MQTT-Version", "value": "mqtt3.1.1"},
                    {"key": "MQTT-QoS", "value": str(qos)},
                ],
                "receiverInfo": [{"key": "x-key", "value": "abc"}],
            },
        )
        put(lamp(power=3))
        message, quality = arrived.get(timeout=10)
    assert quality == qos
    assert message["body"]["subscriptionId"] == one
    assert message["body"]["data"][0]["power"]["value"] == 3
    assert message["metadata"]["Content-Type"] == "application/json"
    assert message["metadata"]["x-key"] == "abc"
    assert message["metadata"]["Link"].startswith("<https://uri.etsi.org/ngsi-ld/v1/")
    eventually(lambda: shown(one)["notification"]["timesSent"] == 1)


def test_wrong_credentials_are_a_failure(engine, nats):
    one = subscribe(
        f"mqtt://city:wrong@127.0.0.1:{nats}/t",
        endpoint={"notifierInfo": [{"key": "MQTT-Version", "value": "mqtt3.1.1"}]},
    )
    put(lamp(power=3))
    eventually(lambda: shown(one)["notification"]["timesFailed"])
    assert "lastSuccess" not in shown(one)["notification"]
    assert subscriptions.get(one).last_error


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_mqtt_5(engine, mosquitto, qos):
    with listening(mosquitto, "t/#", version=MQTTProtocolVersion.MQTTv5) as arrived:
        subscribe(
            f"mqtt://127.0.0.1:{mosquitto}/t/a/b",
            endpoint={
                "accept": "application/ld+json",
                "notifierInfo": [{"key": "MQTT-QoS", "value": str(qos)}],
            },
        )
        for power in range(20):
            put(lamp(power=power))
        messages = [arrived.get(timeout=10) for _ in range(20)]
    assert [message["body"]["data"][0]["power"]["value"] for message, _ in messages] == list(range(20))
    assert {quality for _, quality in messages} == {qos}
    message = messages[0][0]
    assert "Link" not in message["metadata"]
    assert "@context" in message["body"]


def test_broker_that_comes_back_gets_everything(engine, tmp_path, mosquitto):
    """Acknowledged ones once, the others when it is there again; topics of one broker share a connection."""
    port = free_port()
    (tmp_path / "m.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n")
    command = ["/usr/sbin/mosquitto", "-c", tmp_path / "m.conf"]
    quality = {"notifierInfo": [{"key": "MQTT-QoS", "value": "1"}]}
    one = subscribe(f"mqtt://127.0.0.1:{port}/one", endpoint=quality)
    subscribe(f"mqtt://127.0.0.1:{port}/two", endpoint=quality)
    with running(command, port), listening(port, "#", version=MQTTProtocolVersion.MQTTv5) as arrived:
        put(lamp(power=1))
        assert [arrived.get(timeout=10)[0]["body"]["data"][0]["power"]["value"] for _ in range(2)] == [1, 1]
    put(lamp(power=2))
    eventually(lambda: shown(one)["notification"]["timesFailed"])
    with running(command, port), listening(port, "#", version=MQTTProtocolVersion.MQTTv5) as arrived:
        put(lamp(power=3))
        got = [arrived.get(timeout=10)[0]["body"]["data"][0]["power"]["value"] for _ in range(2)]
        assert set(got) <= {2, 3}
