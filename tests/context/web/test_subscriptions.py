"""Subscriptions for people: how delivery goes, what is done about it and by whom, and what is never shown."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from django.db import connection
from factories import territory as make
from factories.html import inline_code, links

from amb247.context.domain import subscriptions
from amb247.context.jsonld.context import CORE
from amb247.territory import models

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
LIST = "/contexto/suscripciones/"
FIRST = "urn:ngsi-ld:Subscription:primera"
SECOND = "urn:ngsi-ld:Subscription:segunda"
SECRETS = ("clave123", "abc-token", "mqtt-secreta", "api-key-7")


def subscribe(subscription_id: str, uri: str, **endpoint) -> None:
    subscriptions.create(
        {
            "id": subscription_id,
            "type": "Subscription",
            "subscriptionName": subscription_id.rpartition(":")[2].capitalize(),
            "entities": [{"type": "Streetlight"}],
            "watchedAttributes": ["status"],
            "notification": {"endpoint": {"uri": uri, "accept": "application/json", **endpoint}},
        },
        CORE,
        given=None,
        owner="token:abcd",
    )


def letters(subscription_id: str, count: int, *, dead: bool = True) -> list[str]:
    ids = [f"urn:ngsi-ld:Notification:{subscription_id[-7:]}{n}{dead}" for n in range(count)]
    with connection.cursor() as cursor:
        for one in ids:
            cursor.execute(
                "INSERT INTO context_notification (number, id, subscription_id, endpoint, entity_id, notified_at, accept, "
                "entities, attempts, dead_at, reason) VALUES ((SELECT coalesce(max(number), 0) + 1 FROM "
                "context_notification), %s, %s, %s, %s, %s, 'application/json', %s, 5, %s, %s)",
                [
                    one,
                    subscription_id,
                    "https://u:clave123@avisos.example/entrada?key=api-key-7",
                    "urn:ngsi-ld:Streetlight:test:000001",
                    "2026-11-22T20:04:05.000Z",
                    '{"id":"urn:ngsi-ld:Streetlight:test:000001"}',
                    datetime.now(UTC) if dead else None,
                    "HTTP 500 from https://u:clave123@avisos.example/entrada?key=api-key-7" if dead else None,
                ],
            )
    return ids


def health(subscription_id: str, **values) -> None:
    columns = ", ".join(f"{name} = %s" for name in values)
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE context_subscription_health SET {columns} WHERE id = %s",
            [*values.values(), subscription_id],
        )


@pytest.fixture
def subscribed(city, monkeypatch):
    monkeypatch.setattr(subscriptions, "check_uri", lambda _uri: None)
    subscribe(FIRST, "https://avisos.example/primera")
    subscribe(
        SECOND,
        "https://u:clave123@avisos.example/entrada?key=api-key-7",
        receiverInfo=[{"key": "Authorization", "value": "abc-token"}],
        notifierInfo=[{"key": "MQTT-QoS", "value": "1"}, {"key": "password", "value": "mqtt-secreta"}],
    )
    now = datetime.now(UTC)
    health(FIRST, times_sent=12, last_notification=now, last_success=now)
    health(
        SECOND,
        times_sent=3,
        times_failed=5,
        last_success=now - timedelta(hours=2),
        last_failure=now,
        last_error="HTTP 500 from https://u:clave123@avisos.example/entrada?key=api-key-7",
    )
    letters(SECOND, 2)
    letters(SECOND, 1, dead=False)


@pytest.fixture
def manager(subscribed, engineer):
    return engineer


@pytest.fixture
def watcher(subscribed, client):
    """Sees all feeds and manages none."""
    client.force_login(make.person_with("analyst"))
    return client


def rows(page: str) -> list[str]:
    return [
        " ".join(unescape(re.sub("<[^>]+>", " ", one)).split())
        for one in re.findall(r"<tr>.*?</tr>", page.partition("<tbody>")[2], re.DOTALL)
    ]


def test_those_in_trouble_come_first_with_their_figures(watcher):
    page = watcher.get(LIST).content.decode()
    first, second = rows(page)[:2]
    assert first.startswith("Segunda Streetlight · status Falla la entrega")
    assert " 3 5 1 2 " in first
    assert "HTTP 500" in first
    assert second.startswith("Primera Streetlight · status Activa")
    assert " 12 0 0 0 " in second
    assert inline_code(page) == []


def test_no_page_shows_what_opens_an_endpoint(manager):
    for address in (LIST, LIST + SECOND, f"{LIST}accion/pausar/?id={SECOND}"):
        page = manager.get(address).content.decode()
        assert [secret for secret in SECRETS if secret in page] == [], address
    definition = manager.get(LIST + SECOND).content.decode()
    assert "https://•••@avisos.example/entrada?key=•••" in definition
    assert "MQTT-QoS" in definition


def test_one_subscription_tells_its_delivery_and_what_was_given_up(watcher):
    page = watcher.get(LIST + SECOND).content.decode()
    assert "No entregados" in page
    given_up = [row for row in rows(page) if "Streetlight:test:000001" in row]
    assert len(given_up) == 2
    assert "22 nov 2026 15:04:05" in given_up[0]  # local time
    assert "/contexto/entidades/urn:ngsi-ld:Streetlight:test:000001" in links(page)


def test_without_permission_nothing_can_be_done_nor_is_offered(watcher):
    page = watcher.get(LIST + SECOND).content.decode()
    assert not any("/accion/" in link for link in links(page))
    for deed in ("pausar", "reanudar", "reenviar"):
        for method in (watcher.get, watcher.post):
            assert method(f"{LIST}accion/{deed}/?id={SECOND}").status_code in {403, 404}
            assert method(f"{LIST}accion/{deed}/", {"id": SECOND}).status_code == 403
    assert subscriptions.get(SECOND).is_active
    assert subscriptions.count_dead_letters(SECOND) == 2


@pytest.mark.parametrize(("role", "place"), [("data_engineer", "68001"), ("administrator", "68001"), ("viewer", "AMB"), ("analyst", "68001")])  # fmt: skip
def test_delivery_is_nothing_of_one_area(client, subscribed, role, place):
    client.force_login(make.person_with(role, make.models.Area.objects.get(code=place)))
    for address in (LIST, LIST + FIRST, LIST + "urn:no:hay"):
        assert client.get(address).status_code == 403
    assert client.post(f"{LIST}accion/pausar/", {"id": FIRST}).status_code == 403
    assert LIST not in links(client.get("/contexto/").content.decode())


def test_pausing_asks_first_and_is_written_down(manager):
    asked = manager.get(f"{LIST}accion/pausar/", {"id": FIRST})
    assert "¿Pausar las notificaciones?" in asked.content.decode()
    assert subscriptions.get(FIRST).is_active
    done = manager.post(f"{LIST}accion/pausar/", {"id": FIRST})
    assert done["Location"] == LIST + FIRST
    assert not subscriptions.get(FIRST).is_active
    line = models.AuditEntry.objects.latest("id")
    assert (line.verb, line.object_urn, line.actor_id) == ("subscription.pause", FIRST, manager.person.pk)
    assert "Pausada" in manager.get(LIST + FIRST).content.decode()
    manager.post(f"{LIST}accion/reanudar/", {"id": FIRST})
    assert subscriptions.get(FIRST).is_active


def test_everything_given_up_is_sent_again_after_asking(manager):
    assert "¿Enviar otra vez todo" in manager.get(f"{LIST}accion/reenviar/", {"id": SECOND}).content.decode()
    page = manager.post(f"{LIST}accion/reenviar/", {"id": SECOND}, follow=True).content.decode()
    assert "Se envían otra vez 2 notificaciones." in page
    assert subscriptions.count_dead_letters(SECOND) == 0
    assert subscriptions.count_waiting([SECOND]) == {SECOND: (3, 0)}


def test_one_given_up_is_sent_again_alone(manager):
    letter = subscriptions.dead_letters(SECOND, limit=1)[0].id
    asked = manager.get(f"{LIST}accion/reenviar/", {"id": SECOND, "carta": letter}).content.decode()
    assert "¿Enviar otra vez esta notificación" in asked
    assert f'name="carta" value="{letter}"' in asked
    manager.post(f"{LIST}accion/reenviar/", {"id": SECOND, "carta": letter})
    assert subscriptions.count_dead_letters(SECOND) == 1


def test_what_is_not_there_is_said_so(manager):
    assert manager.get(LIST + "urn:no:hay").status_code == 404
    assert manager.post(f"{LIST}accion/reenviar/", {"id": SECOND, "carta": "urn:no"}).status_code == 404
    assert manager.post(f"{LIST}accion/pausar/", {"id": "urn:no:hay"}).status_code == 404
    assert manager.post(f"{LIST}accion/volar/", {"id": FIRST}).status_code == 404


def test_a_refused_change_says_why(manager, monkeypatch):
    from amb247.context.ngsi_errors import BadRequestData

    def refuse(_uri: str) -> None:
        raise BadRequestData("endpoint: is not allowed any more")

    monkeypatch.setattr(subscriptions, "check_uri", refuse)
    answer = manager.post(f"{LIST}accion/pausar/", {"id": FIRST})
    assert answer.status_code == 422
    assert "is not allowed any more" in answer.content.decode()
    assert not models.AuditEntry.objects.filter(verb="subscription.pause").exists()


def test_no_subscriptions_says_how_one_comes_about(engineer):
    assert "Todavía no hay suscripciones" in engineer.get(LIST).content.decode()
