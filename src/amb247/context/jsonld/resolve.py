"""From what a request carries as @context to a `Context`: nested contexts, prefixes, vocabularies; the core is always last.

References
----------
JSON-LD 1.1, 5.1 (context processing); ETSI GS CIM 009, 4.4 and 5.5.7 (no scoped contexts, the core cannot be changed).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urljoin

from amb247.context.jsonld.context import CORE, MAX_NAME, Context
from amb247.context.jsonld.core import PREFIXES, TERMS, core_version
from amb247.context.jsonld.names import DEFAULT
from amb247.context.ngsi_errors import BadRequestData, LdContextNotAvailable

Json = Any
Fetch = Callable[[str], Json]

MAX_DEPTH = 8  # remote contexts that name remote contexts
MAX_PARTS = 40  # contexts in all
MAX_TERMS = 20_000
MAX_CHAIN = 30  # terms defined by terms
QUIET = frozenset({"@version", "@protected", "@propagate", "@language", "@direction", "@base"})


def resolve(value: Json, *, fetch: Fetch, link: str | None = None) -> Context:
    """The context that a value of @context stands for.

    Parameters
    ----------
    value : Json
        URL, object, list of these, or None.
    fetch : callable
        URL -> the document found there, already decoded; raises LdContextNotAvailable.
    link : str, optional
        Where a client can read this same @context; needed when it is no single URL.

    Raises
    ------
    BadRequestData
        What was given is no @context.
    LdContextNotAvailable
        A remote one cannot be had, is no context, or names itself.
    """
    reader = _Reader(fetch)
    reader.take(value, base=None, depth=0, inside=())
    if not reader.terms and _is_core(value):
        return CORE
    address = link or _only_url(value)
    return Context(reader.terms, source=value, link=address or CORE.link)


def _is_core(value: Json) -> bool:
    parts = value if isinstance(value, list) else [value]
    return all(part is None or (isinstance(part, str) and core_version(part) is not None) for part in parts)


def _only_url(value: Json) -> str | None:
    """The URL when nothing but it (and the core) was given."""
    parts = value if isinstance(value, list) else [value]
    mine = [part for part in parts if not (part is None or (isinstance(part, str) and core_version(part)))]
    return mine[0] if len(mine) == 1 and isinstance(mine[0], str) else None


def is_single(value: Json) -> bool:
    """Whether a @context can be named by one URL: the core, or one remote document."""
    return _is_core(value) or _only_url(value) is not None


class _Reader:
    """Reads parts in order into one table of terms; later definitions replace earlier ones."""

    def __init__(self, fetch: Fetch) -> None:
        self.fetch = fetch
        self.terms: dict[str, str] = {}
        self.vocabulary = DEFAULT
        self.parts = 0

    def take(self, value: Json, *, base: str | None, depth: int, inside: tuple[str, ...]) -> None:
        self.parts += 1
        if self.parts > MAX_PARTS or depth > MAX_DEPTH * 2:
            raise BadRequestData(
                f"@context has more than {MAX_PARTS} parts or is nested too deep; put it in one document"
            )
        if value is None:
            self.terms, self.vocabulary = {}, DEFAULT
        elif isinstance(value, str):
            self._take_url(value, base=base, depth=depth, inside=inside)
        elif isinstance(value, list):
            for part in value:
                self.take(part, base=base, depth=depth + 1, inside=inside)
        elif isinstance(value, dict):
            self._take_object(value)
        else:
            raise BadRequestData("@context is neither a URL, an object nor a list of these")

    def _take_url(self, url: str, *, base: str | None, depth: int, inside: tuple[str, ...]) -> None:
        try:
            whole = urljoin(base, url) if base else url
        except ValueError:
            raise BadRequestData(f"@context {url[:200]!r} is no URL") from None
        if core_version(whole) is not None:
            return
        if not whole.lower().startswith(("http://", "https://")):
            raise BadRequestData(f"@context {whole[:200]!r} is no http or https URL")
        if whole in inside:
            raise LdContextNotAvailable(f"the @context {whole} includes itself")
        if len(inside) >= MAX_DEPTH:
            raise LdContextNotAvailable(f"contexts include each other more than {MAX_DEPTH} deep, at {whole}")
        document = self.fetch(whole)
        if not isinstance(document, dict) or "@context" not in document:
            raise LdContextNotAvailable(f"the document at {whole} has no @context")
        try:
            self.take(document["@context"], base=whole, depth=depth + 1, inside=(*inside, whole))
        except BadRequestData as problem:
            raise LdContextNotAvailable(
                f"the @context at {whole} cannot be used: {problem.detail}"
            ) from problem

    def _take_object(self, value: Mapping[str, Json]) -> None:
        if "@import" in value:
            raise BadRequestData(
                "@import is not supported in a @context; list the other context beside this one"
            )
        if "@vocab" in value:
            self.vocabulary = _vocabulary(value["@vocab"], value, self.terms)
        local = _Local(value, self.terms, self.vocabulary)
        for term in value:
            if not term.startswith("@"):
                target = local.target(term)
                if target is None:
                    self.terms.pop(term, None)
                else:
                    self.terms[term] = target
            elif term not in QUIET and term not in ("@vocab", "@context"):
                raise BadRequestData(f"@context: unknown keyword {term[:40]!r}")
        if len(self.terms) > MAX_TERMS:
            raise BadRequestData(f"@context defines more than {MAX_TERMS:,} terms")


class _Local:
    """The terms of one context object, each defined when first asked for, since they may name each other."""

    def __init__(self, raw: Mapping[str, Json], known: Mapping[str, str], vocabulary: str) -> None:
        self.raw, self.known, self.vocabulary = raw, known, vocabulary
        self.made: dict[str, str | None] = {}

    def target(self, term: str, chain: tuple[str, ...] = ()) -> str | None:
        if term in self.made:
            return self.made[term]
        if not term or len(term) > MAX_NAME:
            raise BadRequestData("@context: a term is empty or longer than 512 characters")
        if term in chain or len(chain) > MAX_CHAIN:
            raise BadRequestData(f"@context: the term {term[:80]!r} is defined by itself")
        definition = self.raw[term]
        if isinstance(definition, dict):
            if "@context" in definition:
                raise BadRequestData(
                    f"@context: {term[:80]!r} has a scoped context, which NGSI-LD does not allow"
                )
            if "@reverse" in definition:
                raise BadRequestData(
                    f"@context: {term[:80]!r} is a reverse property, which NGSI-LD does not have"
                )
            given = definition.get("@id", term if "@id" not in definition else None)
        else:
            given = definition
        if given is None:
            made = None
        elif isinstance(given, str) and given and len(given) <= 4 * MAX_NAME:
            made = self._iri(given, term, (*chain, term))
        else:
            raise BadRequestData(f"@context: {term[:80]!r} is defined by neither an IRI, an object nor null")
        self.made[term] = made
        return made

    def _iri(self, given: str, term: str, chain: tuple[str, ...]) -> str | None:
        if given.startswith("@"):
            return given if given in ("@id", "@type") else None
        if given != term:
            found = self._known(given, chain)
            if found is not None:
                return found
        prefix, colon, rest = given.partition(":")
        if not colon:
            return TERMS.get(given) or self.vocabulary + given
        if prefix == "_" or rest.startswith("//"):
            return given
        base = self._known(prefix, chain) or PREFIXES.get(prefix)
        return given if base is None or base.startswith("@") else base + rest

    def _known(self, term: str, chain: tuple[str, ...]) -> str | None:
        if term in self.raw and not term.startswith("@"):
            return self.target(term, chain)
        return self.known.get(term)


def _vocabulary(value: Json, raw: Mapping[str, Json], known: Mapping[str, str]) -> str:
    if value is None or value == "":
        return DEFAULT
    if not isinstance(value, str) or len(value) > 4 * MAX_NAME:
        raise BadRequestData("@context: @vocab is no IRI")
    if ":" in value:
        prefix, _, rest = value.partition(":")
        base = known.get(prefix)
        given = raw.get(prefix)
        if base is None and isinstance(given, str) and ":" in given:
            base = given
        return value if base is None or rest.startswith("//") else base + rest
    return known.get(value) or DEFAULT + value
