"""Receivers that are slow, ill or dead, and what that means for the others; restarts; giving up."""

from __future__ import annotations

import threading
import time
from itertools import pairwise

import psycopg
import pytest

from amb247.context.delivery.policy import Policy, policy_from_environment
from amb247.context.delivery.service import DeliveryService
from amb247.context.domain import subscriptions
from amb247.context.domain.tenants import ensure, inside
from amb247.context.jsonld.context import CORE
from amb247.context.ngsi_errors import ResourceNotFound

from .conftest import eventually, free_port, lamp, put, receiving, shown, subscribe

pytestmark = pytest.mark.integration


def powers(received):
    return [one.entities[0]["power"]["value"] for one in received]


def letters(one):
    return subscriptions.dead_letters(one, limit=100)


@pytest.mark.parametrize("way", [500, 503, 429, 408, "die", "hang"])
def test_trouble_is_tried_again_in_order(engine, receiver, way):
    one = subscribe(receiver, endpoint={"timeout": 400} if way == "hang" else None)
    receiver.behave["/n"] = way
    for power in range(3):
        put(lamp(power=power))
    eventually(lambda: len(receiver.attempts) >= 2)
    assert receiver.received == []
    receiver.behave.clear()
    assert powers(receiver.wait_for(3)) == [0, 1, 2]
    health = eventually(
        lambda: (found := shown(one)["notification"])["timesSent"] - found["timesFailed"] == 3 and found
    )
    assert health["timesFailed"] >= 2
    assert health["status"] == "ok"
    assert "lastFailure" in health
    assert letters(one) == []


def test_closed_port_is_tried_again(engine):
    port = free_port()
    one = subscribe(f"http://127.0.0.1:{port}/n")
    put(lamp(power=1))
    failed = eventually(lambda: (found := shown(one)["notification"])["timesFailed"] >= 2 and found)
    assert failed["status"] == "failed"
    assert "lastSuccess" not in failed
    with receiving(port) as receiver:
        assert powers(receiver.wait_for(1)) == [1]


def test_back_off_grows(engine, receiver):
    subscribe(receiver)
    receiver.behave["/n"] = 500
    put(lamp(power=1))
    eventually(lambda: len(receiver.attempts) >= 5)
    times = [at for _, at in receiver.attempts]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps[0] < 0.12
    assert gaps[3] > 0.18


def test_cooldown_and_retry_after_are_kept(engine, receiver):
    subscribe(receiver, endpoint={"cooldown": 700})
    subscribe(receiver.uri("/later"))
    receiver.behave = {"/n": 500, "/later": (503, b"Retry-After: 1\r\n")}
    put(lamp(power=1))
    eventually(lambda: len(receiver.attempts) >= 4)
    for path, least in (("/n", 0.69), ("/later", 0.99)):
        times = [at for where, at in receiver.attempts if where == path]
        assert times[1] - times[0] >= least


def test_timeout_of_the_endpoint(engine, receiver):
    one = subscribe(receiver, endpoint={"timeout": 100})
    receiver.behave["/n"] = 0.3
    put(lamp(power=1))
    eventually(lambda: shown(one)["notification"]["timesFailed"])
    receiver.behave.clear()
    receiver.wait_for(1)
    assert "no answer within 0.1 s" in (subscriptions.get(one).last_error or "")


def test_ill_receivers_delay_nobody(engine, receiver):
    """Twenty subscriptions that hang, refuse, or fail beside one that is well."""
    receiver.behave = {"/hang": "hang", "/fail": 500, "/slow": 0.4}
    closed = f"http://127.0.0.1:{free_port()}/x"
    for uri in (receiver.uri("/hang"), receiver.uri("/fail"), receiver.uri("/slow"), closed):
        for _ in range(5):
            subscribe(uri)
    subscribe(receiver.uri("/well"))
    for number in range(40):
        put(lamp(number, power=number, sent=time.monotonic()))
        time.sleep(0.01)
    got = receiver.wait_for(40, path="/well")
    delays = sorted(one.at - one.entities[0]["sent"]["value"] for one in got)
    assert delays[-3] < 0.6  # of which nearly all is this busy machine's own


def test_entities_go_side_by_side_but_each_in_order(engine, receiver):
    receiver.behave["/n"] = 0.1
    subscribe(receiver)
    began = time.monotonic()
    for power in range(3):
        put(*[lamp(number, power=power) for number in range(10)])
    got = receiver.wait_for(30)
    assert got[-1].at - began < 2.5  # one by one it would be 3 s
    for number in range(10):
        assert powers(one for one in got if one.entities[0]["id"].endswith(f":{number}")) == [0, 1, 2]


def test_refused_ones_become_dead_letters_and_hold_up_nobody(engine, receiver):
    one = subscribe(receiver)
    receiver.behave["/n"] = lambda document: 400 if document["data"][0]["id"].endswith(":1") else 200
    put(lamp(1, power=1))
    put(lamp(2, power=2))
    receiver.wait_for(1)
    (letter,) = eventually(lambda: letters(one))
    assert letter.entity_id == "urn:ngsi-ld:Lamp:1"
    assert letter.reason == "answered 400 (attempt 3)"
    assert letter.attempts == 3
    assert letter.entities[0]["power"]["value"] == 1
    assert subscriptions.count_waiting([one]) == {one: (0, 1)}

    receiver.behave.clear()
    assert subscriptions.replay(one) == 1
    assert receiver.wait_for(2)[1].document["id"] == letter.id
    eventually(lambda: letters(one) == [])
    eventually(lambda: subscriptions.count_waiting([one]) == {})


def test_replay_of_one_and_forgetting(engine, receiver):
    one = subscribe(receiver)
    receiver.behave["/n"] = 400
    for number in (1, 2, 3):
        put(lamp(number, power=number))
    first, second, third = eventually(lambda: len(found := letters(one)) == 3 and found)
    receiver.behave.clear()
    subscriptions.replay(one, ids=[second.id])
    assert powers(receiver.wait_for(1)) == [2]
    with pytest.raises(ResourceNotFound):
        subscriptions.replay(one, ids=["urn:ngsi-ld:Notification:none"])
    assert subscriptions.forget_dead_letters(one, ids=[third.id]) == 1
    assert [letter.id for letter in letters(one)] == [first.id]
    subscriptions.delete(one)
    assert subscriptions.count_waiting([one]) == {}


def test_poisonous_notification_dies_alone(engine, receiver):
    """It makes the receiver fail each time, while everything else goes through."""
    engine.restart(attempts=4)
    one = subscribe(receiver)
    receiver.behave["/n"] = lambda document: 500 if document["data"][0]["id"].endswith(":1") else 200
    put(lamp(1, power=1))
    for number in range(2, 8):
        put(lamp(number, power=number))
        time.sleep(0.2)
    (letter,) = eventually(lambda: letters(one), timeout_s=15)
    assert letter.entity_id == "urn:ngsi-ld:Lamp:1"
    assert sorted(powers(receiver.wait_for(6))) == [2, 3, 4, 5, 6, 7]


def test_what_an_ill_endpoint_does_not_take_in_time_is_given_up(engine, receiver):
    engine.restart(give_up_s=1.0, memory=5, timeout_s=0.4)
    one = subscribe(receiver)
    receiver.behave["/n"] = "hang"
    for number in range(30):
        put(lamp(number, power=number))
    found = eventually(lambda: len(found := letters(one)) == 30 and found, timeout_s=20)
    assert [letter.entities[0]["power"]["value"] for letter in found] == list(range(30))
    receiver.behave.clear()
    subscriptions.replay(one)
    receiver.wait_for(30)


def test_more_than_fits_into_memory_waits_in_the_table(engine, receiver):
    engine.restart(memory=20)
    one = subscribe(receiver)
    receiver.behave["/n"] = 503
    for power in range(10):
        put(*[lamp(number, power=power) for number in range(30)])
    eventually(lambda: subscriptions.count_waiting([one]).get(one, (0, 0))[0] == 300)
    assert sum(state["waiting"] for state in engine.service.counts()[""]["endpoints"]) <= 60
    receiver.behave.clear()
    got = receiver.wait_for(300, timeout_s=30)
    for number in range(30):
        mine = [one for one in got if one.entities[0]["id"] == f"urn:ngsi-ld:Lamp:{number}"]
        assert powers(mine) == list(range(10))
    eventually(lambda: subscriptions.count_waiting([one]) == {})


def test_pausing_keeps_what_was_on_its_way(engine, receiver):
    one = subscribe(receiver)
    receiver.behave["/n"] = 500
    put(lamp(power=1))
    eventually(lambda: receiver.attempts)
    subscriptions.update(one, {"isActive": False}, CORE, given=None)
    (letter,) = eventually(lambda: letters(one))
    assert "paused" in letter.reason
    receiver.behave.clear()
    receiver.none_within(0.5)
    subscriptions.update(one, {"isActive": True}, CORE, given=None)
    subscriptions.replay(one)
    assert powers(receiver.wait_for(1)) == [1]


def test_new_endpoint_gets_what_the_old_one_did_not_take(engine, receiver):
    one = subscribe(f"http://127.0.0.1:{free_port()}/gone")
    for power in range(5):
        put(lamp(power=power))
    eventually(lambda: shown(one)["notification"]["timesFailed"])
    fragment = {"notification": {"endpoint": {"uri": receiver.uri()}}}
    subscriptions.update(one, fragment, CORE, given=None)
    assert powers(receiver.wait_for(5)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("memory", [1_000, 4])
def test_restart_goes_on_where_it_was(engine, receiver, memory):
    engine.restart(memory=memory)
    one = subscribe(receiver)
    receiver.behave["/n"] = 503
    for power in range(20):
        put(lamp(power=power))
    eventually(lambda: receiver.attempts)
    engine.service.stop()
    for power in range(20, 25):
        put(lamp(power=power))
    sent = shown(one)["notification"]["timesSent"]
    assert len(receiver.attempts) - sent in {0, 1}  # one may have been broken off
    receiver.behave.clear()
    engine.begin()
    assert powers(receiver.wait_for(25)) == list(range(25))
    receiver.none_within(0.3)
    eventually(lambda: shown(one)["notification"]["timesSent"] == sent + 25)


def test_second_process_stands_by_and_takes_over(engine, receiver):
    other = DeliveryService()
    other.start(engine.url, policy=engine.policy)
    try:
        subscribe(receiver)
        put(lamp(power=1))
        receiver.wait_for(1)
        assert not other.is_leading
        engine.service.stop()
        put(lamp(power=2))
        eventually(lambda: other.is_leading)
        put(lamp(power=3))
        # At least once: what was answered while the first one ended may be told again by the second.
        got = receiver.wait_until(lambda found: powers(found)[-1:] == [3])
        assert list(dict.fromkeys(powers(got))) == [1, 2, 3]
    finally:
        other.stop()


def test_lost_database_connection_is_made_again(engine, receiver):
    subscribe(receiver)
    put(lamp(power=1))
    receiver.wait_for(1)
    with psycopg.connect(engine.url, autocommit=True) as own:
        own.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'amb247 delivery%'"
        )
    put(lamp(power=2))
    got = receiver.wait_until(lambda found: powers(found)[-1:] == [2])
    assert powers(got)[0] == 1


def test_connections_that_are_lost_again_and_again_lose_nothing(engine, receiver):
    """Each loss ends the engine's turn at some arbitrary point of its work."""
    subscribe(receiver)
    receiver.behave["/n"] = 0.02
    stopping = threading.Event()

    def disturb():
        with psycopg.connect(engine.url, autocommit=True) as own:
            while not stopping.wait(0.4):
                own.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name LIKE 'amb247 delivery%'"
                )

    disturber = threading.Thread(target=disturb)
    disturber.start()
    for power in range(40):
        put(*[lamp(number, power=power) for number in range(10)])
        time.sleep(0.05)
    stopping.set()
    disturber.join()
    got = receiver.wait_until(lambda found: len({one.document["id"] for one in found}) == 400, timeout_s=30)
    for number in range(10):
        mine = powers(one for one in got if one.entities[0]["id"] == f"urn:ngsi-ld:Lamp:{number}")
        assert list(dict.fromkeys(mine)) == list(range(40))


def test_open_transaction_holds_back_and_then_nothing_is_lost(engine, receiver):
    """Feed order: a change is told only when no earlier transaction can still add one."""
    subscribe(receiver)
    with psycopg.connect(engine.url) as own:
        own.execute("SELECT pg_current_xact_id()")
        put(lamp(power=1))
        receiver.none_within(0.2)
        own.rollback()
        assert powers(receiver.wait_for(1, timeout_s=3)) == [1]


def test_many_writers_at_once_keep_each_entity_in_order(engine, receiver):
    subscribe(receiver)

    def write():
        from django.db import connection

        for _ in range(25):
            put(lamp(1, power=time.monotonic_ns()))
        connection.close()

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with psycopg.connect(engine.url) as own:
        stored = own.execute(
            "SELECT attributes->'power'->>'value' FROM context_change ORDER BY version"
        ).fetchall()
    got = receiver.wait_for(len(stored))
    assert [str(value) for value in powers(got)] == [value for (value,) in stored]


def test_tenants_are_apart(engine, receiver):
    ensure("acme")
    with inside("acme"):
        subscribe(receiver.uri("/acme"))
    with inside("acme"):
        put(lamp(power=7))
    subscribe(receiver.uri("/city"))
    put(lamp(power=1))
    (city,) = receiver.wait_for(1, path="/city")
    (acme,) = receiver.wait_for(1, path="/acme")
    assert "ngsild-tenant" not in city.headers
    assert acme.headers["ngsild-tenant"] == "acme"
    assert powers([city, acme]) == [1, 7]


def test_private_addresses_stay_closed_at_delivery(engine, receiver, monkeypatch):
    """The name was fine when the subscription was made; what it leads to is looked at before each connection."""
    one = subscribe(receiver)
    monkeypatch.setenv("AMB_NGSI_NOTIFY_ALLOW", "")
    put(lamp(power=1))
    (letter,) = eventually(lambda: letters(one))
    assert "may not reach" in letter.reason
    assert receiver.attempts == []


def test_policy_is_set_by_the_environment(monkeypatch):
    monkeypatch.setenv("AMB_NGSI_DELIVERY", "attempts=4, give_up_s=60")
    assert policy_from_environment() == Policy(attempts=4, give_up_s=60.0)
    monkeypatch.setenv("AMB_NGSI_DELIVERY", "tries=4")
    with pytest.raises(ValueError, match="there is no 'tries'"):
        policy_from_environment()
