"""What a client calls things: its terms to internal names and back, under one resolved @context."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from amb247.context.jsonld.core import CORE_URL, PREFIXES, TERMS, core_version
from amb247.context.jsonld.names import DEFAULT, internal, iri
from amb247.context.ngsi_errors import BadRequestData

Json = Any
MAX_NAME = 512
MAX_KEPT = 5_000  # names remembered per context, so that hostile names fill no memory

# 4.6.2: a letter, then letters, numbers and "_".
NAME = re.compile(r"[^\W\d_]\w*\Z")
ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[^\s<>\"{}|\\^`\x00-\x20\x7f]+\Z")
PREFIXED = re.compile(r"[^\W\d_]\w*:[^\W\d_]\w*\Z")
PREFIX_ENDS = frozenset(":/?#[]@")
KEYWORDS = {"@id": "id", "@type": "type", "@context": "@context"}


class Context:
    """A resolved @context. Made by `resolve`; immutable to its users, compared by identity.

    Attributes
    ----------
    source : Json
        What the client gave: URL, list or object; None for the core alone.
    link : str
        URL for the Link header.
    """

    __slots__ = ("_compacted", "_expanded", "_prefixes", "_reverse", "_terms", "link", "source")

    def __init__(self, terms: Mapping[str, str], *, source: Json, link: str) -> None:
        """`terms`: the user's terms with their absolute IRIs (or keyword); core terms in it are ignored."""
        self.source = source
        self.link = link
        self._terms = {
            term: target
            for term, target in terms.items()
            if term not in TERMS and term not in PREFIXES and term not in ("id", "type")
        }
        self._reverse = _reversed(self._terms)
        # Only the user's own: without a term of theirs, a name is rendered in full (5.5.7).
        self._prefixes = sorted(
            ((target, term) for term, target in self._terms.items() if _is_prefix(target)),
            key=lambda pair: (-len(pair[0]), len(pair[1]), pair[1]),
        )
        self._expanded: dict[str, str] = dict(KEYWORDS)
        self._compacted: dict[str, str] = {}

    def __len__(self) -> int:
        """How many terms the user defined."""
        return len(self._terms)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"<Context {self.link}>"

    def expand(self, term: str) -> str:
        """The internal name of a term, compact IRI or IRI.

        Raises
        ------
        BadRequestData
            It is no name (GS CIM 009, 4.6.2).
        """
        name = self._expanded.get(term)
        if name is None:
            name = self._expand(term)
            if len(self._expanded) < MAX_KEPT:
                self._expanded[term] = name
        return name

    def compact(self, name: str) -> str:
        """What the client calls an internal name: its term, a compact IRI, the short default name, or the IRI."""
        term = self._compacted.get(name)
        if term is None:
            term = self._compact(name)
            if len(self._compacted) < MAX_KEPT:
                self._compacted[name] = term
        return term

    def expand_vocab(self, value: str) -> str:
        """The internal name of a value that stands for a concept; any text is a value, so nothing is refused."""
        name = self._expanded.get(value)
        if name is None:
            name = internal(self._iri(value))
        return name

    def compact_vocab(self, name: str) -> str:
        return self.compact(name)

    def as_jsonld(self) -> Json:
        """The value of `@context` in an `application/ld+json` answer: the user's, then the core."""
        if self.source is None:
            return CORE_URL
        mine = self.source if isinstance(self.source, list) else [self.source]
        kept = [one for one in mine if not (isinstance(one, str) and core_version(one))]
        return [*kept, CORE_URL] if kept else CORE_URL

    def _iri(self, term: str) -> str:
        found = self._terms.get(term) or TERMS.get(term)
        if found is not None:
            return found
        prefix, colon, rest = term.partition(":")
        if not colon:
            return DEFAULT + term
        base = None if rest.startswith("//") else self._terms.get(prefix) or PREFIXES.get(prefix)
        return term if base is None else base + rest

    def _expand(self, term: str) -> str:
        if not isinstance(term, str) or not term or len(term) > MAX_NAME or not _is_name(term):
            raise BadRequestData(
                f"{str(term)[:80]!r} is no name of a type or attribute: start with a letter, then letters, digits and "
                "'_'; or send prefix:name or a full IRI"
            )
        if term in ("id", "type"):
            return term
        found = self._iri(term)
        if found[0] == "@":
            return KEYWORDS.get(found, found)
        return internal(found)

    def _compact(self, name: str) -> str:
        if name in TERMS:
            return name
        found = self._reverse.get(name)
        if found is not None:
            return found
        if ":" not in name and name not in self._terms:
            return name
        whole = iri(name)
        for base, prefix in self._prefixes:
            if whole.startswith(base) and len(whole) > len(base):
                short = f"{prefix}:{whole[len(base) :]}"
                if short not in self._terms:
                    return short
        return whole


def _is_name(term: str) -> bool:
    if ":" in term:
        return bool(PREFIXED.match(term) or ABSOLUTE.match(term))
    return bool(NAME.match(term))


def _is_prefix(target: str) -> bool:
    """JSON-LD 1.1: a simple term whose IRI ends in one of these may stand in front of a colon."""
    return target[-1] in PREFIX_ENDS and target[0] != "@"


def _reversed(terms: Mapping[str, str]) -> dict[str, str]:
    """Internal name -> term; of several terms for one thing the shortest, then the first by letters (JSON-LD 1.1)."""
    reverse: dict[str, str] = {}
    for term in sorted(terms, key=lambda one: (len(one), one)):
        target = terms[term]
        if target[0] != "@":
            reverse.setdefault(internal(target), term)
    # A term that already is the internal name reads best: `powerState` for the alias of a data model's powerState.
    return reverse | {term: term for term, target in terms.items() if internal(target) == term}


CORE = Context({}, source=None, link=CORE_URL)
