"""What an earlier version of the standard did not have (GS CIM 009 v1.9.1, tables 4.3.6.8-1 to -3)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from amb247.context.documents.represent import Form, represent
from amb247.context.documents.versions import amended, preferred_version
from amb247.context.jsonld.context import CORE
from amb247.context.stored import Stored

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 23, tzinfo=UTC)
AT = "2026-11-23T00:00:00.000Z"


def stored(types=("Bus", "Vehicle"), scope=("/a",), expires_at=NOW, **attributes):
    return Stored("urn:ngsi-ld:Bus:1", list(types), list(scope), attributes, NOW, NOW, expires_at)


@pytest.mark.parametrize(
    ("header", "version"),
    [
        ("ngsi-ld=1.6", (1, 6)),
        ("body=json, ngsi-ld=1.3", (1, 3)),
        ('ngsi-ld="1.8"; x=1', (1, 8)),
        ("NGSI-LD = 1.4", (1, 4)),
        ("ngsi-ld=2.0", (1, 9)),
        ("ngsi-ld=1.12", (1, 9)),
        ("ngsi-ld=1", None),
        ("ngsi-ld=new", None),
        ("return=minimal", None),
        ("", None),
    ],
)
def test_which_version_is_preferred(header, version):
    assert preferred_version(header) == version


def test_what_is_not_newer_stays_the_same_object():
    plain = stored(
        types=["Bus"], scope=[], expires_at=None, speed={"type": "Property", "value": 1, "observedAt": AT}
    )
    assert amended(plain, (1, 3), CORE) is plain
    assert amended(stored(), (1, 9), CORE) is not None


@pytest.mark.parametrize(
    ("kind", "since", "fallback"),
    [
        ({"type": "JsonProperty", "json": {"a": [1]}}, 8, {"type": "Property", "value": {"a": [1]}}),
        ({"type": "VocabProperty", "vocab": ["Bus"]}, 8, {"type": "Property", "value": ["Bus"]}),
        ({"type": "ListProperty", "valueList": [1, 2]}, 8, {"type": "Property", "value": [1, 2]}),
        (
            {"type": "ListRelationship", "objectList": ["urn:a:1", "urn:a:2"]},
            8,
            {"type": "Relationship", "object": ["urn:a:1", "urn:a:2"]},
        ),
        (
            {"type": "LanguageProperty", "languageMap": {"es": "a"}},
            4,
            {"type": "Property", "value": {"es": "a"}},
        ),
    ],
)
def test_kinds_fall_back(kind, since, fallback):
    entity = stored(one=kind, other={"type": "Property", "value": 1, "sub": [kind]})
    assert amended(entity, (1, since), CORE).attributes == entity.attributes
    before = amended(entity, (1, since - 1), CORE)
    assert before.attributes["one"] == fallback
    assert before.attributes["other"]["sub"] == [fallback]
    shown = represent(before, CORE, Form())
    assert shown["one"] == fallback


@pytest.mark.parametrize(
    ("member", "value", "since"),
    [
        ("expiresAt", AT, 9),
        ("observedAt", AT, 3),
        ("unitCode", "KMH", 3),
        ("datasetId", "urn:d:1", 3),
        ("valueType", "https://example.org/Speed", 9),
    ],
)
def test_members_that_are_newer_are_left_out(member, value, since):
    entity = stored(speed={"type": "Property", "value": 1, member: value})
    assert amended(entity, (1, since), CORE).attributes["speed"][member] == value
    assert amended(entity, (1, since - 1), CORE).attributes["speed"] == {"type": "Property", "value": 1}


def test_several_types_instances_scopes_and_the_entitys_end():
    many = [{"type": "Property", "value": 2, "datasetId": "urn:d:1"}, {"type": "Property", "value": 1}]
    entity = stored(speed=many)
    at_1_8, at_1_3, at_1_0 = (amended(entity, (1, minor), CORE) for minor in (8, 3, 0))
    assert (at_1_8.expires_at, at_1_8.scope) == (None, ["/a"])
    assert (at_1_3.scope, at_1_3.types, at_1_3.attributes["speed"]) == ([], ["Bus", "Vehicle"], many)
    assert (at_1_0.types, at_1_0.attributes["speed"]) == (["Bus"], {"type": "Property", "value": 1})
