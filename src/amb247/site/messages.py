"""Texts for people: extracted from Python and templates, compiled to catalogues. Pure Python: no gettext tools.

Spanish is the source language, so only the English catalogue exists; what it lacks shows in Spanish.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from amb247.site.terminal import OK, REFUSED, complain, say

PACKAGE = Path(__file__).resolve().parent.parent
LOCALE = PACKAGE / "site" / "locale"
LANGUAGES = ("en",)
WRITTEN = datetime(2026, 1, 1, tzinfo=UTC)
KEYWORDS = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext": (1, 2),
    "ngettext_lazy": (1, 2),
    "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
    "npgettext_lazy": ((1, "c"), 2, 3),
}
PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[-+0#]*\d*(?:\.\d+)?[sdifgx]|\{\w*\}")


def run_messages(chosen: argparse.Namespace) -> int:
    problems = update_catalogues(write=not chosen.check)
    for problem in problems:
        complain(problem)
    if not problems:
        say("Los catálogos están al día.")
    return REFUSED if problems and chosen.check else OK


def extract() -> dict[tuple[str | None, str], tuple[str | None, list[str]]]:
    """(context, singular) -> (plural, places) of every text for people."""
    from babel.messages.extract import extract as babel_extract

    found: dict[tuple[str | None, str], tuple[str | None, list[str]]] = {}
    for path, source in _sources():
        keywords = KEYWORDS | _other_names(source) if path.suffix == ".py" else KEYWORDS
        for line, text, _comments, context in babel_extract(
            "python", io.BytesIO(source.encode()), keywords=keywords
        ):
            singular, plural = (text[0], text[1]) if isinstance(text, tuple) else (text, None)
            if not singular:
                continue
            known_plural, places = found.get((context, singular), (None, []))
            places.append(f"{path.relative_to(PACKAGE)}:{line}")
            found[context, singular] = (known_plural or plural, places)
    return found


def _other_names(source: str) -> dict[str, Any]:
    """What a module calls the functions of gettext: ``from … import gettext_lazy as _lazy``."""
    return {
        name.asname: KEYWORDS[name.name]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.module == "django.utils.translation"
        for name in node.names
        if name.asname and name.name in KEYWORDS
    }


def _sources() -> Iterator[tuple[Path, str]]:
    import django
    from django.conf import settings

    if not settings.configured:
        django.setup()
    from django.utils.translation.template import templatize

    for path in sorted(PACKAGE.rglob("*.py")):
        if "migrations" not in path.parts:
            yield path, path.read_text(encoding="utf-8")
    for path in sorted([*PACKAGE.rglob("templates/**/*.html"), *PACKAGE.rglob("templates/**/*.txt")]):
        # Django turns a template into something that reads like C; the empty u prefix is Python's too.
        yield path, re.sub(r"\bu(['\"])", r"\1", templatize(path.read_text(encoding="utf-8")))


def update_catalogues(*, write: bool) -> list[str]:
    """Bring each catalogue to what the sources say; problems: new, gone, untranslated or wrongly filled texts."""
    from babel.messages.catalog import Catalog
    from babel.messages.pofile import read_po, write_po

    texts = extract()
    problems = []
    for language in LANGUAGES:
        path = LOCALE / language / "LC_MESSAGES" / "django.po"
        old = Catalog(locale=language)
        if path.exists():
            with path.open("rb") as file:
                old = read_po(file, locale=language)
        fresh = Catalog(
            locale=language,
            project="AMB",
            version="24/7",
            msgid_bugs_address="AMB 24/7",
            charset="utf-8",
            fuzzy=False,
            header_comment="# English catalogue of AMB 24/7.",
            last_translator="AMB 24/7",
            language_team="AMB 24/7",
            # Fixed, so that extracting the same texts again changes nothing.
            creation_date=WRITTEN,
            revision_date=WRITTEN,
        )
        for (context, singular), (plural, _places) in sorted(
            texts.items(), key=lambda item: (item[0][1], item[0][0] or "")
        ):
            identifier = (singular, plural) if plural else singular
            known = old.get(identifier, context)
            translated: Any = known.string if known is not None else ""
            if isinstance(translated, tuple) != bool(plural):  # new, or the text gained or lost its plural
                translated = ("", "") if plural else ""
            fresh.add(identifier, translated, context=context)
            if not (all(translated) if isinstance(translated, tuple) else translated):
                problems.append(f"{language}: sin traducir: {singular!r}")
            elif wrong := _wrong_placeholders(singular, plural, translated):
                problems.append(f"{language}: {wrong}")
        wanted = {
            (message.context, message.id if isinstance(message.id, str) else message.id[0])
            for message in fresh
            if message.id
        }
        problems += [
            f"{language}: sobra: {message.id!r}"
            for message in old
            if message.id
            and (message.context, message.id if isinstance(message.id, str) else message.id[0]) not in wanted
        ]
        if write:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                write_po(file, fresh, no_location=True, omit_header=False, sort_output=False, width=110)
    return problems


def _wrong_placeholders(singular: str, plural: str | None, translated: str | tuple[str, ...]) -> str:
    """What a translation has too much or too little. A singular may leave its number unsaid: "one lamp"."""
    wanted = _placeholders(singular) | _placeholders(plural or "")
    forms = translated if isinstance(translated, tuple) else (translated,)
    for text in forms:
        if extra := _placeholders(text) - wanted:
            return f"marcadores {sorted(extra)} que no están en {singular!r}"
    if lost := _placeholders(plural or singular) - _placeholders(forms[-1]):
        return f"faltan los marcadores {sorted(lost)} de {plural or singular!r}"
    return ""


def _placeholders(text: str) -> set[str]:
    return set(PLACEHOLDER.findall(text.replace("%%", "")))


def compile_catalogues() -> None:
    """Compile each catalogue that is newer than its compiled form. An installed wheel carries them compiled."""
    for path in LOCALE.glob("*/LC_MESSAGES/*.po"):
        target = path.with_suffix(".mo")
        if target.exists() and target.stat().st_mtime >= path.stat().st_mtime:
            continue
        from babel.messages.mofile import write_mo
        from babel.messages.pofile import read_po

        with path.open("rb") as source:
            catalogue = read_po(source)
        making = target.with_suffix(".tmp")
        with making.open("wb") as file:
            write_mo(file, catalogue)
        making.replace(target)
