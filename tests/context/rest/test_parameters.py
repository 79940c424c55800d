"""Every parameter of every operation with a value that is wrong, and those of a query with one that is right (6.4.3.2 and others)."""

from __future__ import annotations

import pytest

from amb247.context.rest.openapi import OPERATIONS

from .operations import AT, CAR, ask, car, prepare, prop

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

ERRORS = "https://uri.etsi.org/ngsi-ld/errors/"
# A value that the parameter cannot have, and what must come with it so that nothing else is wrong.
WRONG = {
    "id": {"id": "no uri"},
    "idPattern": {"idPattern": "("},
    "type": {"type": "(Car"},
    "attrs": {"attrs": "a b"},
    "pick": {"pick": "a{"},
    "omit": {"omit": "a{"},
    "q": {"q": "speed>>"},
    "csf": {"csf": "name=="},
    "geometry": {"georel": "within", "geometry": "Blob", "coordinates": "[0,0]"},
    "georel": {"georel": "beside", "geometry": "Point", "coordinates": "[0,0]"},
    "coordinates": {"georel": "within", "geometry": "Polygon", "coordinates": "[0"},
    "geoproperty": {
        "georel": "near;maxDistance==9",
        "geometry": "Point",
        "coordinates": "[0,0]",
        "geoproperty": "a b",
    },
    "geometryProperty": {"geometryProperty": "location"},  # without Accept: application/geo+json
    "scopeQ": {"scopeQ": "/a;;"},
    "expandValues": {"q": "speed==1", "expandValues": "a b"},
    "datasetId": {"datasetId": "no uri"},
    "orderBy": {"orderBy": "speed;sideways"},
    "orderFrom": {"orderBy": "location;dist-asc", "orderFrom": "[1"},
    "orderGeometry": {"orderBy": "location;dist-asc", "orderFrom": "[1,2]", "orderGeometry": "Blob"},
    "collation": {"orderBy": "speed", "collation": "!"},
    "join": {"join": "sideways"},
    "joinLevel": {"join": "flat", "joinLevel": "0"},
    "limit": {"limit": "-1"},
    "offset": {"offset": "-1"},
    "count": {"count": "perhaps"},
    "local": {"local": "perhaps"},
    "splitEntities": {"splitEntities": "perhaps"},
    "entityMap": {"entityMap": "perhaps"},
    "entityMapLifetime": {"entityMap": "true", "entityMapLifetime": "soon"},
    "sysAttrs": {"sysAttrs": "perhaps"},
    "details": {"details": "perhaps"},
    "kind": {"kind": "Nonsense"},
    "reload": {"reload": "perhaps"},
    "drop": {"drop": "a b"},
    "keep": {"keep": "a b"},
    "deleteAll": {"deleteAll": "perhaps"},
    "observedAt": {"observedAt": "yesterday"},
    "timerel": {"timerel": "during", "timeAt": AT},
    "timeAt": {"timerel": "after", "timeAt": "yesterday"},
    "endTimeAt": {"timerel": "between", "timeAt": AT, "endTimeAt": "tomorrow"},
    "timeproperty": {"timerel": "after", "timeAt": AT, "timeproperty": "someday"},
    "lastN": {"lastN": "0"},
    "aggrMethods": {"format": "aggregatedValues", "aggrMethods": "median"},
    "aggrPeriodDuration": {"format": "aggregatedValues", "aggrMethods": "avg", "aggrPeriodDuration": "long"},
    "lastEventId": {"lastEventId": "x"},
    "options": {"options": "nonsense"},
    "format": {"format": "nonsense"},
}
# What has no wrong value.
ANY = {
    "lang": "languages that nobody has leave what is there (4.15)",
    "containedBy": "ids that nobody has contain nothing (4.5.23)",
    "jsonKeys": "passed over: values of JSON are never expanded here (4.5.24)",
}
# Where a parameter is another's to judge: it has no meaning in the answer that the operation gives here.
NOT_JUDGED = {
    "purgeEntity": {"datasetId"},
}


def parameters_of(one):
    also = [name for name, schema in (("options", one.options), ("format", one.form)) if schema is not None]
    return [*one.parameters, *also]


def test_every_parameter_has_a_wrong_value_or_a_reason():
    asked = {name for one in OPERATIONS for name in parameters_of(one)}
    assert asked - set(WRONG) - set(ANY) == set()
    assert set(ANY) & set(WRONG) == set()


@pytest.mark.parametrize("name", sorted(one.name for one in OPERATIONS if parameters_of(one)))
def test_a_wrong_value_is_refused(broker, name):
    """BadRequestData, whatever else the operation would have done (5.5.2, 6.3.2)."""
    if "/subscriptions/" in ask_path(name) or "/csource" in ask_path(name):
        prepare(broker)
    else:
        assert broker.post("/entities", json=car()).status_code == 201
    accepted = {}
    (one,) = (one for one in OPERATIONS if one.name == name)
    for parameter in parameters_of(one):
        if parameter in ANY or parameter in NOT_JUDGED.get(name, ()):
            continue
        headers = {"Accept": "text/event-stream"} if parameter == "lastEventId" else None
        response = ask(broker, name, params=WRONG[parameter], headers=headers)
        if response.status_code != 400 or response.json()["type"] != ERRORS + "BadRequestData":
            accepted[parameter] = (response.status_code, response.text[:100])
    assert accepted == {}
    assert broker.get(f"/entities/{CAR}").json()["speed"]["value"] == 55


def ask_path(name):
    (one,) = (one for one in OPERATIONS if one.name == name)
    return one.path


# --- right ones ----------------------------------------------------------------------------------------------------

FIRST, SECOND, THIRD = (f"urn:ngsi-ld:Car:{number}" for number in (1, 2, 3))


@pytest.fixture
def cars(broker):
    def at(lon):
        return {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [lon, 7.1]}}

    first = car(
        FIRST,
        scope=["/a/b"],
        speed=prop(10),
        location=at(-73.1),
        state={"type": "VocabProperty", "vocab": "Car"},
    )
    second = car(SECOND, scope=["/a"], speed=prop(30), location=at(-73.2), depot=at(-73.1))
    third = {"id": THIRD, "type": ["Car", "Taxi"], "speed": [prop(20), prop(5, datasetId="urn:d:1")]}
    third["name"] = {"type": "LanguageProperty", "languageMap": {"es": "Carro", "en": "Car"}}
    third["isParked"] = {"type": "Relationship", "object": FIRST}
    for one in (first, second, third):
        assert broker.post("/entities", json=one).status_code == 201
    return broker


NEAR = {"georel": "near;maxDistance==2000", "geometry": "Point", "coordinates": "[-73.1,7.1]"}


@pytest.mark.parametrize(
    ("parameters", "numbers"),
    [
        ({"id": f"{FIRST},{THIRD}"}, "13"),
        ({"idPattern": ":[23]$"}, "23"),
        ({"type": "Taxi"}, "3"),
        ({"type": "(Car;Taxi)"}, "3"),
        ({"attrs": "isParked,state"}, "13"),
        ({"q": "speed>=20"}, "23"),
        ({"q": 'state=="Car"', "expandValues": "state"}, "1"),
        (NEAR, "1"),
        ({**NEAR, "geoproperty": "depot"}, "2"),
        ({"scopeQ": "/a/#"}, "12"),
        ({"scopeQ": "/a/b"}, "1"),
        ({"orderBy": "speed"}, "132"),
        ({"orderBy": "speed;desc"}, "231"),
        ({"orderBy": "location;dist-asc", "orderFrom": "[-73.2,7.1]", "orderGeometry": "Point"}, "213"),
        ({"limit": "2"}, "12"),
        ({"limit": "2", "offset": "2"}, "3"),
        ({"local": "true"}, "123"),
        ({"splitEntities": "true"}, "123"),
        ({"csf": 'name=="nobody"'}, "123"),
        ({"jsonKeys": "speed"}, "123"),
        ({"containedBy": FIRST}, "123"),
    ],
)
def test_what_is_found(cars, parameters, numbers):
    response = cars.get("/entities", params={"type": "Car", **parameters})
    assert response.status_code == 200, response.text
    assert "".join(one["id"][-1] for one in response.json()) == numbers


@pytest.mark.parametrize(
    ("parameters", "shown"),
    [
        ({"pick": "id,speed"}, {"id": THIRD, "speed": [prop(20), prop(5, datasetId="urn:d:1")]}),
        ({"omit": "speed,name,isParked"}, {"id": THIRD, "type": ["Car", "Taxi"]}),
        ({"pick": "speed", "datasetId": "urn:d:1"}, {"speed": prop(5, datasetId="urn:d:1")}),
        ({"pick": "name", "lang": "en"}, {"name": {"type": "Property", "value": "Car", "lang": "en"}}),
        ({"pick": "speed", "datasetId": "@none", "format": "simplified"}, {"speed": 20}),
        ({"pick": "speed", "datasetId": "@none", "options": "keyValues"}, {"speed": 20}),
        ({"pick": "speed", "datasetId": "@none", "format": "concise"}, {"speed": 20}),
        (
            {"pick": "isParked{speed}", "join": "inline", "joinLevel": "1", "format": "simplified"},
            None,
        ),
    ],
)
def test_how_it_is_shown(cars, parameters, shown):
    for path, asked in ((f"/entities/{THIRD}", {}), ("/entities", {"type": "Taxi"})):
        response = cars.get(path, params=asked | parameters)
        assert response.status_code == 200, response.text
        found = response.json()
        found = found[0] if isinstance(found, list) else found
        if shown is None:
            assert found == {"isParked": {"speed": 10}}, path
        else:
            assert found == shown


def test_counting_and_system_times(cars):
    response = cars.get(
        "/entities", params={"type": "Car", "count": "true", "limit": "1", "sysAttrs": "true"}
    )
    assert response.headers["ngsild-results-count"] == "3"
    assert {"createdAt", "modifiedAt"} <= set(response.json()[0])
    assert "createdAt" in response.json()[0]["speed"]


def test_the_geometry_of_a_feature(cars):
    for asked in (f"/entities/{SECOND}", "/entities?type=Car&q=depot"):
        response = cars.get(
            asked, params={**({"type": "Car", "q": "depot"} if "?" in asked else {}), "geometryProperty": "depot"},
            headers={"Accept": "application/geo+json"},
        )  # fmt: skip
        found = response.json()
        found = found["features"][0] if "features" in found else found
        assert found["geometry"]["coordinates"] == [-73.1, 7.1]


def test_what_a_purge_takes_and_leaves(cars):
    assert (
        cars.delete("/entities", params={"type": "Car", "drop": "speed", "q": "speed==30"}).status_code == 204
    )
    assert "speed" not in cars.get(f"/entities/{SECOND}").json()
    assert cars.delete("/entities", params={"type": "Car", "keep": "speed", "id": FIRST}).status_code == 204
    assert set(cars.get(f"/entities/{FIRST}").json()) == {"id", "type", "scope", "speed"}
    assert cars.delete("/entities", params={"type": "Taxi"}).status_code == 204
    assert [one["id"] for one in cars.get("/entities?type=Car").json()] == [FIRST, SECOND]
