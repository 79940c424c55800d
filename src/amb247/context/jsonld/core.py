"""The NGSI-LD core @contexts, as tables: what each version added, took away or defined otherwise.

From the tables the documents of versions 1.3, 1.6, 1.7, 1.8 and 1.9 are made, so that no core context is ever fetched.

References
----------
ETSI GS CIM 009 v1.9.1, 4.4 and annex B; the documents under https://uri.etsi.org/ngsi-ld/v1/.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Any

NGSI_LD = "https://uri.etsi.org/ngsi-ld/"
DEFAULT = NGSI_LD + "default-context/"
GEOJSON = "https://purl.org/geojson/vocab#"
DUBLIN_CORE = "http://purl.org/dc/terms/"
PREFIXES = {"ngsi-ld": NGSI_LD, "geojson": GEOJSON}

VERSIONS = ("1.3", "1.6", "1.7", "1.8", "1.9")
SERVED = "1.8"
FOLDER = "https://uri.etsi.org/ngsi-ld/v1/"
CORE_URL = f"{FOLDER}ngsi-ld-core-context-v{SERVED}.jsonld"

# Terms whose IRI is `ngsi-ld:<the term>` and that carry nothing else: version that introduced them -> names.
SAME = {
    "1.3": (
        "Attribute AttributeList ContextSourceNotification ContextSourceRegistration Date DateTime EntityType "
        "EntityTypeInfo EntityTypeList GeoProperty Notification Property Relationship Subscription "
        "TemporalProperty Time accept csf data detail endpoint entities entityCount error errors format geoQ "
        "geoproperty georel idPattern information isActive location managementInterval notification "
        "observationInterval observationSpace operationSpace q reason registrationName status subscriptionName "
        "temporalQ throttling timeInterval timeproperty timerel timesSent triggerReason unchanged unitCode updated uri"
    ),
    "1.6": (
        "LanguageProperty attrs cacheDuration contextSourceInfo cooldown lang localOnly management mode "
        "notificationTrigger notifierInfo notUpdated operations receiverInfo refreshRate registrationId scope "
        "scopeQ showChanges sysAttrs timeout timesFailed"
    ),
    "1.7": "VocabularyProperty",
    "1.8": (
        "ContextSourceIdentity JsonProperty ListProperty ListRelationship VocabProperty contextSourceAlias "
        "contextSourceUptime entity join linkedMaps"
    ),
    "1.9": (
        "EntityMap ExecutionResultDetails Snapshot SnapshotNotification aggrParams aggrMethods "
        "aggrPeriodDuration attributeCount attributeDetails collation expandValues jsonKeys jsonldContext lastN "
        "ngsildConformance omit ordering pick resultStatus snapshotId snapshotLifetime snapshotPriority snapshotStatus"
    ),
}
# The same, with a type or container of the value: (version, @type, @container) -> names.
TYPED = {
    ("1.3", "DateTime", None): (
        "createdAt endAt endTimeAt expiresAt lastFailure lastNotification lastSuccess modifiedAt notifiedAt "
        "observedAt startAt timeAt"
    ),
    ("1.3", "@id", None): "datasetId entityId instanceId subscriptionId success tenant",
    ("1.3", "@vocab", None): (
        "attributeList attributeName attributeNames attributeTypes attributes propertyNames relationshipNames "
        "typeList typeName typeNames watchedAttributes"
    ),
    ("1.6", "DateTime", None): "deletedAt",
    ("1.6", None, "@list"): "avg distinctCount max min stddev sum sumsq totalCount",
    ("1.8", "DateTime", None): "contextSourceTimeAt",
    ("1.8", "@json", None): "contextSourceExtras",
    ("1.8", None, "@list"): "entityList jsons",
    ("1.9", "DateTime", None): "lastUsedAt",
    ("1.9", "@json", None): "problemDetails",
    ("1.9", None, "@list"): (
        "orderBy snapshotQueries snapshotQueriesDetails snapshotTemporalQueries snapshotTemporalQueriesDetails"
    ),
}
# Terms whose IRI is another: (version, term, IRI, @type, @container).
OTHER = (
    ("1.3", "attributeCount", "attributeCount", None, None),
    ("1.3", "attributeDetails", "attributeDetails", None, None),
    ("1.3", "description", DUBLIN_CORE + "description", None, None),
    ("1.3", "title", DUBLIN_CORE + "title", None, None),
    ("1.3", "object", "ngsi-ld:hasObject", "@id", None),
    ("1.3", "objects", "ngsi-ld:hasObjects", "@id", "@list"),
    ("1.6", "objects", "ngsi-ld:hasObjects", None, "@list"),
    ("1.3", "value", "ngsi-ld:hasValue", None, None),
    ("1.3", "values", "ngsi-ld:hasValues", None, "@list"),
    ("1.6", "key", "ngsi-ld:hasKey", None, None),
    ("1.6", "languageMap", "ngsi-ld:hasLanguageMap", None, "@language"),
    ("1.6", "languageMaps", "ngsi-ld:hasLanguageMaps", None, "@list"),
    ("1.6", "previousLanguageMap", "ngsi-ld:hasPreviousLanguageMap", None, "@language"),
    ("1.6", "previousObject", "ngsi-ld:hasPreviousObject", "@id", None),
    ("1.6", "previousValue", "ngsi-ld:hasPreviousValue", None, None),
    ("1.7", "dataset", "ngsi-ld:hasDataset", None, "@index"),
    ("1.7", "previousVocab", "ngsi-ld:hasPreviousVocab", "@vocab", None),
    ("1.7", "vocab", "ngsi-ld:hasVocab", "@vocab", None),
    ("1.7", "vocabs", "ngsi-ld:hasVocabs", None, "@list"),
    ("1.8", "containedBy", "ngsi-ld:isContainedBy", None, None),
    ("1.8", "entityMap", "ngsi-ld:hasEntityMap", None, None),
    ("1.8", "joinLevel", "ngsi-ld:hasJoinLevel", None, None),
    ("1.8", "json", "ngsi-ld:hasJSON", "@json", None),
    ("1.8", "objectList", "ngsi-ld:hasObjectList", None, "@list"),
    ("1.8", "objectsLists", "ngsi-ld:hasObjectsLists", None, "@list"),
    ("1.8", "objectType", "ngsi-ld:hasObjectType", "@vocab", None),
    ("1.8", "previousJson", "ngsi-ld:hasPreviousJson", "@json", None),
    ("1.8", "previousObjectList", "ngsi-ld:hasPreviousObjectList", None, "@list"),
    ("1.8", "previousValueList", "ngsi-ld:hasPreviousValueList", None, "@list"),
    ("1.8", "valueList", "ngsi-ld:hasValueList", None, "@list"),
    ("1.8", "valueLists", "ngsi-ld:hasValueLists", None, "@list"),
    ("1.9", "entityMap", "ngsi-ld:hasEntityMap", None, "@index"),
    ("1.9", "entityMapLifetime", "ngsi-ld:hasEntityMapLifetime", None, None),
    ("1.9", "langString", "http://www.w3.org/1999/02/22-rdf-syntax-ns#langString", None, None),
    ("1.9", "objectLists", "ngsi-ld:hasObjectLists", None, "@list"),
    ("1.9", "splitEntities", "ngsi-ld:hasSplitEntities", None, None),
    ("1.9", "valueType", "ngsi-ld:hasValueType", "@vocab", None),
)
# GeoJSON's own words, all since 1.3: the container -> names.
GEO = {
    None: (
        "Feature FeatureCollection GeometryCollection LineString MultiLineString MultiPoint MultiPolygon Point "
        "Polygon geometry properties"
    ),
    "@list": "bbox coordinates",
    "@set": "features",
}
# The only scoped context of the core: what a sealed attribute carries beside its proof.
PROOF = {
    "@id": "ngsi-ld:ngsildproof",
    "@context": [
        {
            "entityIdSealed": "ngsi-ld:entityIdSealed",
            "entityTypeSealed": {"@id": "ngsi-ld:entityTypeSealed", "@type": "@vocab"},
        },
        "https://w3id.org/security/data-integrity/v2",
    ],
}
GONE = {"VocabularyProperty": "1.8", "objectsLists": "1.9"}  # term -> first version without it


@cache
def core_context(version: str) -> dict[str, Any]:
    """The document `{"@context": ...}` of a version. The answer is shared: do not change it."""
    upto = VERSIONS[: VERSIONS.index(version) + 1]
    terms: dict[str, Any] = {}
    for since, names in SAME.items():
        if since in upto:
            terms.update({name: f"ngsi-ld:{name}" for name in names.split()})
    for (since, kind, container), names in TYPED.items():
        if since in upto:
            terms.update({name: _term(f"ngsi-ld:{name}", kind, container) for name in names.split()})
    for container, names in GEO.items():
        terms.update({name: _term(f"geojson:{name}", None, container) for name in names.split()})
    for since, name, iri, kind, container in OTHER:
        if since in upto and not (since == "1.3" and version == "1.9" and name.startswith("attribute")):
            terms[name] = _term(iri, kind, container)
    if "1.9" in upto:
        terms["ngsildproof"] = PROOF
    for name, since in GONE.items():
        if since in upto:
            terms.pop(name, None)
    head = {"@version": 1.1, "@protected": True} if "1.8" in upto else {}
    return {
        "@context": head
        | PREFIXES
        | {"id": "@id", "type": "@type"}
        | dict(sorted(terms.items(), key=lambda item: item[0].lower()))
        | {"@vocab": DEFAULT}
    }


def _term(iri: str, kind: str | None, container: str | None) -> str | dict[str, str]:
    if kind is None and container is None:
        return iri
    return {
        "@id": iri,
        **({"@type": kind} if kind else {}),
        **({"@container": container} if container else {}),
    }


def full(iri: str) -> str:
    """An IRI of the tables with its prefix spelled out."""
    prefix, colon, rest = iri.partition(":")
    return PREFIXES[prefix] + rest if colon and prefix in PREFIXES else iri


def _terms() -> dict[str, str]:
    """Every term of any version -> its IRI. The newest definition wins."""
    terms: dict[str, str] = {}
    for version in VERSIONS:
        for name, definition in core_context(version)["@context"].items():
            iri = definition["@id"] if isinstance(definition, dict) else definition
            if isinstance(iri, str) and not name.startswith("@") and name not in PREFIXES and iri[0] != "@":
                terms[name] = full(iri)
    return terms


TERMS = _terms()
TERM_OF = {iri: name for name, iri in TERMS.items()}

_WELL_KNOWN = re.compile(
    r"https?://(?:"
    r"uri\.etsi\.org/ngsi-ld(?:/v1|/primer|/latest)?|"
    r"forge\.etsi\.org/(?:gitlab/NGSI-LD/NGSI-LD/raw/master/coreContext|rep/cim/NGSI-LD/-?/?raw/[\w.\-]+/coreContext)|"
    r"fiware\.github\.io/NGSI-LD_TestSuite|"
    r"json-ld\.org/contexts"
    r")/(?:ngsi-ld-)?core-?context(?:-?v?(\d+\.\d+)(?:\.\d+)?)?(?:\.jsonld|\.json)?/?\Z"
)


@lru_cache(maxsize=2_000)
def core_version(url: str) -> str | None:
    """Which version of the core context a URL stands for; None when it is none of the well-known addresses.

    Addresses without a version, or with one that is not kept here (1.4, 1.5), stand for the next one that is.
    """
    found = _WELL_KNOWN.match(url)
    if found is None:
        return None
    asked = found[1]
    if asked is None:
        return SERVED
    minor = int(asked.partition(".")[2]) if asked.startswith("1.") else 99
    return next((version for version in VERSIONS if int(version[2:]) >= minor), VERSIONS[-1])
