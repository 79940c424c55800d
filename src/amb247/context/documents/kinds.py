"""The kinds of attributes and what each carries (GS CIM 009, 4.5.2 to 4.5.24)."""

from __future__ import annotations

from enum import Enum
from typing import Final

NGSI_NULL: Final = "urn:ngsi-ld:null"


class Delete(Enum):
    """What a fragment says where it asks for removal. `orjson` writes it as the NGSI-LD Null that it came from."""

    DELETE = NGSI_NULL

    def __repr__(self) -> str:
        return "DELETE"


DELETE: Final = Delete.DELETE

VALUE_KEY: Final = {
    "Property": "value",
    "Relationship": "object",
    "GeoProperty": "value",
    "LanguageProperty": "languageMap",
    "VocabProperty": "vocab",
    "ListProperty": "valueList",
    "ListRelationship": "objectList",
    "JsonProperty": "json",
}
KIND_OF: Final = {
    "value": "Property",
    "object": "Relationship",
    "languageMap": "LanguageProperty",
    "vocab": "VocabProperty",
    "valueList": "ListProperty",
    "objectList": "ListRelationship",
    "json": "JsonProperty",
}
VALUE_KEYS: Final = frozenset(KIND_OF)
UNITLESS: Final = frozenset(
    {"Relationship", "ListRelationship", "LanguageProperty", "VocabProperty", "JsonProperty"}
)
TARGETED: Final = frozenset({"Relationship", "ListRelationship"})
# Made by the broker, or only ever sent out by it: whoever sends them back has them ignored.
OUTPUT_ONLY: Final = frozenset(
    {
        "createdAt",
        "modifiedAt",
        "deletedAt",
        "instanceId",
        "entity",
        "entityList",
        "lang",
        "previousValue",
        "previousObject",
        "previousLanguageMap",
        "previousVocab",
        "previousValueList",
        "previousObjectList",
        "previousJson",
    }
)
STAMPS: Final = frozenset({"createdAt", "modifiedAt", "deletedAt", "instanceId"})
# Members of an instance that are neither its value, its kind nor an attribute of it.
NOT_ATTRIBUTES: Final = (
    VALUE_KEYS
    | OUTPUT_ONLY
    | {"type", "observedAt", "expiresAt", "unitCode", "datasetId", "objectType", "valueType"}
)

GEOMETRY_DEPTH: Final = {
    "Point": 0,
    "MultiPoint": 1,
    "LineString": 1,
    "MultiLineString": 2,
    "Polygon": 2,
    "MultiPolygon": 3,
}
