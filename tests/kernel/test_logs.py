from __future__ import annotations

import json
import logging
import logging.config

import pytest

from amb247.kernel.logs import JsonFormatter, configuration

pytestmark = pytest.mark.unit


def record(message: str = "gtfs %s imported", *args: object, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord(
        "amb247.mobility", logging.WARNING, __file__, 1, message, args or ("demo",), None
    )
    vars(made).update(extra)
    return made


def test_a_line_is_one_json_object_with_the_extras_as_keys():
    line = JsonFormatter().format(record(feed="línea", rows=3))
    assert "\n" not in line
    said = json.loads(line)
    assert said.pop("at").endswith("+00:00")
    assert said == {
        "level": "warning", "logger": "amb247.mobility", "message": "gtfs demo imported", "feed": "línea", "rows": 3,
    }  # fmt: skip


def test_text_that_would_break_the_line_or_the_json_does_not():
    line = JsonFormatter().format(record("a\nb %s", '"quoted" \x00'))
    assert "\n" not in line
    assert json.loads(line)["message"] == 'a\nb "quoted" \x00'


def test_what_is_no_json_is_written_as_words():
    assert json.loads(JsonFormatter().format(record(what={1}, who=ValueError("x"))))["who"] == "x"


def test_an_exception_is_told_whole():
    try:
        raise ZeroDivisionError("by nothing")
    except ZeroDivisionError as problem:
        made = record()
        made.exc_info = (type(problem), problem, problem.__traceback__)
    assert json.loads(JsonFormatter().format(made))["error"].endswith("ZeroDivisionError: by nothing\n")


@pytest.mark.parametrize("style", ["json", "text", None])
def test_the_configuration_is_one_that_logging_takes(style):
    found = configuration(style=style)
    logging.config.DictConfigurator(found)
    assert found["handlers"]["stderr"]["formatter"] == (style or "json")
