"""docs/ngsi-ld.md says what is so: it is what its sources make, it is whole, and every test that it names exists."""

from __future__ import annotations

import ast
import importlib.util
from functools import cache
from pathlib import Path

import pytest
import yaml
from context.clauses import DONE, NOT, OF_OPERATIONS, OF_PARAMETERS, PARTLY, PARTS
from factories.data_models import DATA

from amb247.context.rest.app import ngsi_app
from amb247.context.rest.openapi import OPERATIONS

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = DATA / "ngsi-ld/openapi/ngsi-ld-api-v1.6.1.yaml"
CLAUSES = [one for _, clauses in PARTS for one in clauses]


def load_tool():
    spec = importlib.util.spec_from_file_location("ngsi_table", ROOT / "tools" / "ngsi_table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tool = load_tool()


@cache
def functions(path):
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def named():
    for one in CLAUSES:
        yield from one.tests
    for pair in OF_OPERATIONS.values():
        yield from pair
    yield from OF_PARAMETERS.values()
    yield from (tool.WRONG_PERSON, tool.WRONG_VALUE)


def test_the_document_is_what_its_sources_make():
    written = (ROOT / "docs" / "ngsi-ld.md").read_text(encoding="utf-8")
    assert written == tool.table(), "run tools/ngsi_table.py"


def test_every_test_that_is_named_exists():
    lacking = []
    for test in sorted(set(named())):
        path, name = tool.path_of(test)
        if not (ROOT / path).is_file() or name not in functions(path):
            lacking.append(test)
    assert lacking == []


def test_every_clause_stands_once_with_what_its_state_needs():
    numbers = [one.number for one in CLAUSES]
    assert len(numbers) == len(set(numbers))
    for one in CLAUSES:
        assert one.state in {DONE, PARTLY, NOT}
        assert bool(one.tests) == (one.state != NOT), one.number
        assert one.says or one.state == DONE, one.number


def test_every_operation_and_parameter_of_ours_is_there():
    assert set(OF_OPERATIONS) == {one.name for one in OPERATIONS}
    assert set(OF_PARAMETERS) == {name for one in OPERATIONS for name in tool._of(one)}
    text = tool.table()
    app = ngsi_app()
    for rows in app._by_length.values():
        for parts, methods in rows:
            for method in methods.keys() - {"HEAD"}:
                assert f"`{method} /{'/'.join(parts)}`" in text
    app.stop()


def test_every_clause_that_an_operation_names_is_there():
    numbers = {one.number for one in CLAUSES}
    for one in OPERATIONS:
        for clause in filter(None, one.clauses.split(", ")):
            if clause.startswith("5"):
                assert clause in numbers, (one.name, clause)


@pytest.mark.data
@pytest.mark.skipif(not PUBLISHED.exists(), reason=f"needs the published description {PUBLISHED}")
def test_every_operation_and_parameter_of_the_published_description_is_there():
    theirs = yaml.safe_load(PUBLISHED.read_text(encoding="utf-8"))
    shared = theirs["components"]["parameters"]
    for path in theirs["paths"].values():
        for method, operation in path.items():
            if method == "parameters":
                continue
            assert operation["operationId"] in OF_OPERATIONS
            for one in operation.get("parameters", ()):
                known = shared[one["$ref"].rpartition("/")[2]] if "$ref" in one else one
                if known["in"] == "query":
                    assert known["name"] in OF_PARAMETERS, known["name"]
