"""One good request for each operation of the interface, and what must be there for it."""

from __future__ import annotations

import re
from urllib.parse import quote

from amb247.context.rest.openapi import OPERATIONS

CAR = "urn:ngsi-ld:Car:1"
AT = "2026-08-01T12:00:00Z"
PLACE = {"type": "Point", "coordinates": [-73.12, 7.11]}
KNOWN = {
    "entity_id": CAR,
    "attribute": "speed",
    "attr_id": "speed",
    "type": "Car",
    "instance_id": "urn:ngsi-ld:Instance:999999999",  # nobody has it: known instances differ from run to run
    "subscription_id": "urn:ngsi-ld:Subscription:1",
    "registration_id": "urn:ngsi-ld:ContextSourceRegistration:1",
    "notification_id": "urn:ngsi-ld:Notification:1",
    "contextId": "none",
    "entity_map_id": "urn:ngsi-ld:EntityMap:1",
}


def prop(value, **more):
    return {"type": "Property", "value": value, **more}


def car(entity_id=CAR, **more):
    return {
        "id": entity_id,
        "type": "Car",
        "speed": prop(55, observedAt=AT),
        "location": {"type": "GeoProperty", "value": PLACE, "observedAt": AT},
        **more,
    }


SERIES = {"speed": [prop(7, observedAt=AT)]}
PAST = {
    "id": CAR,
    "type": "Car",
    **SERIES,
    "location": [{"type": "GeoProperty", "value": PLACE, "observedAt": AT}],
}
SUBSCRIPTION = {
    "type": "Subscription",
    "entities": [{"type": "Car"}],
    "notification": {"endpoint": {"uri": "http://127.0.0.1:9/"}},
}
REGISTRATION = {
    "type": "ContextSourceRegistration",
    "information": [{"entities": [{"type": "Elsewhere"}]}],
    "endpoint": "http://127.0.0.1:9/",
}
QUERY = {"type": "Query", "entities": [{"type": "Car"}]}
TEMPORAL = {"timerel": "after", "timeAt": "2026-01-01T00:00:00Z"}
BODIES = {
    "createEntity": car("urn:ngsi-ld:Car:2"),
    "replaceEntity": {name: value for name, value in car().items() if name != "id"},
    "mergeEntity": {"speed": prop(1)},
    "appendAttrs": {"speed": prop(1)},
    "updateEntity": {"speed": prop(1)},
    "updateAttrs": prop(1),
    "replaceAttrs": prop(1),
    "createBatch": [car("urn:ngsi-ld:Car:2")],
    "upsertBatch": [car()],
    "updateBatch": [{"id": CAR, "type": "Car", "speed": prop(1)}],
    "mergeBatch": [{"id": CAR, "type": "Car", "speed": prop(1)}],
    "deleteBatch": [CAR],
    "queryBatch": QUERY,
    "upsertTemporal": PAST,
    "appendAttrsTemporal": SERIES,
    "updateAttrsTemporal": SERIES,
    "temporalQueryBatch": {**QUERY, "temporalQ": TEMPORAL},
    "createSubscription": SUBSCRIPTION,
    "updateSubscription": {"description": "x"},
    "replayDeadLetters": {},
    "replayDeadLetter": {},
    "createCSR": REGISTRATION,
    "updateCSR": {"description": "x"},
    "createCSRSubscription": SUBSCRIPTION,
    "updateCSRSubscription": {"description": "x"},
    "createContext": {"@context": {"a": "https://example.org/a"}},
    "createEntityMap": QUERY,
    "createTemporalEntityMap": {**QUERY, "temporalQ": TEMPORAL},
    "updateEntityMap": {"expiresAt": "2030-01-01T00:00:00Z"},
}
PARAMETERS = {
    "queryEntity": {"type": "Car"},
    "purgeEntity": {"type": "Car"},
    "queryTemporal": {"type": "Car", **TEMPORAL},
    "queryEntityMap": {"type": "Car"},
    "queryTemporalEntityMap": {"type": "Car", **TEMPORAL},
}
BY_NAME = {one.name: one for one in OPERATIONS}
# Without a body or with none that is read.
NO_BODY = frozenset({"replayDeadLetters", "replayDeadLetter"})


def path_of(name, **known):
    """The path with everything that is known put in."""
    values = KNOWN | known
    return re.sub(r"\{(\w+)\}", lambda part: quote(values[part[1]], safe=":"), BY_NAME[name].path)


def ask(client, name, *, headers=None, params=None, **known):
    """The operation's good request, with other parameters or headers."""
    one = BY_NAME[name]
    body = {} if name not in BODIES or name in NO_BODY else {"json": BODIES[name]}
    asked = PARAMETERS.get(name, {}) | (params or {})
    return client.request(one.method, path_of(name, **known), params=asked, headers=headers, **body)


def prepare(broker):
    """Something of each kind."""
    for path, body in (
        ("/entities", car()),
        ("/subscriptions", {**SUBSCRIPTION, "id": KNOWN["subscription_id"]}),
        ("/csourceSubscriptions", {**SUBSCRIPTION, "id": KNOWN["subscription_id"]}),
        ("/csourceRegistrations", {**REGISTRATION, "id": KNOWN["registration_id"]}),
    ):
        assert broker.post(path, json=body).status_code == 201
