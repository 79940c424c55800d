from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from django.template import Context, Template
from django.test import override_settings
from django.utils import formats, translation

from amb247.site import messages

pytestmark = pytest.mark.unit

PYTHON = """
from django.utils.translation import gettext as _, ngettext, pgettext
from django.utils.translation import gettext_lazy as lazily
from django.utils.translation import npgettext

SIMPLE = _("Simple")
NESTED = {"a": ("x", lazily("Con otro nombre"))}
LONG = _("Una frase partida "
         "en dos líneas")
FILLED = _("%(n)s de %(all)s") % {"n": 1, "all": 2}
COUNTED = ngettext("%(n)s lámpara", "%(n)s lámparas", 2)
TOLD_APART = pgettext("lámpara", "encendida")
BOTH = npgettext("bus", "%(n)s caído", "%(n)s caídos", 2)
NOT_A_TEXT = len("No es un texto")
"""
TEMPLATE = """{% load i18n %}<p title="{% translate 'En un atributo' %}">{% translate "Ocupa el 5 %" %}</p>
{% translate "Ruta" context "navegación" %}{% translate "Guardada" as kept %}{{ kept }}
{% blocktranslate trimmed with name=who %}
  Hola, {{ name }}:
  al 100 %
{% endblocktranslate %}
{% blocktranslate count n=many trimmed %}{{ n }} activo{% plural %}{{ n }} activos{% endblocktranslate %}
{% blocktranslate trimmed context "saludo" %}Adiós{% endblocktranslate %}
{{ nothing|default:_("Vacío") }}{# translate "No" #}{% comment %}{% translate "Tampoco" %}{% endcomment %}
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with one module and one template instead of the platform, and no catalogue yet."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "words.py").write_text(PYTHON, encoding="utf-8")
    (tmp_path / "templates" / "page.html").write_text(TEMPLATE, encoding="utf-8")
    monkeypatch.setattr(messages, "PACKAGE", tmp_path)
    monkeypatch.setattr(messages, "LOCALE", tmp_path / "locale")
    return tmp_path


def fill(package: Path, translations: dict[str, str | tuple[str, str]]) -> None:
    """Write translations into the catalogue, as a translator does."""
    from babel.messages.pofile import write_po

    path = package / "locale" / "en" / "LC_MESSAGES" / "django.po"
    with path.open("rb") as file:
        catalogue = read_po(file, locale="en")
    for message in catalogue:
        known = message.id if isinstance(message.id, str) else message.id[0]
        message.string = translations.get(known, message.string)
    with path.open("wb") as file:
        write_po(file, catalogue, no_location=True)


def only(package: Path, source: str) -> None:
    """Leave one line of Python in the package."""
    (package / "templates" / "page.html").unlink()
    (package / "words.py").write_text(
        f"from django.utils.translation import gettext as _, ngettext\n{source}\n", encoding="utf-8"
    )


def test_every_way_to_mark_a_text_is_found(package):
    assert {key: plural for key, (plural, _places) in messages.extract().items()} == {
        (None, "Simple"): None,
        (None, "Con otro nombre"): None,
        (None, "Una frase partida en dos líneas"): None,
        (None, "%(n)s de %(all)s"): None,
        (None, "%(n)s lámpara"): "%(n)s lámparas",
        ("lámpara", "encendida"): None,
        ("bus", "%(n)s caído"): "%(n)s caídos",
        (None, "En un atributo"): None,
        (None, "Ocupa el 5 %%"): None,
        ("navegación", "Ruta"): None,
        (None, "Guardada"): None,
        (None, "Hola, %(name)s: al 100 %%"): None,
        (None, "%(n)s activo"): "%(n)s activos",
        ("saludo", "Adiós"): None,
        (None, "Vacío"): None,
    }


def test_a_text_names_the_places_where_it_stands(package):
    (package / "more.py").write_text(
        'from django.utils.translation import gettext as _\n\n_("Simple")\n', encoding="utf-8"
    )
    places = messages.extract()[None, "Simple"][1]
    assert sorted(places) == ["more.py:3", "words.py:6"]


def test_migrations_are_passed_over(package):
    (package / "migrations").mkdir()
    (package / "migrations" / "0001.py").write_text('_("De antes")', encoding="utf-8")
    assert (None, "De antes") not in messages.extract()


@pytest.fixture(scope="module")
def texts():
    return messages.extract()


def test_the_platforms_texts_are_found(texts):
    assert texts[None, "Centro de control"][0] is None
    assert texts[None, "%(n)s activo"][0] == "%(n)s activos"
    assert ("luminaria", "encendida") in texts
    assert ("navegación", "Ruta") in texts
    assert (None, "El archivo no es un zip.") in texts  # marked as _lazy


def test_the_english_catalogue_is_complete():
    """`./amb messages` tells the same, and writes what is new into the catalogue."""
    assert messages.update_catalogues(write=False) == []


def test_every_english_plural_has_both_forms():
    with (messages.LOCALE / "en" / "LC_MESSAGES" / "django.po").open("rb") as file:
        plurals = [message for message in read_po(file, locale="en") if isinstance(message.id, tuple)]
    assert plurals
    assert [message.id for message in plurals if len(message.string) != 2 or not all(message.string)] == []


def test_an_untranslated_text_is_reported(package):
    only(package, '_("Plantado")')
    assert messages.update_catalogues(write=False) == ["en: sin traducir: 'Plantado'"]
    assert not (package / "locale").exists()


def test_a_plural_with_one_form_is_reported(package):
    only(package, 'ngettext("%(n)s lámpara", "%(n)s lámparas", 2)')
    messages.update_catalogues(write=True)
    fill(package, {"%(n)s lámpara": ("%(n)s lamp", "")})
    assert messages.update_catalogues(write=False) == ["en: sin traducir: '%(n)s lámpara'"]


def test_a_text_that_gains_a_plural_is_to_be_translated_again(package):
    only(package, '_("%(n)s lámpara")')
    messages.update_catalogues(write=True)
    fill(package, {"%(n)s lámpara": "%(n)s lamp"})
    assert messages.update_catalogues(write=False) == []
    only_source = 'ngettext("%(n)s lámpara", "%(n)s lámparas", 2)'
    (package / "words.py").write_text(only_source, encoding="utf-8")
    assert messages.update_catalogues(write=False) == ["en: sin traducir: '%(n)s lámpara'"]


def test_a_text_that_is_gone_is_reported_and_taken_out(package):
    only(package, '_("Sigue")\n_("Se va")')
    messages.update_catalogues(write=True)
    fill(package, {"Sigue": "Stays", "Se va": "Goes"})
    (package / "words.py").write_text('_("Sigue")', encoding="utf-8")
    assert messages.update_catalogues(write=False) == ["en: sobra: 'Se va'"]
    messages.update_catalogues(write=True)
    assert messages.update_catalogues(write=False) == []


@pytest.mark.parametrize(
    ("source", "translated", "problem"),
    [
        ('_("Faltan %(n)d")', "Missing", "en: faltan los marcadores ['%(n)d'] de 'Faltan %(n)d'"),
        (
            '_("Faltan %(n)d")',
            "%(m)d missing of %(n)d",
            "en: marcadores ['%(m)d'] que no están en 'Faltan %(n)d'",
        ),
        ('_("Cambia en %(x).1f %%")', "Changes", "en: faltan los marcadores ['%(x).1f'] de 'Cambia en %(x).1f %%'"),
        ('_("Desde {time}")', "Since {hour}", "en: marcadores ['{hour}'] que no están en 'Desde {time}'"),
        (
            'ngettext("%(n)s vía", "%(n)s vías", 2)',
            ("one road", "roads"),
            "en: faltan los marcadores ['%(n)s'] de '%(n)s vías'",
        ),
    ],
)  # fmt: skip
def test_wrong_placeholders_are_reported(package, source, translated, problem):
    only(package, source)
    messages.update_catalogues(write=True)
    fill(package, {next(iter(messages.extract()))[1]: translated})
    assert messages.update_catalogues(write=False) == [problem]


def test_a_singular_may_leave_its_number_unsaid_and_the_percent_sign_counts_as_text(package):
    only(package, 'ngettext("%(n)s vía", "%(n)s vías", 2)\n_("Cambia en %(x).1f %%")')
    messages.update_catalogues(write=True)
    fill(package, {"%(n)s vía": ("one road", "%(n)s roads"), "Cambia en %(x).1f %%": "Changes by %(x).1f%%"})
    assert messages.update_catalogues(write=False) == []


def test_writing_twice_changes_nothing(package):
    path = package / "locale" / "en" / "LC_MESSAGES" / "django.po"
    messages.update_catalogues(write=True)
    before = path.read_bytes()
    messages.update_catalogues(write=True)
    assert path.read_bytes() == before


@pytest.fixture
def compiled(tmp_path, monkeypatch):
    """Django with the English catalogue as `compile_catalogues` makes it, elsewhere than in the checkout."""
    source = messages.LOCALE / "en" / "LC_MESSAGES" / "django.po"
    folder = tmp_path / "en" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "django.po").write_bytes(source.read_bytes())
    monkeypatch.setattr(messages, "LOCALE", tmp_path)
    messages.compile_catalogues()
    with override_settings(LOCALE_PATHS=[tmp_path]):  # Django then forgets what it has loaded, now and after
        yield folder / "django.mo"


def test_english_and_spanish_are_told_apart(compiled):
    page = Template(
        '{% load i18n %}{% translate "Centro de control" %}, '
        "{% blocktranslate count n=n trimmed %}{{ n }} activo{% plural %}{{ n }} activos{% endblocktranslate %}, "
        '{% translate "Ruta" context "navegación" %}, {% translate "Ruta" %}'
    )
    said = {}
    for language in ("en", "es"):
        with translation.override(language):
            said[language] = [page.render(Context({"n": n})) for n in (1, 2)]
    assert said == {
        "en": ["Control centre, 1 asset, Breadcrumb, Route", "Control centre, 2 assets, Breadcrumb, Route"],
        "es": ["Centro de control, 1 activo, Ruta, Ruta", "Centro de control, 2 activos, Ruta, Ruta"],
    }


def test_spanish_says_the_source_whatever_the_libraries_call_by_the_same_name(compiled, texts):
    with translation.override("es"):
        other = [
            text
            for context, text in texts
            if (translation.pgettext(context, text) if context else translation.gettext(text)) != text
        ]
    assert other == []


def test_a_catalogue_is_compiled_again_only_when_it_is_newer(compiled):
    old = compiled.stat().st_mtime_ns
    messages.compile_catalogues()
    assert compiled.stat().st_mtime_ns == old
    later = compiled.stat().st_mtime + 5
    os.utime(compiled.with_suffix(".po"), (later, later))
    os.utime(compiled, (1, 1))
    messages.compile_catalogues()
    assert compiled.stat().st_mtime > 1
    assert not compiled.with_suffix(".tmp").exists()


def test_numbers_and_times_as_colombia_writes_them():
    at = dt.datetime(2026, 11, 2, 8, 5)
    with translation.override("es"):
        assert formats.number_format(1234567.8, 1) == "1.234.567,8"
        assert formats.time_format(at.time()) == "08:05"
        assert formats.date_format(at) == "2 de noviembre de 2026"
        assert formats.date_format(at, "SHORT_DATE_FORMAT") == "02/11/2026"
        assert formats.date_format(at, "DATETIME_FORMAT") == "2 de noviembre de 2026, 08:05"
    with translation.override("en"):
        assert formats.number_format(1234567.8, 1) == "1,234,567.8"
