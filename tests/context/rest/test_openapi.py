"""The interface answers as its own description says."""

from __future__ import annotations

import os
from collections import Counter

import pytest
import schemathesis
import yaml
from factories.data_models import DATA
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS
from schemathesis.core.failures import Failure, FailureGroup

from amb247.context.rest.app import ngsi_app
from amb247.context.rest.openapi import OPERATIONS, PARAMETERS, document

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

EXAMPLES = int(os.environ.get("AMB_SCHEMA_EXAMPLES", "4"))
PUBLISHED = DATA / "ngsi-ld/openapi/ngsi-ld-api-v1.6.1.yaml"
KNOWN = {
    "entity_id": "urn:ngsi-ld:Bus:1",
    "attribute": "speed",
    "attr_id": "speed",
    "subscription_id": "urn:ngsi-ld:Subscription:1",
    "registration_id": "urn:ngsi-ld:ContextSourceRegistration:1",
}


def served():
    """Every method and path that the application has."""
    app = ngsi_app()
    found = {
        (method, "/" + "/".join(parts))
        for table in app._by_length.values()
        for parts, methods in table
        for method in methods
        if method != "HEAD"
    }
    app.stop()
    return found


@pytest.mark.unit
def test_every_route_has_its_row_and_every_row_its_route():
    rows = Counter((one.method, one.path) for one in OPERATIONS)
    assert set(rows) == served()
    assert set(rows.values()) == {1}
    assert max(Counter(one.name for one in OPERATIONS).values()) == 1
    assert {name for one in OPERATIONS for name in one.parameters} == set(PARAMETERS)


@pytest.mark.data
@pytest.mark.skipif(not PUBLISHED.exists(), reason=f"needs the published description {PUBLISHED}")
def test_the_operations_of_the_standard_are_all_there():
    """Every operation and parameter of the published OpenAPI 1.6.1 is in ours, under the same name."""
    theirs = yaml.safe_load(PUBLISHED.read_text())
    ours = document()["paths"]
    at = {operation["operationId"]: operation for path in ours.values() for operation in path.values()}
    shared = theirs["components"]["parameters"]
    for path in theirs["paths"].values():
        for method, operation in path.items():
            if method == "parameters":
                continue
            mine = at[operation["operationId"]]
            names = {one["name"] for one in mine["parameters"] if one["in"] == "query"}
            for one in operation.get("parameters", ()):
                known = shared[one["$ref"].rsplit("/", 1)[1]] if "$ref" in one else one
                if known["in"] == "query" and known["name"] not in UNUSED.get(operation["operationId"], ()):
                    assert known["name"] in names, (operation["operationId"], known["name"])
            declared = {status for status in operation["responses"] if status != "503"}
            assert declared <= set(mine["responses"]), operation["operationId"]


# Listed by the published file where chapter 6 has no such parameter: they are passed over.
UNUSED = {
    "queryCSR": {"geometryProperty", "lang"},
    "retrieveTemporal": {"scopeQ", "limit"},
    "listContexts": {"local"},
    "retrieveContext": {"local"},
    "deleteContext": {"local"},
}


def test_it_is_public(broker, monkeypatch):
    monkeypatch.setenv("AMB_NGSI_OPEN", "0")
    response = broker.get("/openapi.json")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json() == document()


def prepare(broker):
    """Something of each kind, so that ids may be known ones."""
    entity = {
        "id": KNOWN["entity_id"],
        "type": "Bus",
        "speed": {"type": "Property", "value": 1, "observedAt": "2026-11-22T10:00:00Z"},
    }
    assert broker.post("/entities", json=entity).status_code in {201, 409}
    subscription = {
        "id": KNOWN["subscription_id"],
        "type": "Subscription",
        "entities": [{"type": "Bus"}],
        "notification": {"endpoint": {"uri": "http://127.0.0.1:9/"}},
    }
    assert broker.post("/subscriptions", json=subscription).status_code in {201, 409}
    assert broker.post("/csourceSubscriptions", json=subscription).status_code in {201, 409}
    registration = {
        "id": KNOWN["registration_id"],
        "type": "ContextSourceRegistration",
        "information": [{"entities": [{"type": "Elsewhere"}]}],
        "endpoint": "http://127.0.0.1:9/",
    }
    assert broker.post("/csourceRegistrations", json=registration).status_code in {201, 409}


@pytest.fixture(scope="module")
def described():
    schemathesis.checks.load_all_checks()
    # Invented tokens would be refused, and nothing else tried.
    asked = {name: part for name, part in document().items() if name != "security"}
    asked["paths"] = {
        path: {method: {**one, "security": []} for method, one in methods.items()}
        for path, methods in asked["paths"].items()
    }
    schema = schemathesis.openapi.from_dict(asked)
    return {one.ok().definition.raw["operationId"]: one.ok() for one in schema.get_all_operations()}


@pytest.mark.parametrize("name", sorted(one.name for one in OPERATIONS))
def test_it_answers_as_described(broker, described, name):
    """No 500, no answer that is not declared, nothing of another shape than declared."""
    prepare(broker)
    operation = described[name]
    checks = CHECKS.get_by_names(
        ["status_code_conformance", "content_type_conformance", "response_schema_conformance"]
    )
    base = str(broker.base_url).rstrip("/")
    seen: Counter[int] = Counter()

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=st.one_of(
            operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
            operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
        ),
        is_known=st.booleans(),
    )
    def answers(case, is_known):
        if is_known and name != "streamEvents":  # a stream that is there does not end
            case.path_parameters = {
                **(case.path_parameters or {}),
                **{key: KNOWN[key] for key in case.path_parameters or {} if key in KNOWN},
            }
        response = case.call(base_url=base, timeout=20)
        seen[response.status_code] += 1
        assert response.status_code != 500, (case.as_curl_command(), response.text)
        try:
            case.validate_response(response, checks=checks)
        except (Failure, FailureGroup) as problem:
            pytest.fail(f"{problem}\n{case.as_curl_command()}\n{response.status_code} {response.text[:500]}")

    answers()
    print(name, dict(seen))
