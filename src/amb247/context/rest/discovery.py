"""Which types and attributes there are.

References
----------
ETSI GS CIM 009 v1.8.1, 5.2.24 - 5.2.28 (documents), 5.7.5 - 5.7.10, 6.25 - 6.28.
"""

from __future__ import annotations

import hashlib
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from amb247.context.domain.queries import discovery
from amb247.context.jsonld.context import Context
from amb247.context.jsonld.names import iri
from amb247.context.rest.exchange import open_exchange

Json = Any


async def all_types(request: Request) -> Response:
    exchange = await open_exchange(request)
    details = exchange.flag("details")
    found = await exchange.read(discovery.types, exchange.access.restriction)
    if not details:
        names = sorted(map(exchange.context.compact, found))
        return exchange.answer(_list_document("EntityTypeList", "typeList", names))
    return exchange.answer([_type(exchange.context, name, found[name]) for name in found])


async def one_type(request: Request) -> Response:
    exchange = await open_exchange(request)
    context = exchange.context
    name = context.expand(request.path_params["type"])
    info = await exchange.read(discovery.type_info, name, exchange.access.restriction)
    return exchange.answer(
        {
            "id": iri(name),
            "type": "EntityTypeInfo",
            "typeName": context.compact(name),
            "entityCount": info.entity_count,
            "attributeDetails": [
                _attribute(context, one) | {"attributeTypes": list(kinds)}
                for one, kinds in info.attributes.items()
            ],
        }
    )


async def all_attributes(request: Request) -> Response:
    exchange = await open_exchange(request)
    context, details = exchange.context, exchange.flag("details")
    found = await exchange.read(discovery.attributes, exchange.access.restriction)
    if not details:
        return exchange.answer(
            _list_document("AttributeList", "attributeList", sorted(map(context.compact, found)))
        )
    return exchange.answer(
        [
            _attribute(context, name) | {"typeNames": [context.compact(one) for one in names]}
            for name, names in found.items()
        ]
    )


async def one_attribute(request: Request) -> Response:
    exchange = await open_exchange(request)
    context = exchange.context
    name = context.expand(request.path_params["attribute"])
    info = await exchange.read(discovery.attribute_info, name, exchange.access.restriction)
    return exchange.answer(
        _attribute(context, name)
        | {
            "attributeCount": info.attribute_count,
            "attributeTypes": list(info.kinds),
            "typeNames": [context.compact(one) for one in info.types],
        }
    )


def _list_document(kind: str, member: str, names: list[str]) -> Json:
    """The list's id says what is in it: the same list has the same id."""
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()[:32]
    return {"id": f"urn:ngsi-ld:{kind}:{digest}", "type": kind, member: names}


def _type(context: Context, name: str, names: tuple[str, ...]) -> Json:
    return {
        "id": iri(name),
        "type": "EntityType",
        "typeName": context.compact(name),
        "attributeNames": [context.compact(one) for one in names],
    }


def _attribute(context: Context, name: str) -> Json:
    return {"id": iri(name), "type": "Attribute", "attributeName": context.compact(name)}


ROUTES = [
    Route("/types", all_types, methods=["GET"]),
    Route("/types/{type}", one_type, methods=["GET"]),
    Route("/attributes", all_attributes, methods=["GET"]),
    Route("/attributes/{attribute}", one_attribute, methods=["GET"]),
]
