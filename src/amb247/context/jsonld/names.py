"""Internal names: short where the name lies in the default or the core vocabulary, the full IRI elsewhere.

`https://uri.etsi.org/ngsi-ld/default-context/speed` is kept as `speed`, every IRI of the core context as its core term
(`https://uri.etsi.org/ngsi-ld/location` as `location`, `.../ngsi-ld/hasValue` as `value`, `http://purl.org/dc/terms/title`
as `title`), `https://example.org/vocab#speed` as it is. So the city's own entities, which adapters write with short
names, are the same things that a client sees who sends no @context. For clients of the Smart Data Models the names
that the city's vocabulary took from there are the same too: `https://smartdatamodels.org/dataModel.X/NAME` is NAME
where NAME is a type or attribute of `context.vocabulary`.
"""

from __future__ import annotations

import re

from amb247.context.jsonld.core import DEFAULT, NGSI_LD, TERM_OF, TERMS
from amb247.context.vocabulary import REGISTRY

__all__ = ["DEFAULT", "MEMBERS", "NGSI_LD", "internal", "iri"]

# What an entity or an attribute instance carries beside attributes; none of these is ever an attribute's short name.
MEMBERS = frozenset(
    {
        "id",
        "type",
        "scope",
        "value",
        "object",
        "languageMap",
        "vocab",
        "valueList",
        "objectList",
        "json",
        "datasetId",
        "unitCode",
        "observedAt",
        "expiresAt",
        "createdAt",
        "modifiedAt",
        "deletedAt",
        "instanceId",
        "objectType",
        "valueType",
        "lang",
        "entity",
        "entityList",
        "previousValue",
        "previousObject",
        "previousLanguageMap",
        "previousVocab",
        "previousValueList",
        "previousObjectList",
        "previousJson",
    }
)
SMART_DATA_MODEL = re.compile(
    r"https?://smartdatamodels\.org/(?:dataModel\.[^/]+/)?([A-Za-z][A-Za-z0-9_]*)\Z"
)
DECLARED = frozenset(REGISTRY) | {name for declared in REGISTRY.values() for name in declared.attributes}


def internal(iri: str) -> str:
    """The internal name of an IRI."""
    term = TERM_OF.get(iri)
    if term is not None:
        return term
    short = None
    if iri.startswith(DEFAULT):
        short = iri[len(DEFAULT) :]
    elif iri.startswith(NGSI_LD) and "/" not in iri[len(NGSI_LD) :]:
        short = iri[len(NGSI_LD) :]
    else:
        model = SMART_DATA_MODEL.match(iri)
        if model is not None and model[1] in DECLARED:
            short = model[1]
    if not short or short in MEMBERS or ":" in short or short.startswith("@"):
        return iri
    return short


def iri(name: str) -> str:
    """The IRI of an internal name."""
    return name if ":" in name else TERMS.get(name) or DEFAULT + name
