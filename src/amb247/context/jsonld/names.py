"""Internal names: short where the name lies in the default or the core vocabulary, the full IRI elsewhere.

`https://uri.etsi.org/ngsi-ld/default-context/speed` is kept as `speed`, `https://uri.etsi.org/ngsi-ld/location` as
`location`, `https://example.org/vocab#speed` as it is. So the city's own entities, which adapters write with short names, are
the same things that a client sees who sends no @context.
"""

from __future__ import annotations

NGSI_LD = "https://uri.etsi.org/ngsi-ld/"
DEFAULT = NGSI_LD + "default-context/"


def internal(iri: str) -> str:
    """The internal name of an IRI."""
    if iri.startswith(DEFAULT):
        return iri[len(DEFAULT) :]
    if iri.startswith(NGSI_LD) and "/" not in iri[len(NGSI_LD) :]:
        return iri[len(NGSI_LD) :]
    return iri
