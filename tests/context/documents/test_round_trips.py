from __future__ import annotations

import json
from datetime import UTC, datetime

import orjson
import pytest
from factories.ngsi import attributes, entities, hostile, languages, values
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from amb247.context.documents.join import join_flat, join_inline
from amb247.context.documents.parse import (
    as_kind,
    parse_attributes,
    parse_entity,
    parse_instance,
    parse_temporal,
)
from amb247.context.documents.projection import parse_projection
from amb247.context.documents.represent import Form, represent
from amb247.context.documents.table import as_csv
from amb247.context.documents.text import read_json
from amb247.context.jsonld.context import CORE
from amb247.context.jsonld.resolve import resolve
from amb247.context.ngsi_errors import NgsiError
from amb247.context.stored import Stored

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OWN = resolve(
    {
        "ex": "https://example.org/vocab#",
        "speed": "ex:speed",
        "Vehicle": {"@id": "ex:Vehicle"},
        "owner": {"@id": "https://schema.org/owner", "@type": "@id"},
        "power": "https://smartdatamodels.org/dataModel.Streetlighting/powerState",
    },
    fetch=pytest.fail,
    link="https://example.org/own.jsonld",
)
# Entities are large: shrinking them takes minutes, and the whole one says as much.
calm = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)


def stored(raw, context=CORE):
    parsed = parse_entity(raw, context)
    return Stored(
        parsed.id, parsed.types, parsed.scope or [], parsed.attributes, NOW, NOW, expires_at=parsed.expires_at
    )


@calm
@given(entities(), st.sampled_from([CORE, OWN]))
def test_normalized_comes_out_as_it_went_in(raw, context):
    assert represent(stored(raw, context), context) == raw


@calm
@given(entities(), st.sampled_from([CORE, OWN]))
def test_concise_means_the_same(raw, context):
    one = stored(raw, context)
    concise = represent(one, context, Form(kind="concise"))
    assert stored(concise, context) == one


@calm
@given(entities())
def test_stored_form_survives_the_database(raw):
    one = stored(raw)
    assert orjson.loads(orjson.dumps(one.attributes)) == one.attributes


@calm
@given(entities())
def test_what_one_context_wrote_another_reads_and_writes_back(raw):
    """An answer under any @context, sent back under the same, is the same thing."""
    one = stored(raw, CORE)
    assert stored(represent(one, OWN), OWN) == one


@calm
@given(st.sampled_from(sorted(values)), st.data())
def test_simplified_values_come_back_as_the_stored_kind(kind, data):
    key, strategy = values[kind]
    instance = parse_instance("a", {"type": kind, key: data.draw(strategy)}, CORE)
    one = Stored("urn:a:b", ["T"], [], {"a": instance}, NOW, NOW)
    shown = represent(one, CORE, Form(kind="simplified"))["a"]
    is_word = isinstance(shown, dict) and (
        set(shown) in ({"dataset"}, {"json"}, {"vocab"}, {"languageMap"}) or "coordinates" in shown
    )
    if kind == "Property" and is_word:
        return  # a value that looks like a representation is taken for one: simplified loses that
    guessed = parse_instance("a", shown, CORE, form="simplified")
    assert as_kind(guessed, kind, CORE) == instance


@calm
@given(entities(), st.text("*,;q=0.5enfrsd-CH", max_size=20) | languages)
def test_a_language_filter_leaves_texts(raw, lang):
    made = represent(stored(raw), CORE, Form(lang=lang, sys_attrs=True))
    assert "LanguageProperty" not in str(
        [
            one["type"]
            for value in made.values()
            for one in (value if isinstance(value, list) else [value])
            if isinstance(one, dict)
        ]
    )
    represent(stored(raw), CORE, Form(kind="simplified", lang=lang))
    represent(stored(raw), CORE, Form(kind="concise", lang=lang))


@calm
@given(st.lists(entities(), min_size=1, max_size=3), st.sampled_from(["normalized", "concise", "simplified"]))
def test_every_form_can_be_written_as_json(raws, kind):
    found = [stored(raw) for raw in raws]
    known = {one.id: one for one in found}

    def lookup(ids):
        return {key: known[key] for key in ids if key in known}

    form = Form(kind=kind, sys_attrs=True)
    orjson.dumps(join_inline(found, CORE, form, lookup=lookup, level=2))
    orjson.dumps(join_flat(found, CORE, form, lookup=lookup, level=2))
    orjson.dumps([represent(one, CORE, Form(kind=kind, geojson=True)) for one in found])
    assert as_csv(found, CORE, form).count(b"\r\n") >= len(found) + 1


def attempt(call, *args, **options):
    """Whatever is sent, the answer is a document or a problem that the client is told."""
    try:
        return call(*args, **options)
    except NgsiError as problem:
        orjson.dumps(problem.document())
        return None


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(hostile)
@example({"type": []})
@example({"speed": {"type": {}, "value": 1}})
@example({"speed": {"type": "GeoProperty", "value": {"type": [], "coordinates": []}}})
@example({"speed": [[], {}, {"type": "Property"}]})
@example({"location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [True, None]}}})
@example({"@type": "x", "@id": 5})
@example({"speed": {"type": "Point", "coordinates": {}}})
def test_hostile_json_is_refused_in_words(raw):
    for nulls in (False, True):
        for partial in (False, True):
            attempt(parse_entity, raw, CORE, nulls=nulls, partial=partial)
        attempt(parse_attributes, raw, CORE, form="simplified", nulls=nulls)
    attempt(parse_temporal, raw, CORE)
    attempt(parse_instance, "a", raw, CORE, partial=True, nulls=True)
    attempt(parse_instance, "a", raw, OWN, kind="GeoProperty", partial=True)
    attempt(resolve, raw, fetch=lambda url: raw)
    parsed = attempt(parse_entity, {"id": "urn:a:b", "type": "T", "a": raw}, CORE)
    if parsed is not None:
        one = Stored(parsed.id, parsed.types, [], parsed.attributes, NOW, NOW)
        for kind in ("normalized", "concise", "simplified"):
            orjson.dumps(represent(one, CORE, Form(kind=kind, lang="en", sys_attrs=True)))


@calm
@given(
    st.binary(max_size=40)
    | hostile.map(lambda raw: json.dumps(raw).encode())
    | st.text('{}[]":,a1\\', max_size=30).map(str.encode)
)
def test_hostile_bytes_are_refused_in_words(body):
    attempt(read_json, body)


@calm
@given(st.text("{}|,ab: \x00", max_size=20))
def test_hostile_projections_are_refused_in_words(text):
    attempt(parse_projection, text, CORE)


@calm
@given(attributes())
def test_partial_and_whole_instances_agree_where_all_is_said(raw):
    if isinstance(raw, dict):
        assert parse_instance("a", raw, CORE, partial=True) == parse_instance("a", raw, CORE)
