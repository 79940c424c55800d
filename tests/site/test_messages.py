from __future__ import annotations

import pytest

from amb247.site import messages

pytestmark = pytest.mark.unit


def test_texts_are_found_in_python_and_templates_with_their_place():
    found = messages.extract()
    plural, places = found[None, "Centro de control"]
    assert plural is None
    assert any(place.startswith("site/web/context_processors.py:") for place in places)
    assert any(place.startswith("centre/templates/centre/home.html:") for place in places)


def test_contexts_and_plurals_are_kept_apart():
    found = messages.extract()
    assert ("luminaria", "encendida") in found
    assert found[None, "{n} afectada".replace("{n}", "%(n)s")][0] == "%(n)s afectadas"


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Two texts and an empty catalogue."""
    texts = {(None, "Hola, %(name)s"): (None, ["a.py:1"]), (None, "%(n)s bus"): ("%(n)s buses", ["a.py:2"])}
    monkeypatch.setattr(messages, "extract", lambda: texts)
    monkeypatch.setattr(messages, "LOCALE", tmp_path)
    return tmp_path / "en" / "LC_MESSAGES" / "django.po"


def fill(path, *pairs):
    text = path.read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text)


GOOD = (
    ('msgid "Hola, %(name)s"\nmsgstr ""', 'msgid "Hola, %(name)s"\nmsgstr "Hello, %(name)s"'),
    ('msgstr[0] ""\nmsgstr[1] ""', 'msgstr[0] "%(n)s bus"\nmsgstr[1] "%(n)s buses"'),
)


def test_what_is_not_translated_is_a_problem_until_it_is(small):
    assert len(messages.update_catalogues(write=True)) == 2
    fill(small, *GOOD)
    assert messages.update_catalogues(write=False) == []


def test_a_lost_or_invented_placeholder_is_a_problem(small):
    messages.update_catalogues(write=True)
    fill(small, *GOOD, ("Hello, %(name)s", "Hello"))
    assert "faltan los marcadores" in messages.update_catalogues(write=False)[0]
    fill(small, ('"Hello"', '"Hello, %(nombre)s"'))
    assert "%(nombre)s" in messages.update_catalogues(write=False)[0]


def test_a_text_that_is_gone_is_a_problem_until_written_away(small, monkeypatch):
    messages.update_catalogues(write=True)
    fill(small, *GOOD)
    monkeypatch.setattr(messages, "extract", lambda: {(None, "Hola, %(name)s"): (None, [])})
    assert "sobra" in messages.update_catalogues(write=False)[0]
    messages.update_catalogues(write=True)
    assert messages.update_catalogues(write=False) == []


def test_a_catalogue_is_compiled_once(small):
    messages.update_catalogues(write=True)
    fill(small, *GOOD)
    messages.compile_catalogues()
    compiled = small.with_suffix(".mo")
    first = compiled.stat().st_mtime_ns
    messages.compile_catalogues()
    assert compiled.stat().st_mtime_ns == first
    assert b"Hello, %(name)s" in compiled.read_bytes()
