from __future__ import annotations

import pytest
from context.querying.world import Names, put

from amb247.context.domain.queries.find import count, find, get, get_many
from amb247.context.jsonld.names import internal
from amb247.context.querying import syntax
from amb247.context.querying.matching import matcher
from amb247.context.querying.query import Query

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def test_q_finds():
    put("urn:a:1", speed={"type": "Property", "value": 30}, name={"type": "Property", "value": "Ana"})
    put("urn:a:2", speed={"type": "Property", "value": 60})
    query = Query(q=syntax.parse_q('speed>50|name=="Ana"', Names()))
    assert [one.id for one in find(query)] == ["urn:a:1", "urn:a:2"]
    assert count(query) == 2
    assert get("urn:a:1").attributes["speed"]["value"] == 30
    assert set(get_many(["urn:a:2", "urn:a:3"])) == {"urn:a:2"}
    assert internal("https://uri.etsi.org/ngsi-ld/default-context/x") == "x"
    assert matcher(query)(get("urn:a:1"))
