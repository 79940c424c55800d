"""The interface described by itself: an OpenAPI 3.1 document out of one table of operations.

`OPERATIONS` is the only place where an operation's parameters, bodies and answers are written down; a test holds that every
route has its row and every row its route, and another asks the running interface whether it answers as it says.

References
----------
OpenAPI Specification 3.1.1; ETSI GS CIM 009 v1.8.1 and 1.9.1, chapter 6.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from amb247.context.rest.exchange import BASE, CSV, GEO, JSON, LD, MAX_LIMIT, MAX_OFFSET, MERGE, PARQUET

Json = Any
TEXT: Final = {"type": "string"}
URI: Final = {
    "type": "string",
    "format": "uri",
    "pattern": r"^[A-Za-z][A-Za-z0-9+.\-]*:\S+$",
    "maxLength": 512,
}
FLAG: Final = {"type": "boolean"}
TIME: Final = {"type": "string", "format": "date-time"}
GEOMETRIES: Final = ["Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon"]


def ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def list_of(schema: Json, **more: Any) -> Json:
    return {"type": "array", "items": schema, **more}


def enum(*values: str) -> Json:
    return {"type": "string", "enum": list(values)}


def record(required: Sequence[str] = (), *, open_ended: Json = True, **members: Json) -> Json:
    return {
        "type": "object",
        "required": list(required),
        "properties": members,
        "additionalProperties": open_ended,
    }


# --- parameters ----------------------------------------------------------------------------------------------------

# name -> schema, what it says; a list is sent as one text with commas.
PARAMETERS: Final[Mapping[str, tuple[Json, str]]] = {
    "id": (list_of(URI), "Ids of entities."),
    "idPattern": (TEXT, "Regular expression (RE2) that ids match."),
    "type": (TEXT, "Selection of entity types (4.17): `A,B`, `A|B`, `(A;B)|C`, `*`."),
    "attrs": (list_of(TEXT), "Attributes of which entities have one, and that are shown."),
    "pick": (list_of(TEXT), "Members to show (4.21)."),
    "omit": (list_of(TEXT), "Members not to show (4.21)."),
    "q": (TEXT, "Query over attributes (4.9)."),
    "csf": (TEXT, "Query over context sources (4.9)."),
    "geometry": (enum(*GEOMETRIES), "Geometry of the geo query (4.10)."),
    "georel": (TEXT, "Relation: `near;maxDistance==metres`, within, contains, intersects, equals, disjoint, overlaps."),
    "coordinates": (TEXT, "Coordinates of the geo query, as in GeoJSON."),
    "geoproperty": (TEXT, "GeoProperty of the geo query; location by default."),
    "geometryProperty": (TEXT, "GeoProperty that becomes the geometry of a GeoJSON feature."),
    "lang": (TEXT, "Preferred languages (4.15)."),
    "scopeQ": (TEXT, "Query over scopes (4.19)."),
    "expandValues": (list_of(TEXT), "Attributes whose values in q are expanded by the @context."),
    "jsonKeys": (list_of(TEXT), "Attributes whose values are plain JSON."),
    "datasetId": (list_of(TEXT), "Instances to show: URIs, or @none for the default one."),
    "orderBy": (list_of(TEXT), "Order: `name`, `name;desc`, `location;dist-asc` (4.23 of v1.9.1)."),
    "orderFrom": (TEXT, "Coordinates from which distance counts."),
    "orderGeometry": (enum(*GEOMETRIES), "Geometry of orderFrom."),
    "collation": (TEXT, "ICU collation of the order, such as es or und-u-ks-level2 (4.23)."),
    "join": (enum("flat", "inline", "@none"), "How linked entities are shown (4.5.23)."),
    "joinLevel": ({"type": "integer", "minimum": 1, "maximum": 10}, "How many links deep."),
    "containedBy": (list_of(URI), "Entities seen already on the way here."),
    "limit": ({"type": "integer", "minimum": 0, "maximum": MAX_LIMIT, "default": 20}, "Size of a page; 0 only with count."),
    "offset": ({"type": "integer", "minimum": 0, "maximum": MAX_OFFSET, "default": 0}, "Elements before the page."),
    "count": (FLAG, "Whether NGSILD-Results-Count is wanted."),
    "local": (FLAG, "Whether registered sources are left out (6.3.18)."),
    "entityMap": (FLAG, "Whether all pages shall be of the entities that fit now: makes an entity map (5.5.14)."),
    "entityMapLifetime": (TEXT, "How long the map is wished to live, ISO 8601; ten minutes by default, a day at most."),
    "splitEntities": (FLAG, "Whether parts of an entity may lie with several sources, so that it is judged when it is whole."),
    "sysAttrs": (FLAG, "Whether createdAt and modifiedAt are shown."),
    "details": (FLAG, "Whether details are wanted."),
    "drop": (list_of(TEXT), "Attributes to remove."),
    "keep": (list_of(TEXT), "Attributes to keep."),
    "deleteAll": (FLAG, "Whether every instance goes."),
    "observedAt": (TIME, "Time of what is merged (6.5.3.4)."),
    "timerel": (enum("before", "after", "between"), "Relation in time (4.11)."),
    "timeAt": (TIME, "Where the interval begins, or ends with before."),
    "endTimeAt": (TIME, "Where the interval ends; not part of it."),
    "timeproperty": (enum("observedAt", "createdAt", "modifiedAt", "deletedAt"), "Which time counts."),
    "lastN": ({"type": "integer", "minimum": 1}, "Only the newest instances of each attribute."),
    "aggrMethods": (
        list_of(enum("totalCount", "distinctCount", "sum", "avg", "min", "max", "stddev", "sumsq")),
        "Methods of aggregation (4.5.19).",
    ),
    "aggrPeriodDuration": (TEXT, "Length of the periods, ISO 8601; the whole interval by default."),
    "kind": (enum("Hosted", "Cached", "ImplicitlyCreated"), "Which contexts."),
    "reload": (FLAG, "Read a cached context again instead of forgetting it."),
    "lastEventId": (TEXT, "Go on behind this event."),
}  # fmt: skip
FORM: Final = enum("normalized", "concise", "simplified", "keyValues")
FORM_OPTIONS: Final = list_of(enum("normalized", "concise", "simplified", "keyValues", "sysAttrs", "count"))
TEMPORAL_FORM: Final = enum("normalized", "concise", "temporalValues", "aggregatedValues", "simplified")
TEMPORAL_OPTIONS: Final = list_of(
    enum("normalized", "temporalValues", "aggregatedValues", "sysAttrs", "count")
)
SYSTEM_OPTIONS: Final = list_of(enum("sysAttrs", "count"))
PATHS: Final[Mapping[str, tuple[Json, str]]] = {
    "entity_id": (URI, "The entity."),
    "attribute": (TEXT, "The attribute: term, compact IRI or IRI."),
    "attr_id": (TEXT, "The attribute: term, compact IRI or IRI."),
    "instance_id": (URI, "The instance of an attribute."),
    "subscription_id": (URI, "The subscription."),
    "registration_id": (URI, "The registration."),
    "notification_id": (URI, "The notification."),
    "entity_map_id": (URI, "The entity map."),
    "contextId": (TEXT, "Local identifier, or the URL of a cached context."),
    "type": (TEXT, "The type: term, compact IRI or IRI."),
}
TENANT: Final = {
    "name": "NGSILD-Tenant",
    "in": "header",
    "schema": {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,99}$"},
    "description": "The tenant (6.3.14); the city itself by default.",
}
LINK: Final = {
    "name": "Link",
    "in": "header",
    "schema": TEXT,
    "description": 'The @context: `<URL>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"` (6.3.5).',
}
PREFER: Final = {
    "name": "Prefer",
    "in": "header",
    "schema": TEXT,
    "description": "`ngsi-ld=1.6`: as that version of the standard has it; `body=json`: GeoJSON without @context (6.3.6).",
}

# --- bodies and answers --------------------------------------------------------------------------------------------

KINDS: Final[Mapping[str, tuple[str, Json]]] = {
    "Property": ("value", {"not": {"type": "null"}}),
    "GeoProperty": ("value", ref("Geometry")),
    "Relationship": ("object", {"anyOf": [URI, list_of(URI, minItems=1)]}),
    "LanguageProperty": ("languageMap", {"type": "object", "additionalProperties": {"anyOf": [TEXT, list_of(TEXT)]}}),
    "VocabProperty": ("vocab", {"anyOf": [TEXT, list_of(TEXT)]}),
    "ListProperty": ("valueList", {"type": "array"}),
    "ListRelationship": ("objectList", list_of({"anyOf": [URI, record(("object",), object=URI)]})),
    "JsonProperty": ("json", {}),
}  # fmt: skip
META: Final = {"datasetId": URI, "observedAt": TIME, "unitCode": TEXT}


def _instance(kind: str) -> Json:
    key, schema = KINDS[kind]
    meta = {name: one for name, one in META.items() if name != "unitCode" or kind == "Property"}
    return record(("type", key), type={"const": kind}, **{key: schema}, **meta)


INFORMATION: Final = record(
    entities=list_of(record(("type",), id=URI, idPattern=TEXT, type={"anyOf": [TEXT, list_of(TEXT)]}), minItems=1),
    propertyNames=list_of(TEXT, minItems=1),
    relationshipNames=list_of(TEXT, minItems=1),
)  # fmt: skip
SELECTOR: Final = record(("type",), id={"anyOf": [URI, list_of(URI)]}, idPattern=TEXT, type=TEXT)
GEO_QUERY: Final = record(
    ("geometry", "coordinates", "georel"),
    geometry=enum(*GEOMETRIES),
    coordinates={"type": "array"},
    georel=TEXT,
    geoproperty=TEXT,
)
SUBSCRIPTION: Final = {
    "id": URI,
    "type": {"const": "Subscription"},
    "subscriptionName": TEXT,
    "description": TEXT,
    "entities": list_of(SELECTOR, minItems=1),
    "watchedAttributes": list_of(TEXT, minItems=1),
    "notificationTrigger": list_of(
        enum(
            "entityCreated", "entityUpdated", "entityDeleted", "attributeCreated", "attributeUpdated", "attributeDeleted"
        ),
        minItems=1,
    ),
    "timeInterval": {"type": "number", "exclusiveMinimum": 0},
    "throttling": {"type": "number", "exclusiveMinimum": 0},
    "q": TEXT,
    "geoQ": GEO_QUERY,
    "scopeQ": TEXT,
    "isActive": FLAG,
    "expiresAt": TIME,
    "lang": TEXT,
    "jsonldContext": URI,
    "notification": record(
        ("endpoint",),
        attributes=list_of(TEXT, minItems=1),
        format=enum("normalized", "concise", "simplified", "keyValues"),
        showChanges=FLAG,
        sysAttrs=FLAG,
        endpoint=record(
            ("uri",),
            uri=URI,
            accept=enum(JSON, LD, GEO),
            receiverInfo=list_of(record(("key", "value"), key=TEXT, value=TEXT)),
        ),
    ),
}  # fmt: skip
REGISTRATION: Final = {
    "id": URI,
    "type": {"const": "ContextSourceRegistration"},
    "registrationName": TEXT,
    "description": TEXT,
    "information": list_of(INFORMATION, minItems=1),
    "endpoint": URI,
    "mode": enum("inclusive", "exclusive", "redirect", "auxiliary"),
    "operations": list_of(TEXT, minItems=1),
    "tenant": TEXT,
    "expiresAt": TIME,
}
SCHEMAS: Final[Mapping[str, Json]] = {
    "Geometry": record(("type", "coordinates"), type=enum(*GEOMETRIES), coordinates={"type": "array", "minItems": 1}),
    **{kind: _instance(kind) for kind in KINDS},
    "Attribute": {
        "anyOf": [
            *(ref(kind) for kind in KINDS),
            list_of({"anyOf": [ref(kind) for kind in KINDS]}),
            {"type": ["string", "number", "boolean", "object"]},  # concise
        ]
    },
    "Context": {"type": ["string", "object", "array"]},
    "Types": {"anyOf": [TEXT, list_of(TEXT, minItems=1)]},
    "Entity": record(
        ("id", "type"),
        open_ended=ref("Attribute"),
        id=URI,
        type=ref("Types"),
        scope={"anyOf": [TEXT, list_of(TEXT)]},
        expiresAt=TIME,
    ),
    "EntityFragment": record(open_ended=ref("Attribute"), type=ref("Types"), scope={"anyOf": [TEXT, list_of(TEXT)]}),
    # What is read may lack id and type by `pick`, and have other shapes by `format`.
    "ShownEntity": record(id=URI, type=ref("Types")),
    "Feature": record(
        ("id", "type", "geometry", "properties"),
        id=URI,
        type={"const": "Feature"},
        geometry={"type": ["object", "null"]},
        properties={"type": "object"},
    ),
    "FeatureCollection": record(
        ("type", "features"), type={"const": "FeatureCollection"}, features=list_of(ref("Feature"))
    ),
    "EntityTemporal": record(
        ("id",),
        open_ended=list_of({"anyOf": [ref(kind) for kind in KINDS]}),
        id=URI,
        type=ref("Types"),
        scope={"anyOf": [TEXT, list_of(TEXT)]},
    ),
    "TemporalFragment": record(open_ended=list_of({"anyOf": [ref(kind) for kind in KINDS]})),
    "Query": record(
        ("type",),
        type={"const": "Query"},
        entities=list_of(SELECTOR, minItems=1),
        attrs=list_of(TEXT, minItems=1),
        pick=list_of(TEXT, minItems=1),
        omit=list_of(TEXT, minItems=1),
        q=TEXT,
        geoQ=GEO_QUERY,
        scopeQ=TEXT,
        lang=TEXT,
        splitEntities=FLAG,
        entityMap=FLAG,
        entityMapLifetime=TEXT,
        ordering=record(orderBy=list_of(TEXT), collation=TEXT, geometry=enum(*GEOMETRIES), coordinates={"type": "array"}),
        temporalQ=record(timerel=PARAMETERS["timerel"][0], timeAt=TIME, endTimeAt=TIME, timeproperty=PARAMETERS["timeproperty"][0]),
        aggrParams=record(aggrMethods=PARAMETERS["aggrMethods"][0], aggrPeriodDuration=TEXT),
    ),
    "EntityMap": record(
        ("id", "type", "expiresAt", "entityMap", "linkedMaps"),
        id=URI,
        type={"const": "EntityMap"},
        expiresAt=TIME,
        entityMap={"type": "object", "additionalProperties": list_of(TEXT, minItems=1)},
        linkedMaps={"type": "object", "additionalProperties": URI},
    ),
    "EntityMapFragment": record(type={"const": "EntityMap"}, expiresAt=TIME),
    "UpdateResult": record(
        ("updated", "notUpdated"),
        updated=list_of(TEXT),
        notUpdated=list_of(record(("attributeName", "reason"), attributeName=TEXT, reason=TEXT)),
    ),
    "BatchOperationResult": record(
        ("success", "errors"),
        success=list_of(TEXT),
        errors=list_of(record(("error",), entityId=TEXT, error=ref("ProblemDetails"))),
    ),
    "Subscription": record(("type", "notification"), **SUBSCRIPTION),
    "SubscriptionFragment": record(**{name: one for name, one in SUBSCRIPTION.items() if name != "notification"}),
    "ContextSourceRegistration": record(("type", "information", "endpoint"), **REGISTRATION),
    "RegistrationFragment": record(**REGISTRATION),
    "Shown": record(("id", "type"), id=URI, type=TEXT),
    "HostedContext": record(("@context",), **{"@context": ref("Context")}),
    "StoredContext": record(
        ("URL", "localId", "kind", "createdAt"), URL=TEXT, localId=TEXT, kind=PARAMETERS["kind"][0], createdAt=TIME
    ),
    "DeadLetter": record(("id", "endpoint", "reason", "attempts", "givenUpAt", "notification")),
    "Replayed": record(("replayed",), replayed={"type": "integer", "minimum": 0}),
    "ProblemDetails": record(
        ("type", "title", "detail", "status"),
        type={"type": "string", "pattern": "^https://uri.etsi.org/ngsi-ld/errors/[A-Za-z]+$"},
        title=TEXT,
        detail=TEXT,
        status={"type": "integer"},
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """What an operation answers with a status."""

    says: str
    schema: Json = None
    media: tuple[str, ...] = (JSON,)
    by_media: Mapping[str, Json] | None = None
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """One row: what a method on a path does.

    Attributes
    ----------
    clauses : str
        Of GS CIM 009; empty where the operation is beyond it.
    parameters : names in `PARAMETERS`
    options, form : schemas of the parameters of these names, where the operation has them
    body : name in `SCHEMAS`, or a schema
    problems : statuses beside those that every operation may answer
    """

    method: str
    path: str
    name: str
    says: str
    clauses: str
    answers: Mapping[int, Answer]
    parameters: tuple[str, ...] = ()
    options: Json = None
    form: Json = None
    body: Json = None
    media: tuple[str, ...] = (JSON, LD)
    problems: tuple[int, ...] = ()
    is_public: bool = False


PROBLEMS: Final[Mapping[int, str]] = {
    400: "The request, or what it holds, is wrong: InvalidRequest, BadRequestData.",
    401: "No token, or none that is known.",
    403: "The token does not reach this; or TooComplexQuery, TooManyResults.",
    404: "There is no such resource, or no such tenant.",
    406: "None of the accepted types can be answered; the body lists those that can.",
    409: "It exists already, or contradicts a registration.",
    411: "Content-Length is missing.",
    413: "The body is too large.",
    415: "The body is of another type.",
    422: "The operation is not supported here.",
    503: "Busy, or the database does not answer: try again.",
    504: "LdContextNotAvailable: the remote @context cannot be read.",
}
SILENT: Final = frozenset({411, 415})
HEADERS: Final[Mapping[str, str]] = {
    "Location": "Where it is.",
    "Link": "The @context, and the neighbouring pages.",
    "NGSILD-Results-Count": "How many there are in all, when asked.",
    "NGSILD-EntityMap": "The entity map that the page is of.",
    "Preference-Applied": "What of Prefer was done.",
    "Content-Range": "Which part of the time series this is.",
}
FILTERS: Final = (
    "id", "idPattern", "type", "attrs", "q", "csf", "geometry", "georel", "coordinates", "geoproperty", "scopeQ", "expandValues",
    "jsonKeys", "datasetId", "local",
)  # fmt: skip
SHOWN: Final = ("pick", "omit", "lang", "sysAttrs")
LINKED: Final = ("join", "joinLevel", "containedBy", "geometryProperty")
PAGED: Final = ("limit", "offset", "count")
MAPPED: Final = ("splitEntities", "entityMap", "entityMapLifetime")
ORDERED: Final = ("orderBy", "orderFrom", "orderGeometry", "collation")
TEMPORAL: Final = (
    "timerel",
    "timeAt",
    "endTimeAt",
    "timeproperty",
    "lastN",
    "aggrMethods",
    "aggrPeriodDuration",
)
TEMPORAL_MEDIA: Final = {CSV: TEXT, PARQUET: {"type": "string", "contentMediaType": PARQUET}}

DONE: Final = Answer("Done.")
CREATED: Final = Answer("Made.", headers=("Location",))


def shown(schema: Json, *, is_list: bool = False, headers: tuple[str, ...] = ()) -> Answer:
    page = ("Link", "NGSILD-Results-Count") if is_list else ("Link",)
    return Answer(
        "What was asked for.", list_of(schema) if is_list else schema, (JSON, LD), headers=page + headers
    )


ENTITY_SHOWN: Final = Answer(
    "The entity; with join=flat a list.",
    by_media={
        JSON: {"anyOf": [ref("ShownEntity"), list_of(ref("ShownEntity"))]},
        LD: {"anyOf": [ref("ShownEntity"), list_of(ref("ShownEntity"))]},
        GEO: {"anyOf": [ref("Feature"), ref("FeatureCollection")]},
    },
    headers=("Link",),
)
ENTITIES_SHOWN: Final = Answer(
    "The entities of the page.",
    by_media={JSON: list_of(ref("ShownEntity")), LD: list_of(ref("ShownEntity")), GEO: ref("FeatureCollection"), CSV: TEXT},
    headers=("Link", "NGSILD-Results-Count"),
)  # fmt: skip
AMENDED: Final = "As 200, amended to the version of the standard that Prefer asks for (4.3.6.8)."


def shown_and_amended(answer: Answer) -> Mapping[int, Answer]:
    by_media = {media: schema for media, schema in (answer.by_media or {}).items() if media != CSV}
    headers = (*answer.headers, "Preference-Applied")
    return {200: answer, 203: Answer(AMENDED, by_media=by_media, headers=headers)}


def mapped(answer: Answer) -> Mapping[int, Answer]:
    """With an entity map that was made, or made anew, for the answer."""
    headers = (*answer.headers, "NGSILD-EntityMap")
    made = Answer("As 200; an entity map was made.", by_media=answer.by_media, headers=headers)
    return {**shown_and_amended(answer), 201: made}


EVOLUTION: Final = {JSON: ref("ShownEntity"), LD: ref("ShownEntity"), **TEMPORAL_MEDIA}
EVOLUTIONS: Final = {JSON: list_of(ref("ShownEntity")), LD: list_of(ref("ShownEntity")), **TEMPORAL_MEDIA}


def evolved(schemas: Mapping[str, Json]) -> Mapping[int, Answer]:
    return {
        200: Answer(
            "The past that was asked for.", by_media=schemas, headers=("Link", "NGSILD-Results-Count")
        ),
        206: Answer(
            "A part of it; Link says where it goes on.",
            by_media={media: schemas[media] for media in (JSON, LD)},
            headers=("Link", "Content-Range"),
        ),
    }


UPDATED: Final = {
    204: DONE,
    207: Answer(
        "Done in part.",
        {"anyOf": [ref("UpdateResult"), ref("BatchOperationResult")]},
    ),
}
CHANGED: Final = {204: DONE, 207: Answer("Done in part.", ref("BatchOperationResult"))}
IDS: Final = Answer("Made; the ids.", list_of(URI))


def _entities(method: str, path: str, name: str, says: str, clauses: str, **more: Any) -> Operation:
    more.setdefault("parameters", ("type", "local"))
    return Operation(method, f"/entities{path}", name, says, clauses, more.pop("answers", CHANGED), **more)


def _batch(name: str, says: str, clauses: str, answers: Mapping[int, Answer], **more: Any) -> Operation:
    more.setdefault("body", list_of(ref("Entity"), minItems=1))
    return Operation(
        "POST", f"/entityOperations/{name}", f"{name}Batch", says, clauses, answers, ("local",), **more
    )


def _temporal(method: str, path: str, name: str, says: str, clauses: str, **more: Any) -> Operation:
    more.setdefault("answers", {204: DONE})
    return Operation(method, f"/temporal{path}", name, says, clauses, more.pop("answers"), **more)


def _documents(
    path: str,
    key: str,
    noun: str,
    names: Sequence[str],
    clauses: Sequence[str],
    *,
    body: str,
    fragment: str,
    **more: Any,
) -> tuple[Operation, ...]:
    """Make, list, read, change and delete documents that have an id."""
    one, options = f"{path}/{{{key}}}", {"options": SYSTEM_OPTIONS}
    listed = {"parameters": (*PAGED, "sysAttrs", "local"), **more}
    return (
        Operation("POST", path, names[0], f"Make a {noun}.", clauses[0], {201: CREATED}, ("local",), body=ref(body), problems=(409, 422)),
        Operation("GET", path, names[1], f"List every {noun}.", clauses[1], {200: shown(ref("Shown"), is_list=True)}, **options, **listed),
        Operation("GET", one, names[2], f"Read a {noun}.", clauses[2], {200: shown(ref("Shown"))}, ("sysAttrs", "local"), **options),
        Operation(
            "PATCH", one, names[3], f"Change a {noun}.", clauses[3], {204: DONE}, ("local",), body=ref(fragment),
            media=(JSON, LD, MERGE), problems=(409, 422),
        ),
        Operation("DELETE", one, names[4], f"Delete a {noun}.", clauses[4], {204: DONE}, ("local",)),
    )  # fmt: skip


PATCHES: Final = (JSON, LD, MERGE)
MAP_MADE: Final = {
    201: Answer("The map.", ref("EntityMap"), (JSON, LD), headers=("Link", "NGSILD-EntityMap")),
}
OPERATIONS: Final[tuple[Operation, ...]] = (
    # entities
    _entities("POST", "", "createEntity", "Create an entity.", "5.6.1, 6.4.3.1", parameters=("local",), body=ref("Entity"),
              answers={201: CREATED, 207: Answer("Made in part.", ref("BatchOperationResult"), headers=("Location",))},
              problems=(409, 422)),
    _entities("GET", "", "queryEntity", "Query entities.", "5.7.2, 6.4.3.2", parameters=(*FILTERS, *SHOWN, *LINKED, *ORDERED, *PAGED, *MAPPED),
              options=FORM_OPTIONS, form=FORM, answers=mapped(ENTITIES_SHOWN), problems=(406,)),
    _entities("DELETE", "", "purgeEntity", "Remove all entities that match, or some of their attributes.", "5.6.21, 6.4.3.3",
              parameters=(*FILTERS, "drop", "keep"), answers=CHANGED),
    _entities("GET", "/{entity_id}", "retrieveEntity", "Read an entity.", "5.7.1, 6.5.3.1",
              parameters=("type", "attrs", "datasetId", "local", *SHOWN, *LINKED), options=FORM_OPTIONS, form=FORM,
              answers=shown_and_amended(ENTITY_SHOWN), problems=(406,)),
    _entities("PUT", "/{entity_id}", "replaceEntity", "Replace an entity.", "5.6.18, 6.5.3.3", body=ref("EntityFragment"),
              problems=(409,)),
    _entities("PATCH", "/{entity_id}", "mergeEntity", "Merge a patch into an entity.", "5.6.17, 6.5.3.4", body=ref("EntityFragment"),
              media=PATCHES, parameters=("type", "local", "lang", "observedAt"), form=FORM, options=FORM_OPTIONS, problems=(409,)),
    _entities("DELETE", "/{entity_id}", "deleteEntity", "Delete an entity.", "5.6.6, 6.5.3.2", problems=(409,)),
    _entities("POST", "/{entity_id}/attrs", "appendAttrs", "Append attributes.", "5.6.3, 6.6.3.1", body=ref("EntityFragment"),
              options=list_of(enum("noOverwrite")), answers=UPDATED, problems=(409,)),
    _entities("PATCH", "/{entity_id}/attrs", "updateEntity", "Update attributes.", "5.6.2, 6.6.3.2", body=ref("EntityFragment"),
              media=PATCHES, answers=UPDATED, problems=(409,)),
    _entities("PATCH", "/{entity_id}/attrs/{attribute}", "updateAttrs", "Update an attribute in part.", "5.6.4, 6.7.3.1",
              body=ref("Attribute"), media=PATCHES, answers=UPDATED, problems=(409,)),
    _entities("PUT", "/{entity_id}/attrs/{attribute}", "replaceAttrs", "Replace an attribute.", "5.6.19, 6.7.3.3",
              body=ref("Attribute"), answers=UPDATED, problems=(409,)),
    _entities("DELETE", "/{entity_id}/attrs/{attribute}", "deleteAttrs", "Delete an attribute.", "5.6.5, 6.7.3.2",
              parameters=("type", "local", "datasetId", "deleteAll"), answers=UPDATED, problems=(409,)),
    # many at once
    _batch("create", "Create entities.", "5.6.7, 6.14", {201: IDS, 207: CHANGED[207]}),
    _batch("upsert", "Create entities, or replace or update them.", "5.6.8, 6.15", {201: IDS, **CHANGED},
           options=list_of(enum("update", "replace", "noOverwrite"))),
    _batch("update", "Append attributes to entities.", "5.6.9, 6.16", CHANGED, options=list_of(enum("noOverwrite"))),
    _batch("merge", "Merge patches into entities.", "5.6.20, 6.31", CHANGED),
    _batch("delete", "Delete entities.", "5.6.10, 6.17", CHANGED, body=list_of(URI, minItems=1)),
    Operation("POST", "/entityOperations/query", "queryBatch", "Query entities by a document.", "5.7.2, 6.23", mapped(ENTITIES_SHOWN),
              ("local", "sysAttrs", "geometryProperty", *PAGED), options=FORM_OPTIONS, form=FORM, body=ref("Query"), problems=(406,)),
    # entity maps
    Operation("GET", "/entityMaps", "queryEntityMap", "Make an entity map by a query.", "5.14.4, 6.34.3.1", MAP_MADE,
              (*FILTERS, *LINKED[:3], *ORDERED, "splitEntities", "entityMapLifetime")),
    Operation("POST", "/entityMaps", "createEntityMap", "Make an entity map by a document.", "5.14.4, 6.34.3.2", MAP_MADE,
              ("local",), body=ref("Query")),
    Operation("GET", "/temporal/entityMaps", "queryTemporalEntityMap", "Make an entity map by a query of the past.", "5.14.5, 6.35.3.1",
              MAP_MADE, (*FILTERS, *TEMPORAL[:5], "entityMapLifetime")),
    Operation("POST", "/temporal/entityMaps", "createTemporalEntityMap", "Make an entity map of the past by a document.",
              "5.14.5, 6.35.3.2", MAP_MADE, ("local",), body=ref("Query")),
    Operation("GET", "/entityMaps/{entity_map_id}", "retrieveEntityMap", "Read an entity map.", "5.14.1, 6.32.3.1", {200: shown(ref("EntityMap"))}),
    Operation("PATCH", "/entityMaps/{entity_map_id}", "updateEntityMap", "Put off the end of an entity map.", "5.14.2, 6.32.3.2", {204: DONE},
              body=ref("EntityMapFragment"), media=PATCHES),
    Operation("DELETE", "/entityMaps/{entity_map_id}", "deleteEntityMap", "Delete an entity map.", "5.14.3, 6.32.3.3", {204: DONE}),
    # what there is
    Operation("GET", "/types", "retrieveTypes", "Which types there are.", "5.7.5, 5.7.6, 6.25",
              {200: Answer("A list document, or with details a list.", {"anyOf": [ref("Shown"), list_of(ref("Shown"))]}, (JSON, LD), headers=("Link",))},
              ("details", "local")),
    Operation("GET", "/types/{type}", "retrieveTypeInfo", "What is known of a type.", "5.7.7, 6.26", {200: shown(ref("Shown"))}, ("local",)),
    Operation("GET", "/attributes", "retrieveAttributes", "Which attributes there are.", "5.7.8, 5.7.9, 6.27",
              {200: Answer("A list document, or with details a list.", {"anyOf": [ref("Shown"), list_of(ref("Shown"))]}, (JSON, LD), headers=("Link",))},
              ("details", "local")),
    Operation("GET", "/attributes/{attribute}", "retrieveAttrInfo", "What is known of an attribute.", "5.7.10, 6.28",
              {200: shown(ref("Shown"))}, ("local",)),
    # the past
    _temporal("POST", "/entities", "upsertTemporal", "Create or add to the past of an entity.", "5.6.11, 6.18.3.1",
              parameters=("local",), body=ref("EntityTemporal"), answers={201: CREATED, 204: DONE}, problems=(422,)),
    _temporal("GET", "/entities", "queryTemporal", "Query the past of entities.", "5.7.4, 6.18.3.2",
              parameters=FILTERS + SHOWN + TEMPORAL + PAGED, options=TEMPORAL_OPTIONS, form=TEMPORAL_FORM,
              answers=evolved(EVOLUTIONS), problems=(406,)),
    _temporal("GET", "/entities/{entity_id}", "retrieveTemporal", "Read the past of an entity.", "5.7.3, 6.19.3.1",
              parameters=("attrs", "datasetId", "local", *SHOWN, *TEMPORAL), options=TEMPORAL_OPTIONS, form=TEMPORAL_FORM,
              answers=evolved(EVOLUTION), problems=(406,)),
    _temporal("DELETE", "/entities/{entity_id}", "deleteTemporal", "Delete the past of an entity.", "5.6.16, 6.19.3.2", parameters=("local",)),
    _temporal("POST", "/entities/{entity_id}/attrs", "appendAttrsTemporal", "Add instances.", "5.6.12, 6.20.3.1",
              parameters=("local",), body=ref("TemporalFragment")),
    _temporal("DELETE", "/entities/{entity_id}/attrs/{attr_id}", "deleteAttrsTemporal", "Delete the past of an attribute.",
              "5.6.13, 6.21.3.1", parameters=("local", "datasetId", "deleteAll")),
    _temporal("PATCH", "/entities/{entity_id}/attrs/{attr_id}/{instance_id}", "updateAttrsTemporal", "Change an instance.",
              "5.6.14, 6.22.3.1", parameters=("local",), body=ref("TemporalFragment"), media=PATCHES),
    _temporal("DELETE", "/entities/{entity_id}/attrs/{attr_id}/{instance_id}", "deleteAttrInstanceTemporal", "Delete an instance.",
              "5.6.15, 6.22.3.2", parameters=("local",)),
    _temporal("POST", "/entityOperations/query", "temporalQueryBatch", "Query the past by a document.", "5.7.4, 6.24",
              parameters=("local", "sysAttrs", "aggrMethods", "aggrPeriodDuration", "lastN", *PAGED), options=TEMPORAL_OPTIONS,
              form=TEMPORAL_FORM, body=ref("Query"), answers=evolved(EVOLUTIONS), problems=(406,)),
    # subscriptions
    *_documents("/subscriptions", "subscription_id", "subscription",
                ("createSubscription", "querySubscription", "retrieveSubscription", "updateSubscription", "deleteSubscription"),
                ("5.8.1, 6.10.3.1", "5.8.4, 6.10.3.2", "5.8.3, 6.11.3.1", "5.8.2, 6.11.3.2", "5.8.5, 6.11.3.3"),
                body="Subscription", fragment="SubscriptionFragment"),
    Operation("GET", "/subscriptions/{subscription_id}/events", "streamEvents", "The notifications as server-sent events.", "",
              {200: Answer("The stream.", TEXT, ("text/event-stream",))}, ("lastEventId",), problems=(406, 422)),
    Operation("GET", "/subscriptions/{subscription_id}/deadLetters", "queryDeadLetters", "Notifications that were given up.", "",
              {200: Answer("The page.", list_of(ref("DeadLetter")), headers=("Link", "NGSILD-Results-Count"))}, PAGED),
    Operation("POST", "/subscriptions/{subscription_id}/deadLetters", "replayDeadLetters", "Send them all again.", "",
              {202: Answer("Under way.", ref("Replayed"))}),
    Operation("DELETE", "/subscriptions/{subscription_id}/deadLetters", "forgetDeadLetters", "Forget them all.", "", {204: DONE}),
    Operation("POST", "/subscriptions/{subscription_id}/deadLetters/{notification_id}", "replayDeadLetter", "Send one again.", "",
              {202: Answer("Under way.", ref("Replayed"))}),
    Operation("DELETE", "/subscriptions/{subscription_id}/deadLetters/{notification_id}", "forgetDeadLetter", "Forget one.", "",
              {204: DONE}),
    # context sources
    *_documents("/csourceRegistrations", "registration_id", "registration of a context source",
                ("createCSR", "queryCSR", "retrieveCSR", "updateCSR", "deleteCSR"),
                ("5.9.2, 6.8.3.1", "5.10.2, 6.8.3.2", "5.10.1, 6.9.3.1", "5.9.3, 6.9.3.2", "5.9.4, 6.9.3.3"),
                body="ContextSourceRegistration", fragment="RegistrationFragment",
                parameters=("id", "idPattern", "type", "attrs", "q", "csf", "geometry", "georel", "coordinates", "geoproperty", "scopeQ",
                            "timerel", "timeAt", "endTimeAt", "timeproperty", *PAGED, "sysAttrs", "local")),
    *_documents("/csourceSubscriptions", "subscription_id", "subscription to context sources",
                ("createCSRSubscription", "queryCSRSubscription", "retrieveCSRSubscription", "updateCSRSubscription", "deleteCSRSubscription"),
                ("5.11.2, 6.12.3.1", "5.11.5, 6.12.3.2", "5.11.4, 6.13.3.1", "5.11.3, 6.13.3.2", "5.11.6, 6.13.3.3"),
                body="Subscription", fragment="SubscriptionFragment"),
    Operation("GET", "/info/sourceIdentity", "retrieveSourceIdentity", "What this broker is called.", "5.15, 6.33", {200: shown(ref("Shown"))}),
    # contexts
    Operation("POST", "/jsonldContexts", "createContext", "Host an @context.", "5.13.2, 6.29.3.1", {201: CREATED}, body=ref("HostedContext")),
    Operation("GET", "/jsonldContexts", "listContexts", "List contexts.", "5.13.3, 6.29.3.2",
              {200: Answer("URLs, or with details what is known of each.", {"anyOf": [list_of(TEXT), list_of(ref("StoredContext"))]})},
              ("details", "kind")),
    Operation("GET", "/jsonldContexts/{contextId}", "retrieveContext", "Serve an @context.", "5.13.4, 6.30.3.1",
              {200: Answer("The document, or with details what is known of it.", {"type": "object"}, (JSON, LD))}, ("details",), problems=(422,), is_public=True),
    Operation("DELETE", "/jsonldContexts/{contextId}", "deleteContext", "Forget an @context, or read it again.", "5.13.5, 6.30.3.2",
              {204: DONE}, ("reload",)),
    # itself
    Operation("GET", "/openapi.json", "describe", "This document.", "", {200: Answer("The document.", {"type": "object"})}, is_public=True),
)  # fmt: skip


# --- the document --------------------------------------------------------------------------------------------------


@cache
def document() -> dict[str, Json]:
    """The whole description."""
    paths: dict[str, dict[str, Json]] = {}
    for one in OPERATIONS:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "AMB 24/7: NGSI-LD",
            "version": "1.8.1",
            "summary": "Context broker by ETSI GS CIM 009 v1.8.1, with parts of 1.9.1.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": BASE}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": dict(SCHEMAS),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(one: Operation) -> dict[str, Json]:
    problems = {400, 401, 403, 404, 406, 503, 504, *one.problems}
    if one.body is not None:
        problems |= {411, 413, 415}
    described: dict[str, Json] = {
        "operationId": one.name,
        "summary": one.says,
        "description": f"GS CIM 009: {one.clauses}." if one.clauses else "Beyond the standard.",
        "parameters": _parameters(one),
        "responses": {
            **{str(status): _answer(answer) for status, answer in one.answers.items()},
            **{str(status): _problem(status) for status in sorted(problems)},
        },
    }
    if one.body is not None:
        described["requestBody"] = {
            "required": True,
            "content": {media: {"schema": _body(one.body, media)} for media in one.media},
        }
    if one.is_public:
        described["security"] = [{}, {"token": []}]
    return described


def _body(schema: Json, media: str) -> Json:
    """With ld+json the @context is inside (6.3.5); in a list, inside each element."""
    if media != LD:
        return schema
    if schema.get("type") == "array":
        return schema if schema["items"] == URI else {**schema, "items": _body(schema["items"], media)}
    return {"allOf": [schema, record(("@context",), **{"@context": ref("Context")})]}


def _parameters(one: Operation) -> list[Json]:
    found = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": PATHS[name][0],
            "description": PATHS[name][1],
        }
        for part in one.path.split("/")
        if part.startswith("{") and (name := part[1:-1])
    ]
    asked = {name: PARAMETERS[name] for name in one.parameters}
    if one.options is not None:
        asked["options"] = (one.options, "Representation and further wishes.")
    if one.form is not None:
        asked["format"] = (one.form, "Representation; goes before options.")
    for name, (schema, says) in asked.items():
        style = {"style": "form", "explode": False} if schema.get("type") == "array" else {}
        found.append({"name": name, "in": "query", "schema": schema, "description": says, **style})
    if not one.path.startswith("/openapi"):
        found += [TENANT, LINK]
    if 203 in one.answers:
        found.append(PREFER)
    return found


def _answer(answer: Answer) -> Json:
    described: dict[str, Json] = {"description": answer.says}
    content = answer.by_media or ({} if answer.schema is None else dict.fromkeys(answer.media, answer.schema))
    if content:
        described["content"] = {media: {"schema": schema} for media, schema in content.items()}
    if answer.headers:
        described["headers"] = {
            name: {"schema": TEXT, "description": HEADERS[name]} for name in answer.headers
        }
    return described


def _problem(status: int) -> Json:
    described: dict[str, Json] = {"description": PROBLEMS[status]}
    if status not in SILENT:
        described["content"] = {JSON: {"schema": ref("ProblemDetails")}}
    return described


async def describe(_request: Request) -> Response:
    return Response(_written(), headers={"Access-Control-Allow-Origin": "*"}, media_type=JSON)


@cache
def _written() -> bytes:
    return orjson.dumps(document())


ROUTES: Final = [Route("/openapi.json", describe, methods=["GET"])]
