from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
import shapely

from amb247.context.querying.query import Restriction
from amb247.context.rest.access import Access

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

CAR = "urn:ngsi-ld:Vehicle:B9211"
VAN = "urn:ngsi-ld:Vehicle:A8311"
PATH = f"/temporal/entities/{CAR}"
NOON = {"timerel": "between", "timeAt": "2026-08-01T12:00:00Z", "endTimeAt": "2026-08-01T13:00:00Z"}
TYPED = {"type": "Vehicle", **NOON}


def speed(*pairs, **more) -> list[dict]:
    return [
        {"type": "Property", "value": value, "observedAt": f"2026-08-01T{time}Z", **more}
        for value, time in pairs
    ]


def problem(response, status: int, kind: str, field: str = "") -> None:
    assert response.status_code == status, response.text
    document = response.json()
    assert document["type"] == f"https://uri.etsi.org/ngsi-ld/errors/{kind}"
    assert document["detail"].startswith(field), document["detail"]


@pytest.fixture
def car(broker):
    made = broker.post(
        "/temporal/entities",
        json={
            "id": CAR,
            "type": "Vehicle",
            "scope": "/Madrid/Centro",
            "speed": speed((120, "12:03:00"), (80, "12:05:00"), (100, "12:07:00"), unitCode="KMH"),
            "brandName": [{"type": "Property", "value": "Volvo", "observedAt": "2026-08-01T12:00:00Z"}],
            "owner": [
                {
                    "type": "Relationship",
                    "object": "urn:ngsi-ld:Person:1",
                    "observedAt": "2026-08-01T12:30:00Z",
                }
            ],
        },
    )
    assert made.status_code == 201
    return made


def instances(broker, name: str = "speed", **parameters) -> list[dict]:
    found = broker.get(PATH, params=parameters)
    assert found.status_code in {200, 206}, found.text
    return found.json().get(name, [])


# --- writing ----------------------------------------------------------------------------------------------------


def test_create_then_add(broker, car):
    assert car.headers["location"] == f"/ngsi-ld/v1/temporal/entities/{CAR}"
    again = broker.post(
        "/temporal/entities", json={"id": CAR, "type": ["Vehicle", "Car"], "speed": speed((60, "12:09:00"))}
    )
    assert (again.status_code, again.content) == (204, b"")
    document = broker.get(PATH).json()
    assert document["type"] == ["Vehicle", "Car"]
    assert [one["value"] for one in document["speed"]] == [120, 80, 100, 60]
    assert broker.get(f"/entities/{CAR}").status_code == 404


def test_create_from_the_simplified_representation(broker):
    made = broker.post(
        "/temporal/entities",
        json={
            "id": CAR,
            "type": "Vehicle",
            "speed": {
                "type": "Property",
                "values": [[1, "2026-08-01T12:00:00Z"], [2, "2026-08-01T12:01:00Z"]],
            },
            "says": {
                "type": "LanguageProperty",
                "languageMaps": [[{"languageMap": {"en": "yes"}}, "2026-08-01T12:00:00Z"]],
            },
        },
    )
    assert made.status_code == 201
    assert [one["value"] for one in instances(broker)] == [1, 2]
    assert instances(broker, "says")[0]["languageMap"] == {"en": "yes"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"type": "Vehicle", "speed": speed((1, "12:00:00"))}, "id"),
        ({"id": CAR, "speed": speed((1, "12:00:00"))}, "type"),
        ({"id": "car", "type": "Vehicle"}, "id"),
        ({"id": CAR, "type": "Vehicle", "speed": [7]}, "speed"),
        ({"id": CAR, "type": "Vehicle", "speed": [{"type": "Property"}]}, "speed"),
        ({"id": CAR, "type": "Vehicle", "speed": {"type": "Property", "values": [7]}}, "speed"),
        (
            {"id": CAR, "type": "Vehicle", "speed": {"type": "Property", "value": 1, "observedAt": "now"}},
            "speed",
        ),
        (
            {
                "id": CAR,
                "type": "Vehicle",
                "speed": {"type": "Property", "value": 1, "observedAt": "2999-01-01T00:00:00Z"},
            },
            "observedAt",
        ),
        (
            {
                "id": CAR,
                "type": "Vehicle",
                "speed": {"type": "Property", "value": 1, "observedAt": "1066-01-01T00:00:00Z"},
            },
            "observedAt",
        ),
        ({"id": CAR, "type": "Vehicle", "@context": {}}, "@context"),
    ],
)
def test_what_is_wrong_is_refused_and_leaves_nothing(broker, body, field):
    problem(broker.post("/temporal/entities", json=body), 400, "BadRequestData", field)
    assert broker.get(PATH).status_code == 404


def test_writing_the_past_leaves_the_state(broker):
    state = {"id": CAR, "type": "Vehicle", "speed": speed((50, "12:00:00"))[0]}
    assert broker.post("/entities", json=state).status_code == 201
    added = {
        "id": CAR,
        "type": ["Vehicle", "Car"],
        "speed": speed((70, "12:30:00")),
        "fuel": speed((1, "12:00:00")),
    }
    assert broker.post("/temporal/entities", json=added).status_code == 204
    now = broker.get(f"/entities/{CAR}").json()
    assert (now["type"], now["speed"]["value"], "fuel" in now) == ("Vehicle", 50, False)
    assert [one["value"] for one in instances(broker)] == [50, 70]


def test_add_attributes(broker, car):
    added = broker.post(
        f"{PATH}/attrs", json={"fuel": speed((30, "12:00:00")), "speed": speed((60, "12:09:00"))}
    )
    assert added.status_code == 204
    assert [one["value"] for one in instances(broker, "fuel")] == [30]
    assert len(instances(broker)) == 4
    assert broker.post(f"{PATH}/attrs", json={"fuel": [3]}).status_code == 400
    assert (
        broker.post("/temporal/entities/car/attrs", json={"fuel": speed((1, "12:00:00"))}).status_code == 400
    )
    missing = broker.post(f"/temporal/entities/{VAN}/attrs", json={"fuel": speed((1, "12:00:00"))})
    problem(missing, 404, "ResourceNotFound")


def test_delete_an_attribute(broker, car):
    dataset = "urn:ngsi-ld:Dataset:gps"
    broker.post(f"{PATH}/attrs", json={"speed": speed((55, "12:03:00"), datasetId=dataset)})
    assert broker.delete(f"{PATH}/attrs/speed").status_code == 204
    assert [one["value"] for one in instances(broker)] == [55]
    problem(broker.delete(f"{PATH}/attrs/speed"), 404, "ResourceNotFound")
    assert broker.delete(f"{PATH}/attrs/speed", params={"datasetId": dataset}).status_code == 204
    assert instances(broker) == []
    broker.post(
        f"{PATH}/attrs", json={"speed": [*speed((1, "12:00:00")), *speed((2, "12:00:00"), datasetId=dataset)]}
    )
    assert broker.delete(f"{PATH}/attrs/speed", params={"deleteAll": "true"}).status_code == 204
    assert instances(broker) == []
    problem(broker.delete(f"{PATH}/attrs/unknown"), 404, "ResourceNotFound")
    problem(broker.delete(f"{PATH}/attrs/bad name"), 400, "BadRequestData")
    problem(broker.delete(f"/temporal/entities/{VAN}/attrs/speed"), 404, "ResourceNotFound")
    assert broker.delete(f"{PATH}/attrs/brandName", params={"deleteAll": "perhaps"}).status_code == 400


def test_modify_an_instance(broker, car):
    before = instances(broker, options="sysAttrs")
    one = before[1]["instanceId"]
    changed = broker.patch(f"{PATH}/attrs/speed/{one}", json={"speed": speed((85, "12:06:00"))})
    assert changed.status_code == 204, changed.text
    after = instances(broker, options="sysAttrs")
    assert [instance["value"] for instance in after] == [120, 85, 100]
    assert after[1]["instanceId"] == one
    assert (after[1]["createdAt"], after[1]["observedAt"]) == (before[1]["createdAt"], "2026-08-01T12:06:00Z")
    assert after[1]["modifiedAt"] > before[1]["modifiedAt"]
    for body in ({"speed": speed((1, "12:00:00"), (2, "12:01:00"))}, {"fuel": speed((1, "12:00:00"))}, {}):
        assert broker.patch(f"{PATH}/attrs/speed/{one}", json=body).status_code == 400
    good = {"speed": speed((1, "12:00:00"))}
    assert broker.patch(f"{PATH}/attrs/speed/seven", json=good).status_code == 400
    for path in (
        f"{PATH}/attrs/speed/urn:ngsi-ld:Instance:1",
        f"{PATH}/attrs/speed/urn:x:y",
        f"{PATH}/attrs/fuel/{one}",
    ):
        body = {path.split("/")[-2]: good["speed"]}
        problem(broker.patch(path, json=body), 404, "ResourceNotFound")
    problem(broker.patch(f"/temporal/entities/{VAN}/attrs/speed/{one}", json=good), 404, "ResourceNotFound")
    assert [instance["value"] for instance in instances(broker)] == [120, 85, 100]


def test_modify_an_instance_into_another_day(broker, car):
    one = instances(broker)[0]["instanceId"]
    moved = {"type": "Property", "value": 7, "observedAt": "2026-09-03T00:00:00Z"}
    assert broker.patch(f"{PATH}/attrs/speed/{one}", json={"speed": [moved]}).status_code == 204
    assert [i["value"] for i in instances(broker)] == [80, 100, 7]


def test_delete_an_instance(broker, car):
    one = instances(broker)[1]["instanceId"]
    assert broker.delete(f"{PATH}/attrs/speed/{one}").status_code == 204
    assert [i["value"] for i in instances(broker)] == [120, 100]
    problem(broker.delete(f"{PATH}/attrs/speed/{one}"), 404, "ResourceNotFound")
    problem(broker.delete(f"{PATH}/attrs/speed/seven"), 400, "BadRequestData")


def test_delete_the_whole_evolution(broker, car):
    assert broker.delete(PATH).status_code == 204
    problem(broker.delete(PATH), 404, "ResourceNotFound")
    problem(broker.get(PATH), 404, "ResourceNotFound")
    problem(broker.delete("/temporal/entities/car"), 400, "BadRequestData")


# --- one entity -------------------------------------------------------------------------------------------------


def test_normalized(broker, car):
    found = broker.get(PATH, params=NOON)
    assert found.headers["content-type"] == "application/json"
    assert 'rel="http://www.w3.org/ns/json-ld#context"' in found.headers["link"]
    document = found.json()
    for name in ("speed", "brandName", "owner"):
        for one in document[name]:
            assert one.pop("instanceId").startswith("urn:ngsi-ld:Instance:")
    assert document.pop("scope")[0]["value"] == "/Madrid/Centro"
    assert document == {
        "id": CAR,
        "type": "Vehicle",
        "speed": [
            {
                "type": "Property",
                "value": value,
                "unitCode": "KMH",
                "observedAt": f"2026-08-01T12:0{minute}:00Z",
            }
            for value, minute in ((120, 3), (80, 5), (100, 7))
        ],
        "brandName": [{"type": "Property", "value": "Volvo", "observedAt": "2026-08-01T12:00:00Z"}],
        "owner": [
            {"type": "Relationship", "object": "urn:ngsi-ld:Person:1", "observedAt": "2026-08-01T12:30:00Z"}
        ],
    }


def test_temporal_values_of_every_kind(broker):
    when = "2026-08-01T12:00:00Z"
    kinds = {
        "a": ({"type": "Property", "value": {"x": 1}}, "values", {"x": 1}),
        "b": ({"type": "Relationship", "object": "urn:a:b"}, "objects", "urn:a:b"),
        "c": (
            {"type": "LanguageProperty", "languageMap": {"en": "yes"}},
            "languageMaps",
            {"languageMap": {"en": "yes"}},
        ),
        "d": ({"type": "VocabProperty", "vocab": "Male"}, "vocabs", {"vocab": "Male"}),
        "e": ({"type": "JsonProperty", "json": {"id": 1}}, "jsons", {"json": {"id": 1}}),
        "f": ({"type": "ListProperty", "valueList": [1, 2]}, "valueLists", [1, 2]),
        "g": ({"type": "ListRelationship", "objectList": ["urn:a:b"]}, "objectLists", ["urn:a:b"]),
        "h": ({"type": "Relationship", "object": ["urn:a:b", "urn:a:c"]}, "objects", ["urn:a:b", "urn:a:c"]),
        "location": (
            {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [1.5, 2.5]}},
            "values",
            {"type": "Point", "coordinates": [1.5, 2.5]},
        ),
    }
    body = {name: [{**given, "observedAt": when}] for name, (given, _, _) in kinds.items()}
    assert broker.post("/temporal/entities", json={"id": CAR, "type": "Vehicle", **body}).status_code == 201
    for parameters in ({"options": "temporalValues"}, {"format": "temporalValues"}, {"format": "simplified"}):
        document = broker.get(PATH, params={**NOON, **parameters}).json()
        for name, (given, plural, value) in kinds.items():
            assert document[name] == {"type": given["type"], plural: [[value, when]]}
    in_words = broker.get(PATH, params={**NOON, "format": "temporalValues", "lang": "en"}).json()
    assert in_words["c"] == {"type": "Property", "values": [["yes", when]]}
    normal = broker.get(PATH, params={**NOON, "lang": "en"}).json()
    assert {k: normal["c"][0][k] for k in ("type", "value", "lang")} == {
        "type": "Property",
        "value": "yes",
        "lang": "en",
    }


def test_datasets_are_told_apart(broker, car):
    dataset = "urn:ngsi-ld:Dataset:gps"
    broker.post(f"{PATH}/attrs", json={"speed": speed((55, "12:03:00"), datasetId=dataset)})
    found = broker.get(PATH, params={**NOON, "format": "temporalValues", "attrs": "speed"}).json()["speed"]
    assert sorted((one.get("datasetId"), len(one["values"])) for one in found if "datasetId" in one) == [
        (dataset, 1)
    ]
    assert [len(one["values"]) for one in found if "datasetId" not in one] == [3]
    chosen = broker.get(PATH, params={**NOON, "datasetId": dataset}).json()
    assert [one["value"] for one in chosen["speed"]] == [55]
    assert "brandName" not in chosen
    assert [one["value"] for one in instances(broker, **NOON, datasetId="@none")] == [120, 80, 100]
    sums = broker.get(
        PATH, params={**NOON, "format": "aggregatedValues", "aggrMethods": "sum", "attrs": "speed"}
    )
    assert {one.get("datasetId"): one["sum"][0][0] for one in sums.json()["speed"]} == {
        None: 300,
        dataset: 55,
    }


def test_system_attributes(broker, car):
    document = broker.get(PATH, params={"options": "sysAttrs"}).json()
    assert {"createdAt", "modifiedAt"} <= document.keys()
    assert all({"createdAt", "modifiedAt"} <= one.keys() for one in document["speed"])
    plain = broker.get(PATH).json()
    assert not {"createdAt", "modifiedAt"} & plain.keys()
    assert all(not {"createdAt", "modifiedAt"} & one.keys() for one in plain["speed"])


def test_by_other_times(broker, car):
    now = datetime.now(UTC)
    for name in ("createdAt", "modifiedAt"):
        recent = {
            "timerel": "after",
            "timeAt": (now - timedelta(minutes=5)).isoformat(),
            "timeproperty": name,
        }
        found = instances(broker, **recent)
        assert [one["value"] for one in found] == [120, 80, 100]
        assert all(name in one for one in found)
        assert instances(broker, **{**recent, "timerel": "before"}) == []
    simple = broker.get(
        PATH,
        params={
            "timerel": "after",
            "timeAt": (now - timedelta(minutes=5)).isoformat(),
            "timeproperty": "modifiedAt",
            "format": "temporalValues",
        },
    ).json()
    assert all(
        time.startswith(str(now.year)) and not time.startswith("2026-08-01T12")
        for _, time in simple["speed"]["values"]
    )


def test_deletions_are_remembered(broker):
    broker.post("/entities", json={"id": CAR, "type": "Vehicle", "speed": speed((50, "12:00:00"))[0]})
    broker.delete(f"/entities/{CAR}/attrs/speed")
    hour = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    asked = {"timerel": "after", "timeAt": hour, "timeproperty": "deletedAt"}
    [gone] = instances(broker, **asked)
    assert (gone["value"], gone["type"]) == ("urn:ngsi-ld:null", "Property")
    assert gone["deletedAt"] > hour[:19]
    assert [one["value"] for one in instances(broker, **NOON)] == [50]
    broker.delete(f"/entities/{CAR}")
    assert broker.get(PATH, params={"options": "sysAttrs"}).json()["deletedAt"] > hour[:19]
    assert [
        one["id"] for one in broker.get("/temporal/entities", params={"type": "Vehicle", **asked}).json()
    ] == [CAR]


def test_projection(broker, car):
    assert broker.get(PATH, params={"attrs": "speed"}).json().keys() == {"id", "type", "scope", "speed"}
    assert broker.get(PATH, params={"pick": "id,speed"}).json().keys() == {"id", "speed"}
    assert broker.get(PATH, params={"omit": "type,speed,scope"}).json().keys() == {"id", "brandName", "owner"}
    assert broker.get(PATH, params={"pick": "id"}).json() == {"id": CAR}
    problem(broker.get(PATH, params={"attrs": "unknown"}), 404, "ResourceNotFound")
    problem(broker.get(PATH, params={"pick": "owner{name}"}), 400, "BadRequestData", "pick")


def test_json_ld_has_its_context(broker, car):
    document = broker.get(PATH, headers={"Accept": "application/ld+json"}).json()
    assert "@context" in document
    assert broker.get(PATH, headers={"Accept": "application/geo+json"}).status_code == 406


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"timerel": "during", "timeAt": "2026-08-01T12:00:00Z"}, "timerel"),
        ({"timerel": "after"}, "timeAt"),
        ({"timeAt": "2026-08-01T12:00:00Z"}, "timerel"),
        ({"timerel": "after", "timeAt": "noon"}, "timeAt"),
        ({"timerel": "between", "timeAt": "2026-08-01T12:00:00Z"}, "endTimeAt"),
        ({"timeproperty": "bornAt"}, "timeproperty"),
        ({"lastN": "none"}, "lastN"),
        ({"format": "aggregatedValues"}, "aggrMethods"),
        ({"format": "aggregatedValues", "aggrMethods": "median"}, "aggrMethods"),
        (
            {"format": "aggregatedValues", "aggrMethods": "sum", "aggrPeriodDuration": "daily"},
            "aggrPeriodDuration",
        ),
        ({"options": "temporalValues,aggregatedValues"}, "options"),
        ({"format": "xml"}, "format"),
    ],
)
def test_wrong_parameters_are_named(broker, car, parameters, field):
    problem(broker.get(PATH, params=parameters), 400, "BadRequestData", field)


def test_an_entity_that_is_unknown(broker):
    problem(broker.get(PATH), 404, "ResourceNotFound")
    problem(broker.get("/temporal/entities/car"), 400, "BadRequestData")
    assert broker.put(PATH, json={}).status_code == 405


def test_an_entity_without_data_in_the_interval_is_known_all_the_same(broker, car):
    found = broker.get(PATH, params={"timerel": "before", "timeAt": "2020-01-01T00:00:00Z"})
    assert (found.status_code, found.json()["id"], "speed" in found.json()) == (200, CAR, False)


# --- aggregates -------------------------------------------------------------------------------------------------


def test_aggregated_values(broker, car):
    asked = {**NOON, "attrs": "speed", "aggrMethods": "max,avg", "aggrPeriodDuration": "PT4M"}
    for parameters in ({"format": "aggregatedValues"}, {"options": "aggregatedValues"}):
        document = broker.get(PATH, params={**asked, **parameters}).json()
        assert document == {
            "id": CAR,
            "type": "Vehicle",
            "speed": {
                "type": "Property",
                "max": [
                    [120, "2026-08-01T12:00:00Z", "2026-08-01T12:04:00Z"],
                    [100, "2026-08-01T12:04:00Z", "2026-08-01T12:08:00Z"],
                ],
                "avg": [
                    [120, "2026-08-01T12:00:00Z", "2026-08-01T12:04:00Z"],
                    [90, "2026-08-01T12:04:00Z", "2026-08-01T12:08:00Z"],
                ],
            },
        }


def test_the_whole_range_is_one_period(broker, car):
    asked = {
        "format": "aggregatedValues",
        "aggrMethods": "totalCount,distinctCount,sum,stddev,sumsq,min",
        "attrs": "speed",
    }
    between = broker.get(PATH, params={**NOON, **asked, "aggrPeriodDuration": "PT0S"}).json()["speed"]
    span = ["2026-08-01T12:00:00Z", "2026-08-01T13:00:00Z"]
    assert between == {
        "type": "Property",
        "totalCount": [[3, *span]],
        "distinctCount": [[3, *span]],
        "sum": [[300, *span]],
        "stddev": [[20, *span]],
        "sumsq": [[30_800, *span]],
        "min": [[80, *span]],
    }
    after = broker.get(PATH, params={"timerel": "after", "timeAt": "2026-08-01T12:00:00Z", **asked}).json()[
        "speed"
    ]
    assert after["sum"] == [[300, "2026-08-01T12:00:00Z", "2026-08-01T12:07:00Z"]]
    without = broker.get(PATH, params=asked).json()["speed"]
    assert without["sum"] == [[300, "2026-08-01T12:03:00Z", "2026-08-01T12:07:00Z"]]


def test_methods_that_do_not_fit(broker, car):
    asked = {**NOON, "format": "aggregatedValues", "aggrMethods": "sum"}
    document = broker.get(PATH, params=asked).json()
    assert document.keys() == {"id", "type", "speed"}
    problem(broker.get(PATH, params={**asked, "attrs": "owner"}), 400, "InvalidRequest", "aggrMethods")


# --- many entities ----------------------------------------------------------------------------------------------


@pytest.fixture
def two(broker, car):
    broker.post("/temporal/entities", json={"id": VAN, "type": "Vehicle", "speed": speed((40, "12:12:00"))})
    broker.post(
        "/temporal/entities",
        json={"id": "urn:ngsi-ld:Bike:1", "type": "Bike", "speed": speed((10, "12:20:00"))},
    )


def found(broker, **parameters) -> list[str]:
    answer = broker.get("/temporal/entities", params={**NOON, **parameters})
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()]


@pytest.mark.usefixtures("two")
def test_queries(broker):
    assert found(broker, type="Vehicle") == [VAN, CAR]
    assert found(broker, type="Vehicle,Bike", id=CAR) == [CAR]
    assert found(broker, attrs="brandName") == [CAR]
    assert found(broker, type="Vehicle", idPattern=".*A83.*") == [VAN]
    assert found(broker, type="Vehicle", q="speed>100") == [CAR]
    assert found(broker, type="Vehicle", q='brandName!="Mercedes"') == [CAR]
    assert found(broker, type="Vehicle", scopeQ="/Madrid/#") == [CAR]
    assert found(broker, type="Vehicle", q="speed>1000") == []
    assert found(broker, local="true") == ["urn:ngsi-ld:Bike:1", VAN, CAR]
    assert found(broker, local="true", orderBy="id;desc") == [CAR, VAN, "urn:ngsi-ld:Bike:1"]


@pytest.mark.usefixtures("two")
def test_queries_with_a_place(broker):
    where = [
        {
            "type": "GeoProperty",
            "value": {"type": "Point", "coordinates": [-3.7, 40.4]},
            "observedAt": "2026-08-01T12:10:00Z",
        }
    ]
    broker.post(f"/temporal/entities/{VAN}/attrs", json={"location": where})
    near = {"georel": "near;maxDistance==500", "geometry": "Point", "coordinates": "[-3.7,40.4]"}
    assert found(broker, type="Vehicle", **near) == [VAN]
    assert found(broker, type="Vehicle", **{**near, "coordinates": "[-3.9,40.4]"}) == []


@pytest.mark.usefixtures("two")
def test_pages_of_entities(broker):
    first = broker.get("/temporal/entities", params={**TYPED, "limit": 1, "count": "true"})
    assert ([one["id"] for one in first.json()], first.headers["ngsild-results-count"]) == ([VAN], "2")
    assert 'rel="next"' in first.headers["link"]
    second = broker.get("/temporal/entities", params={**TYPED, "limit": 1, "offset": 1})
    assert [one["id"] for one in second.json()] == [CAR]
    assert 'rel="next"' not in second.headers["link"]
    assert 'rel="prev"' in second.headers["link"]
    counted = broker.get("/temporal/entities", params={**TYPED, "limit": 0, "count": "true"})
    assert (counted.json(), counted.headers["ngsild-results-count"]) == ([], "2")
    assert broker.get("/temporal/entities", params={**TYPED, "limit": -1}).status_code == 400
    assert broker.get("/temporal/entities", params={**TYPED, "limit": 0}).status_code == 400


@pytest.mark.usefixtures("two")
def test_forms_of_many(broker):
    simple = broker.get(
        "/temporal/entities", params={**TYPED, "format": "temporalValues", "attrs": "speed"}
    ).json()
    assert simple[0] == {
        "id": VAN, "type": "Vehicle", "speed": {"type": "Property", "values": [[40, "2026-08-01T12:12:00Z"]]}
    }  # fmt: skip
    sums = broker.get(
        "/temporal/entities",
        params={**TYPED, "format": "aggregatedValues", "aggrMethods": "sum", "attrs": "speed"},
    ).json()
    assert [one["speed"]["sum"][0][0] for one in sums] == [40, 300]
    last = broker.get("/temporal/entities", params={**TYPED, "lastN": 1, "attrs": "speed"}).json()
    assert [[i["value"] for i in one["speed"]] for one in last] == [[40], [100]]


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"type": "Vehicle"}, "timerel"),
        ({"type": "Vehicle", "timerel": "after"}, "timeAt"),
        (NOON, "type"),
        ({**TYPED, "id": "car"}, "id"),
        ({**TYPED, "q": "speed>"}, "q"),
        ({**TYPED, "georel": "near"}, "ge"),
        ({**TYPED, "orderBy": "speed"}, "orderBy"),
    ],
)
def test_wrong_queries_are_refused(broker, parameters, field):
    problem(broker.get("/temporal/entities", params=parameters), 400, "BadRequestData", field)


@pytest.mark.usefixtures("two")
def test_queries_as_documents(broker):
    document = {
        "type": "Query",
        "entities": [{"type": "Vehicle"}],
        "q": "speed>50",
        "attrs": ["speed"],
        "temporalQ": {**NOON, "lastN": 2},
    }
    answer = broker.post("/temporal/entityOperations/query", json=document)
    assert answer.status_code == 200, answer.text
    assert [(one["id"], [i["value"] for i in one["speed"]]) for one in answer.json()] == [(CAR, [100, 80])]
    summed = {**document, "temporalQ": {**NOON, "aggrMethods": ["sum"], "aggrPeriodDuration": "PT1H"}}
    answer = broker.post(
        "/temporal/entityOperations/query", json=summed, params={"options": "aggregatedValues"}
    )
    assert answer.json()[0]["speed"]["sum"] == [[300, "2026-08-01T12:00:00Z", "2026-08-01T13:00:00Z"]]
    counted = broker.post(
        "/temporal/entityOperations/query",
        json={"type": "Query", "entities": [{"type": "Vehicle"}], "temporalQ": NOON},
        params={"limit": 1, "count": "true"},
    )
    assert (len(counted.json()), counted.headers["ngsild-results-count"]) == (1, "2")


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"type": "Query", "entities": [{"type": "Vehicle"}]}, "temporalQ"),
        ({"type": "Query", "entities": [{"type": "Vehicle"}], "temporalQ": {"timerel": "after"}}, "timeAt"),
        ({"entities": [{"type": "Vehicle"}], "temporalQ": NOON}, "type"),
        ({"type": "Query", "temporalQ": NOON}, "type"),
    ],
)
def test_wrong_documents_are_refused(broker, document, field):
    problem(broker.post("/temporal/entityOperations/query", json=document), 400, "BadRequestData", field)


# --- long series ------------------------------------------------------------------------------------------------


@pytest.fixture
def long(broker, monkeypatch):
    monkeypatch.setattr("amb247.context.domain.queries.evolution.MAX_INSTANCES", 7)
    monkeypatch.setattr("amb247.context.domain.queries.evolution.evolve.__kwdefaults__", {
        "attributes": None, "dataset_ids": (), "limit": 7
    })  # fmt: skip
    start = datetime(2026, 8, 1, 12, tzinfo=UTC)

    def series(step: int, count: int) -> list[dict]:
        return [
            {"type": "Property", "value": n, "observedAt": (start + timedelta(seconds=n * step)).isoformat()}
            for n in range(count)
        ]

    broker.post(
        "/temporal/entities", json={"id": CAR, "type": "Vehicle", "a": series(60, 20), "b": series(90, 9)}
    )


def follow(broker, path: str, parameters: dict, relation: str) -> tuple[list, list]:
    answers, got = [], []
    answer = broker.get(path, params=parameters)
    while True:
        answers.append(answer)
        document = answer.json()
        for one in document if isinstance(document, list) else [document]:
            got += [(one["id"], name, i["value"]) for name in ("a", "b") for i in one.get(name, [])]
        if answer.status_code == 200:
            return answers, got
        assert answer.status_code == 206
        address = answer.links[relation]["url"]
        answer = broker.get(address.removeprefix("/ngsi-ld/v1"))


EVERY = sorted([(CAR, "a", n) for n in range(20)] + [(CAR, "b", n) for n in range(9)])


@pytest.mark.usefixtures("long")
@pytest.mark.parametrize("path", [PATH, "/temporal/entities"])
def test_a_long_series_goes_forward_in_slices(broker, path):
    answers, got = follow(broker, path, TYPED, "intervalafter")
    assert sorted(got) == EVERY
    assert len(answers) > 3
    ranges = [answer.headers.get("content-range") for answer in answers]
    assert ranges[0] == "date-time 2026-08-01T12:00:00Z-2026-08-01T12:03:00Z/*"
    assert ranges[-1] is None


@pytest.mark.usefixtures("long")
def test_a_long_series_goes_backward_with_last_n(broker):
    parameters = {"timerel": "before", "timeAt": "2026-08-01T13:00:00Z", "lastN": 1_000}
    answers, got = follow(broker, PATH, parameters, "intervalbefore")
    assert sorted(got) == EVERY
    assert answers[0].headers["content-range"] == "date-time 2026-08-01T13:00:00Z-2026-08-01T12:13:00Z/1000"


@pytest.mark.usefixtures("long")
def test_a_long_series_without_an_interval(broker):
    answer = broker.get(PATH)
    assert answer.headers["content-range"] == "date-time 2026-08-01T12:00:00Z-2026-08-01T12:03:00Z/*"


# --- tables -----------------------------------------------------------------------------------------------------

HOURLY = {
    "type": "Vehicle", "attrs": "speed", **NOON, "endTimeAt": "2026-08-02T12:00:00Z",
    "format": "aggregatedValues", "aggrMethods": "avg,totalCount", "aggrPeriodDuration": "PT1H",
}  # fmt: skip


def lines(answer) -> list[list[str]]:
    assert answer.status_code == 200, answer.text
    return list(csv.reader(io.StringIO(answer.text)))


@pytest.mark.usefixtures("two")
def test_aggregates_as_csv(broker):
    broker.post(
        "/entities", json={"id": VAN, "type": "Vehicle", "speed": speed((40, "12:12:00"), unitCode="KMH")[0]}
    )
    answer = broker.get("/temporal/entities", params=HOURLY, headers={"Accept": "text/csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    hour = ["2026-08-01T12:00:00Z", "2026-08-01T13:00:00Z"]
    assert lines(answer) == [
        ["entity_id", "type", "attribute", "dataset_id", "start", "end", "value", "unit", "method"],
        [VAN, "Vehicle", "speed", "", *hour, "40", "KMH", "avg"],
        [VAN, "Vehicle", "speed", "", *hour, "2", "", "totalCount"],
        [CAR, "Vehicle", "speed", "", *hour, "100", "", "avg"],
        [CAR, "Vehicle", "speed", "", *hour, "3", "", "totalCount"],
    ]


@pytest.mark.usefixtures("two")
def test_instances_as_csv(broker):
    answer = broker.get(PATH, params=NOON, headers={"Accept": "text/csv"})
    rows = lines(answer)
    assert rows[0] == ["entity_id", "type", "attribute", "dataset_id", "at", "value", "unit"]
    assert [CAR, "Vehicle", "speed", "", "2026-08-01T12:03:00Z", "120", "KMH"] in rows
    assert len(rows) == 6
    page = broker.get("/temporal/entities", params={**TYPED, "limit": 1}, headers={"Accept": "text/csv"})
    assert {row[0] for row in lines(page)[1:]} == {VAN}
    nothing = broker.get(
        "/temporal/entities", params={**TYPED, "q": "speed>999"}, headers={"Accept": "text/csv"}
    )
    assert len(lines(nothing)) == 1
    problem(
        broker.get("/temporal/entities", params={"type": "V"}, headers={"Accept": "text/csv"}),
        400,
        "BadRequestData",
    )


@pytest.mark.usefixtures("two")
def test_tables_as_parquet(broker):
    accept = {"Accept": "application/vnd.apache.parquet"}
    answer = broker.get("/temporal/entities", params=HOURLY, headers=accept)
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    frame = pl.read_parquet(io.BytesIO(answer.content))
    assert frame.columns == [
        "entity_id", "type", "attribute", "dataset_id", "start", "end", "value", "text", "unit", "method"
    ]  # fmt: skip
    assert frame.filter(pl.col("method") == "avg")["value"].to_list() == [40.0, 100.0]
    assert frame["start"].dtype == pl.Datetime("us", "UTC")
    plain = pl.read_parquet(io.BytesIO(broker.get(PATH, params=NOON, headers=accept).content))
    assert sorted(plain["value"].drop_nulls()) == [80.0, 100.0, 120.0]
    assert set(plain["text"].drop_nulls()) == {"Volvo", "urn:ngsi-ld:Person:1"}
    empty = broker.get("/temporal/entities", params={**HOURLY, "q": "speed>999"}, headers=accept)
    assert len(pl.read_parquet(io.BytesIO(empty.content))) == 0


def test_a_table_of_many_batches_is_whole(broker, two, monkeypatch):
    monkeypatch.setattr("amb247.context.rest.temporal.ROWS_AT_ONCE", 2)
    assert len(lines(broker.get(PATH, params=NOON, headers={"Accept": "text/csv"}))) == 6
    answer = broker.get(PATH, params=NOON, headers={"Accept": "application/vnd.apache.parquet"})
    assert len(pl.read_parquet(io.BytesIO(answer.content))) == 5


# --- tenants ----------------------------------------------------------------------------------------------------


def test_tenants_have_pasts_of_their_own(broker):
    body = {"id": CAR, "type": "Vehicle", "speed": speed((1, "12:00:00"))}
    there = {"NGSILD-Tenant": "other"}
    assert broker.post("/temporal/entities", json=body, headers=there).status_code == 201
    assert broker.get(PATH).status_code == 404
    answer = broker.get(PATH, headers=there)
    assert (answer.status_code, answer.headers["ngsild-tenant"]) == (200, "other")
    table = broker.get("/temporal/entities", params=TYPED, headers={**there, "Accept": "text/csv"})
    assert len(lines(table)) == 2
    problem(broker.get(PATH, headers={"NGSILD-Tenant": "nowhere"}), 404, "NonexistentTenant")


# --- who may ----------------------------------------------------------------------------------------------------

EVERY_OPERATION = [
    ("GET", "/temporal/entities?type=Vehicle&timerel=after&timeAt=2026-08-01T00:00:00Z", None, False),
    ("POST", "/temporal/entityOperations/query", {"type": "Query", "temporalQ": NOON, "attrs": ["a"]}, False),
    ("GET", PATH, None, False),
    ("POST", "/temporal/entities", {"id": CAR, "type": "Vehicle", "speed": speed((1, "12:00:00"))}, True),
    ("POST", f"{PATH}/attrs", {"speed": speed((1, "12:00:00"))}, True),
    ("DELETE", f"{PATH}/attrs/speed", None, True),
    ("PATCH", f"{PATH}/attrs/speed/urn:ngsi-ld:Instance:1", {"speed": speed((1, "12:00:00"))}, True),
    ("DELETE", f"{PATH}/attrs/speed/urn:ngsi-ld:Instance:1", None, True),
    ("DELETE", PATH, None, True),
]


@pytest.fixture
def let_in(ngsi_server, broker, monkeypatch):
    """Everybody has this access from now on."""

    def use(**more) -> None:
        rights = {"may_read": True, "may_write": True, "may_read_history": True, **more}
        access = Access("test", **rights)
        monkeypatch.setattr(ngsi_server.app.state.gate, "quick", lambda _request: access)

    return use


@pytest.mark.parametrize(("method", "path", "body", "writes"), EVERY_OPERATION)
def test_every_operation_asks_for_its_right(broker, let_in, monkeypatch, method, path, body, writes):
    let_in(may_write=not writes, may_read_history=writes)
    problem(broker.request(method, path, json=body), 403, "Forbidden")
    let_in(may_write=writes, may_read_history=not writes)
    assert broker.request(method, path, json=body).status_code in {200, 201, 404}
    monkeypatch.undo()
    monkeypatch.delenv("AMB_NGSI_OPEN", raising=False)
    problem(broker.request(method, path, json=body), 401, "Unauthorized")


def test_what_may_not_be_seen_is_not_there(broker, two, let_in):
    let_in(restriction=Restriction(types=frozenset({"Bike"})))
    assert found(broker, local="true") == ["urn:ngsi-ld:Bike:1"]
    counted = broker.get("/temporal/entities", params={**NOON, "local": "true", "limit": 0, "count": "true"})
    assert counted.headers["ngsild-results-count"] == "1"
    rows = lines(
        broker.get("/temporal/entities", params={**NOON, "local": "true"}, headers={"Accept": "text/csv"})
    )
    assert {row[0] for row in rows[1:]} == {"urn:ngsi-ld:Bike:1"}
    for method, path, body, _ in EVERY_OPERATION[2:]:
        if path == "/temporal/entities":
            problem(broker.request(method, path, json=body), 403, "Forbidden")
        else:
            problem(broker.request(method, path, json=body), 404, "ResourceNotFound")
    let_in()
    assert [one["value"] for one in instances(broker)] == [120, 80, 100]


def test_a_territory_bounds_what_is_written_and_read(broker, let_in):
    def at(lon: float) -> list[dict]:
        point = {"type": "Point", "coordinates": [lon, 7.1]}
        return [{"type": "GeoProperty", "value": point, "observedAt": "2026-08-01T12:00:00Z"}]

    let_in(restriction=Restriction(areas=(shapely.box(-73.2, 7.0, -73.0, 7.2),)))
    inside = {"id": CAR, "type": "Vehicle", "location": at(-73.1)}
    outside = {"id": VAN, "type": "Vehicle", "location": at(-74.1)}
    assert broker.post("/temporal/entities", json=inside).status_code == 201
    problem(broker.post("/temporal/entities", json=outside), 403, "Forbidden")
    problem(broker.post("/temporal/entities", json={"id": VAN, "type": "Vehicle"}), 403, "Forbidden")
    assert found(broker, type="Vehicle") == [CAR]
    let_in()
    assert broker.post("/temporal/entities", json=outside).status_code == 201
    assert found(broker, type="Vehicle") == [VAN, CAR]
