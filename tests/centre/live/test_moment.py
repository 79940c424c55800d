"""The city at an earlier moment, for all and for those who see only a part of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from amb247.centre.live.moment import city_at
from amb247.centre.live.picture import Picture
from amb247.context import api
from amb247.context.data import Cursor
from amb247.context.vocabulary.alerts import Alert

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def alert(name, lon, at):
    return Alert.entity(
        f"urn:ngsi-ld:Alert:t:{name}", observed_at=at, category="lighting", severity="high", status="active",
        description=name, location=(lon, 7.12), dateIssued=at,
    )  # fmt: skip


def test_alerts_of_other_areas_are_not_replayed_to_who_may_not_see_them():
    now = datetime.now(UTC).replace(microsecond=0)
    issued = now - timedelta(minutes=10)
    api.upsert([alert("west", -73.15, issued), alert("east", -73.05, issued)])
    picture = Picture(lambda lon, _lat: ["68001-01" if x < -73.1 else "68307-02" for x in lon])
    picture.load([], Cursor(1, 1))
    moment = now - timedelta(minutes=5)
    assert sorted(one["description"] for one in city_at(picture, moment, None)["alerts"]) == ["east", "west"]
    west = city_at(picture, moment, frozenset({"68001"}))
    assert [one["description"] for one in west["alerts"]] == ["west"]
    assert west["counts"]["alert"]["high"] == 1
