"""The parser of `q` (GS CIM 009, 4.9): text to an expression of `querying.query`.

More lenient than the grammar in a few places that clients rely on: nested parentheses, spaces around operators, URIs as
attribute names, texts with quotes that are dates. Not lenient where leniency would hide a mistake: a text without quotes
is refused, unless `expandValues` says that it is a term of the @context.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection
from typing import Protocol

from amb247.context.jsonld.names import internal, iri
from amb247.context.ngsi_errors import BadRequestData, TooComplexQuery
from amb247.context.querying.moments import date_text, moment, time_key
from amb247.context.querying.patterns import compiled
from amb247.context.querying.query import (
    CONCEPTS,
    ENTITY_MEMBERS,
    TEXTS,
    VALUE_KEYS,
    AllOf,
    AnyOf,
    Compare,
    Comparison,
    Exists,
    Expr,
    Linked,
    Matches,
    Path,
    Range,
    Value,
)

MAX_LENGTH = 8_192
MAX_TERMS = 100
MAX_DEPTH = 20
MAX_VALUES = 200
MAX_STEPS = 10
MAX_LINKS = 3

NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?\Z")
STEP = re.compile(r"[^\W\d_][\w\-]*\Z")
MEMBER = re.compile(r"[^\x00-\x1f\x7f\"\[\]{}.]{1,256}\Z")
# 4.6.3: seconds may have a comma, which is no comma of a list then.
DECIMAL_COMMA = re.compile(r"(?:\d{4}-\d\d-\d\dT)?\d\d:\d\d:\d\d,\d{1,9}(?:Z|[+-]\d\d:?\d\d)")
URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[^\s<>\"{}|\\^`\x00-\x1f\x7f]+\Z")
TYPE_HINT = re.compile(r"\s*([^\W\d_]\w*(?:,[^\W\d_]\w*)*):")
PATH_ENDS = frozenset('=!<>~;|()[]{}" ')
OPERATORS: tuple[str, ...] = ("!~=", "==", "!=", ">=", "<=", "~=", ">", "<")
NO_ATTRIBUTES = TEXTS | CONCEPTS | VALUE_KEYS
PLAIN_COMPARISONS = frozenset({"<", "<=", ">", ">="})


class Terms(Protocol):
    """The part of a resolved @context that a query needs (`jsonld.context.Context`)."""

    def expand(self, term: str, /) -> str: ...

    def expand_vocab(self, value: str, /) -> str: ...


def parse_q(text: str, context: Terms, *, expand_values: Collection[str] = ()) -> Expr:
    """Parse a query.

    Parameters
    ----------
    text : str
        Percent-encoding already undone.
    context : Terms
        Expands the names of attributes.
    expand_values : collection of str
        Attributes as the client calls them, whose values are terms of the @context.

    Raises
    ------
    BadRequestData
        It does not follow the grammar.
    TooComplexQuery
        Too long, too deep or too many conditions.
    """
    if len(text) > MAX_LENGTH:
        raise TooComplexQuery(f"q has {len(text)} characters; at most {MAX_LENGTH} are accepted")
    expanded = frozenset(context.expand(name.strip()) for name in expand_values)
    parser = _Parser(text, context, expanded)
    found = parser.alternatives(0)
    if parser.at < len(text):
        raise parser.wrong("an operator (;, |) or the end was expected")
    return found


class _Parser:
    """One pass over the text; `at` is the position of the next character."""

    def __init__(self, text: str, context: Terms, expanded: frozenset[str]) -> None:
        self.text = text
        self.context = context
        self.expanded = expanded
        self.at = 0
        self.terms = 0

    # --- logic

    def alternatives(self, depth: int) -> Expr:
        parts = [self.conjunction(depth)]
        while self.took("|"):
            parts.append(self.conjunction(depth))
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def conjunction(self, depth: int) -> Expr:
        parts = [self.operand(depth)]
        while self.took(";"):
            parts.append(self.operand(depth))
        return parts[0] if len(parts) == 1 else AllOf(tuple(parts))

    def operand(self, depth: int) -> Expr:
        if not self.took("("):
            return self.term()
        if depth >= MAX_DEPTH:
            raise TooComplexQuery(f"q nests more than {MAX_DEPTH} parentheses")
        inner = self.alternatives(depth + 1)
        if not self.took(")"):
            raise self.wrong("')' was expected")
        return inner

    # --- terms

    def term(self) -> Expr:
        self.terms += 1
        if self.terms > MAX_TERMS:
            raise TooComplexQuery(f"q has more than {MAX_TERMS} conditions")
        links: list[tuple[str, tuple[str, ...]]] = []
        path = self.path(links)
        found: Expr = self.condition(path)
        for relation, types in reversed(links):
            found = Linked(relation, types, found)
        return found

    def path(self, links: list[tuple[str, tuple[str, ...]]]) -> Path:
        """A path; the Relationships followed on the way are added to `links`."""
        name = self.word()
        if not self.took("{"):
            return self.value_path(name)
        if len(links) >= MAX_LINKS:
            raise TooComplexQuery(f"q follows more than {MAX_LINKS} relationships in a row")
        relation = self.context.expand(name)
        hint = TYPE_HINT.match(self.text, self.at)
        types: tuple[str, ...] = ()
        if hint is not None:
            self.at = hint.end()
            types = tuple(self.context.expand(one) for one in hint[1].split(","))
        links.append((relation, types))
        path = self.path(links)
        if not self.took("}"):
            raise self.wrong("'}' was expected")
        return path

    def word(self) -> str:
        self.skip()
        start = self.at
        while self.at < len(self.text) and self.text[self.at] not in PATH_ENDS:
            self.at += 1
        if start == self.at:
            raise self.wrong("the name of an attribute was expected")
        return self.text[start : self.at]

    def value_path(self, word: str) -> Path:
        # A full IRI has dots of its own and so no sub-attributes.
        steps = [word] if "://" in word else word.split(".")
        if len(steps) > MAX_STEPS:
            raise TooComplexQuery(f"{word[:80]!r} has more than {MAX_STEPS} steps")
        for step in steps:
            if ":" not in step and not STEP.match(step):
                raise BadRequestData(f"q: {step[:80]!r} in {word[:80]!r} is no name of an attribute")
        names = [self.context.expand(step) for step in steps]
        members = self.members()
        inner, last = names[1:-1], names[-1]
        is_end = last in NO_ATTRIBUTES if len(names) > 1 else last in ENTITY_MEMBERS
        if (
            not NO_ATTRIBUTES.isdisjoint(inner)
            or (names[0] in ENTITY_MEMBERS and len(names) > 1)
            or (is_end and members and last not in VALUE_KEYS)
        ):
            raise BadRequestData(f"q: {word[:80]!r} goes on behind a member that has none of its own")
        return Path(names[0], tuple(names[1:]), members)

    def members(self) -> tuple[str, ...]:
        if not self.took("["):
            return ()
        end = self.text.find("]", self.at)
        if end < 0:
            raise self.wrong("']' was expected")
        inner = self.text[self.at : end].strip()
        names = [inner] if inner == "*" else inner.split(".")
        if len(names) > MAX_STEPS:
            raise TooComplexQuery(f"[{inner[:80]}] has more than {MAX_STEPS} steps")
        if not all(MEMBER.match(name) for name in names):
            raise self.wrong(f"[{inner[:80]}] is no path of members")
        self.at = end + 1
        return tuple(names)

    def condition(self, path: Path) -> Exists | Compare | Matches:
        self.skip()
        operator = next((one for one in OPERATORS if self.text.startswith(one, self.at)), None)
        if operator is None:
            return Exists(path)
        return self.comparison(path, operator)

    def comparison(self, path: Path, operator: str) -> Compare | Matches:
        self.at += len(operator)
        if operator in ("~=", "!~="):
            pattern = self.pattern()
            compiled(pattern)
            return Matches(path, pattern, negated=operator == "!~=")
        expand = path.attribute in self.expanded
        values: list[Value | Range] = [self.value(expand)]
        if operator in PLAIN_COMPARISONS:
            if self.text.startswith("..", self.at) or self.peek() == ",":
                raise self.wrong(f"{operator} takes one value")
            if isinstance(values[0], Value) and values[0].kind == "boolean":
                raise BadRequestData(f"q: {operator} cannot compare with true or false")
        elif self.text.startswith("..", self.at):
            self.at += 2
            values = [self.range(values[0], self.value(expand))]
        else:
            while self.took(","):
                values.append(self.value(expand))
                if len(values) > MAX_VALUES:
                    raise TooComplexQuery(f"q has a list of more than {MAX_VALUES} values")
        comparison: Comparison = operator  # type: ignore[assignment]  # the patterns are gone above
        return Compare(path, comparison, tuple(values))

    # --- values

    def range(self, low: Value | Range, high: Value) -> Range:
        if not isinstance(low, Value) or low.kind != high.kind or low.kind == "boolean":
            raise self.wrong("the ends of a range must be two numbers, texts, dates or times")
        return Range(low, high)

    def value(self, expand: bool) -> Value:
        self.skip()
        if self.peek() == '"':
            return self.literal(self.quoted(), expand, is_quoted=True)
        start, depth = self.at, 0
        decimal_comma = DECIMAL_COMMA.match(self.text, self.at)
        if decimal_comma is not None:
            self.at = decimal_comma.end()
        while self.at < len(self.text):
            character = self.text[self.at]
            if character in ';|,"' or self.text.startswith("..", self.at):
                break
            if character == "(":
                depth += 1
            elif character == ")":
                if depth == 0:
                    break
                depth -= 1
            self.at += 1
        return self.literal(self.text[start : self.at].strip(), expand, is_quoted=False)

    def literal(self, text: str, expand: bool, *, is_quoted: bool) -> Value:
        if not is_quoted:
            if NUMBER.match(text):
                return Value("number", self.number(text))
            if text in ("true", "false"):
                return Value("boolean", text == "true")
        elif "\x00" in text or any("\ud800" <= one <= "\udfff" for one in text):
            raise BadRequestData("q: a text contains a character that no value can hold")
        at = moment(text)
        if at is not None:
            return Value("datetime", at)
        if date_text(text) is not None:
            return Value("date", text)
        key = time_key(text)
        if key is not None:
            return Value("time", key)
        if expand and text:
            concept = self.context.expand_vocab(text)
            return Value("text", iri(concept), concept)
        if not is_quoted and not URI.match(text):
            raise self.wrong(
                f"{text[:80]!r} is no value: put texts into quotes" if text else "a value was expected"
            )
        return Value("text", text, internal(text) if URI.match(text) else None)

    @staticmethod
    def number(text: str) -> float:
        number = float(text)
        if not math.isfinite(number):
            raise BadRequestData(f"q: {text[:40]} is too large a number")
        if len(text) <= 18 and text.lstrip("-").isdigit():
            return int(text)
        return number

    def quoted(self) -> str:
        """A JSON string; one with escapes that JSON does not know is taken as it is written."""
        end = self.at + 1
        while end < len(self.text) and self.text[end] != '"':
            end += 2 if self.text[end] == "\\" else 1
        if end >= len(self.text):
            raise self.wrong("the text has no closing quote")
        raw = self.text[self.at : end + 1]
        self.at = end + 1
        self.skip()
        try:
            found = json.loads(raw, strict=False)
        except ValueError:
            return raw[1:-1]
        return found if isinstance(found, str) else raw[1:-1]

    def pattern(self) -> str:
        """Up to the next operator outside of brackets; or what stands in quotes, in which only ``\\"`` is an escape."""
        self.skip()
        if self.peek() == '"':
            start = self.at + 1
            end = start
            while end < len(self.text) and self.text[end] != '"':
                end += 2 if self.text[end] == "\\" else 1
            if end >= len(self.text):
                raise self.wrong("the pattern has no closing quote")
            self.at = end + 1
            return self.text[start:end].replace('\\"', '"')
        start, depth, in_class = self.at, 0, False
        while self.at < len(self.text):
            character = self.text[self.at]
            if character == "\\":
                self.at += 2
                continue
            if in_class:
                in_class = character != "]"
            elif character == "[":
                in_class = True
                if self.text.startswith("]", self.at + 1):
                    self.at += 1
            elif character == "(":
                depth += 1
            elif character == ")":
                if depth == 0:
                    break
                depth -= 1
            elif character in ";|" and depth == 0:
                break
            self.at += 1
        self.at = min(self.at, len(self.text))
        found = self.text[start : self.at].strip()
        if not found:
            raise self.wrong("a pattern was expected")
        return found

    # --- characters

    def skip(self) -> None:
        while self.at < len(self.text) and self.text[self.at] == " ":
            self.at += 1

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def took(self, character: str) -> bool:
        self.skip()
        if self.peek() != character:
            return False
        self.at += 1
        return True

    def wrong(self, what: str) -> BadRequestData:
        return BadRequestData(f"q: {what} at character {self.at + 1} ({self.text[self.at : self.at + 20]!r})")
