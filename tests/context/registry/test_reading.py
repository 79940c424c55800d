"""Reading over several sources: modes, merging, partial results, loops, headers, limits (GS CIM 009 v1.8.1, 4.3.6, 6.3.17)."""

from __future__ import annotations

import time

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

BUS = "urn:ngsi-ld:Bus:1"
OLD, NEW = "2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z"


def prop(value, **more):
    return {"type": "Property", "value": value, **more}


def bus(entity_id=BUS, **attributes):
    return {"id": entity_id, "type": "Bus", **attributes}


@pytest.fixture
def local(broker):
    def made(*entities):
        for one in entities:
            response = broker.post("/entities", json=one, params={"local": "true"})
            assert response.status_code == 201, response.text

    return made


def get(broker, entity_id=BUS, **parameters):
    response = broker.get(f"/entities/{entity_id}", params=parameters)
    assert response.status_code == 200, response.text
    return response


def find(broker, headers=None, **parameters):
    response = broker.get("/entities", params=parameters, headers=headers)
    assert response.status_code == 200, response.text
    return response


# --- retrieve -----------------------------------------------------------------------------------------------------


def test_an_entity_that_is_only_elsewhere(broker, source, register):
    source.on("GET", f"/entities/{BUS}", (200, bus(speed=prop(30))))
    register(source.endpoint)
    assert get(broker).json() == bus(speed=prop(30))
    assert source.asked[0].parameters["options"] == "sysAttrs"
    assert source.asked[0].headers["via"].startswith("1.1 ")


def test_inclusive_merges_and_the_newest_wins(broker, source, register, local):
    local(bus(speed=prop(1, observedAt=OLD), fuelLevel=prop(5, observedAt=NEW), line=prop("T1")))
    theirs = bus(speed=prop(2, observedAt=NEW), fuelLevel=prop(6, observedAt=OLD), doors=prop(3))
    source.on("GET", f"/entities/{BUS}", (200, theirs))
    register(source.endpoint)
    assert get(broker).json() == bus(
        speed=prop(2, observedAt=NEW), fuelLevel=prop(5, observedAt=NEW), line=prop("T1"), doors=prop(3)
    )


def test_without_observation_the_last_modification_wins(broker, source, register, local):
    local(bus(speed=prop(1), line=prop("T1")))
    far, near = "2000-01-01T00:00:00Z", "2999-01-01T00:00:00Z"
    theirs = bus(
        speed=prop(2, createdAt=far, modifiedAt=far),
        line=prop("T2", createdAt=far, modifiedAt=near),
        createdAt=far,
        modifiedAt=near,
    )
    source.on("GET", f"/entities/{BUS}", (200, theirs))
    register(source.endpoint)
    assert get(broker).json() == bus(speed=prop(1), line=prop("T2"))
    shown = get(broker, options="sysAttrs").json()
    assert (shown["createdAt"], shown["modifiedAt"]) == (far, near)
    assert shown["line"]["modifiedAt"] == near
    assert shown["speed"]["createdAt"] > far


def test_instances_with_a_dataset_are_merged_one_by_one(broker, source, register, local):
    local(bus(speed=[prop(1, observedAt=NEW), prop(2, datasetId="urn:x:gps", observedAt=OLD)]))
    theirs = bus(speed=[prop(9, observedAt=OLD), prop(8, datasetId="urn:x:gps", observedAt=NEW)])
    source.on("GET", f"/entities/{BUS}", (200, theirs))
    register(source.endpoint)
    assert get(broker).json()["speed"] == [
        prop(1, observedAt=NEW),
        prop(8, datasetId="urn:x:gps", observedAt=NEW),
    ]


def test_exclusive_takes_the_word_of_its_source(broker, source, second, register, local):
    local(bus(line=prop("T1")))
    source.on("GET", f"/entities/{BUS}", (200, bus(speed=prop(2, observedAt=OLD), line=prop("X"))))
    second.on("GET", f"/entities/{BUS}", (200, bus(speed=prop(3, observedAt=NEW))))
    register(source.endpoint, ids=[BUS], names=["speed"], mode="exclusive")
    register(second.endpoint)
    assert get(broker).json() == bus(speed=prop(2, observedAt=OLD), line=prop("T1"))
    assert source.asked[0].parameters["attrs"] == "speed"


def test_redirect_of_a_type_leaves_nothing_here(broker, source, register, local):
    local(bus(speed=prop(1, observedAt=NEW)), {"id": "urn:ngsi-ld:Tram:1", "type": "Tram"})
    source.on("GET", f"/entities/{BUS}", (200, bus(speed=prop(2))))
    register(source.endpoint, mode="redirect")
    assert get(broker).json() == bus(speed=prop(2))
    assert get(broker, "urn:ngsi-ld:Tram:1").status_code == 200
    assert len(source.asked) == 1


def test_auxiliary_only_fills_gaps(broker, source, register, local):
    local(bus(speed=prop(1, observedAt=OLD)))
    source.on("GET", f"/entities/{BUS}", (200, bus(speed=prop(2, observedAt=NEW), doors=prop(3))))
    register(source.endpoint, mode="auxiliary")
    assert get(broker).json() == bus(speed=prop(1, observedAt=OLD), doors=prop(3))


def test_local_asks_nobody(broker, source, register, local):
    local(bus(speed=prop(1)))
    source.on("GET", f"/entities/{BUS}", (200, bus(doors=prop(3))))
    register(source.endpoint)
    assert get(broker, local="true").json() == bus(speed=prop(1))
    assert find(broker, type="Bus", local="true").json() == [bus(speed=prop(1))]
    assert source.asked == []


def test_sources_that_are_not_concerned_are_not_asked(broker, source, register, local):
    local(bus(speed=prop(1)))
    register(source.endpoint, types=("Tram",))
    register(source.endpoint, ids=["urn:ngsi-ld:Bus:2"])
    register(source.endpoint, operations=["updateOps"])
    register(source.endpoint, names=["doors"])
    register(
        source.endpoint,
        observationInterval={"startAt": "2020-01-01T00:00:00Z"},
    )
    assert get(broker, attrs="speed").json() == bus(speed=prop(1))
    assert source.asked == []


def test_a_source_that_has_it_not_is_no_failure(broker, source, register, local):
    register(source.endpoint)
    response = broker.get(f"/entities/{BUS}")
    assert response.status_code == 404
    assert "NGSILD-Warning" not in response.headers
    local(bus())
    assert "NGSILD-Warning" not in get(broker).headers


@pytest.mark.parametrize(
    "reply",
    [
        (500, {"title": "broken"}),
        (401, {"title": "who are you"}),
        (200, [1]),
        (200, {"id": BUS}),
        (200, bus(speed={"type": "Nothing"})),
        (302, None, {"Location": "http://127.0.0.1:1/"}),
    ],
)
def test_a_source_that_fails_is_named_in_a_warning(broker, source, register, local, reply):
    local(bus(speed=prop(1)))
    source.on("GET", f"/entities/{BUS}", reply)
    registration = register(source.endpoint)
    response = get(broker)
    assert response.json() == bus(speed=prop(1))
    assert response.headers["NGSILD-Warning"].startswith("199 ")
    assert registration in response.headers["NGSILD-Warning"]


def test_nobody_there(broker, register, local):
    local(bus(speed=prop(1)))
    register("http://127.0.0.1:9")
    assert "cannot be reached" in get(broker).headers["NGSILD-Warning"]


def test_only_the_exclusive_source_would_know(broker, register):
    register("http://127.0.0.1:9", ids=[BUS], names=["speed"], mode="exclusive")
    response = broker.get(f"/entities/{BUS}")
    assert response.status_code == 502
    assert response.json()["title"] == "Source cannot be reached"


def test_a_slow_source_is_waited_for_no_longer_than_it_says(broker, source, register, local):
    local(bus(speed=prop(1)))

    def sleep(_asked):
        time.sleep(1.5)
        return 200, bus(doors=prop(3))

    source.on("GET", f"/entities/{BUS}", sleep)
    registration = register(source.endpoint, management={"timeout": 200, "cooldown": 60_000})
    start = time.monotonic()
    response = get(broker)
    assert time.monotonic() - start < 1.0
    assert response.json() == bus(speed=prop(1))
    assert "did not answer within 0.2 s" in response.headers["NGSILD-Warning"]
    response = get(broker)  # in its cooldown it is not asked again
    assert "left alone" in response.headers["NGSILD-Warning"]
    assert len(source.asked) == 1
    shown = broker.get(f"/csourceRegistrations/{registration}").json()
    assert (shown["status"], shown["timesSent"], shown["timesFailed"]) == ("failed", 2, 2)
    assert "lastFailure" in shown
    assert "lastSuccess" not in shown


def test_success_is_counted(broker, source, register):
    source.on("GET", f"/entities/{BUS}", (200, bus()))
    registration = register(source.endpoint)
    get(broker)
    get(broker)
    shown = broker.get(f"/csourceRegistrations/{registration}").json()
    assert (shown["status"], shown["timesSent"], shown["timesFailed"]) == ("ok", 2, 0)
    assert "lastSuccess" in shown


def test_what_a_registration_says_goes_with_the_question(broker, source, register):
    source.on("GET", f"/entities/{BUS}", (200, bus()))
    register(
        source.endpoint,
        tenant="north",
        contextSourceInfo=[
            {"key": "Authorization", "value": "Bearer theirs"},
            {"key": "X-Trace", "value": "urn:ngsi-ld:request"},
            {"key": "X-Absent", "value": "urn:ngsi-ld:request"},
        ],
        management={"localOnly": True},
    )
    headers = {"X-Trace": "abc", "Via": "1.1 somebody"}
    assert broker.get(f"/entities/{BUS}", headers=headers).status_code == 200
    asked = source.asked[0]
    assert asked.headers["ngsild-tenant"] == "north"
    assert asked.headers["authorization"] == "Bearer theirs"
    assert asked.headers["x-trace"] == "abc"
    assert "x-absent" not in asked.headers
    assert asked.headers["via"].startswith("1.1 somebody, 1.1 ")
    assert asked.parameters["local"] == "true"


def test_answers_may_be_kept_for_a_while(broker, source, register):
    source.on("GET", f"/entities/{BUS}", (200, bus(speed=prop(1))))
    register(source.endpoint, management={"cacheDuration": "PT1M"})
    get(broker)
    response = get(broker)
    assert response.json() == bus(speed=prop(1))
    assert response.headers["NGSILD-Warning"].startswith("110 ")
    assert len(source.asked) == 1


def test_the_context_of_the_client_is_passed_on(broker, source, register):
    hosted = broker.post(
        "/jsonldContexts", json={"@context": {"Bus": "https://x.org/Bus", "pace": "https://x.org/pace"}}
    )
    link = f"<{broker.base_url.join('/')}{hosted.headers['location'].lstrip('/')}>"
    link += '; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'
    source.on("GET", f"/entities/{BUS}", (200, bus(pace=prop(3))))
    body = {
        "type": "ContextSourceRegistration",
        "information": [{"entities": [{"type": "Bus"}], "propertyNames": ["pace"]}],
        "endpoint": source.endpoint,
    }
    assert broker.post("/csourceRegistrations", json=body, headers={"Link": link}).status_code == 201
    response = broker.get(f"/entities/{BUS}", headers={"Link": link})
    assert response.json() == bus(pace=prop(3))
    assert source.asked[0].parameters["attrs"] == "pace"
    assert source.asked[0].headers["link"] == response.headers["link"]


def test_a_source_with_its_own_words(broker, source, register):
    context = {
        "@context": {
            "Autobus": "https://uri.etsi.org/ngsi-ld/default-context/Bus",
            "velocidad": "https://uri.etsi.org/ngsi-ld/default-context/speed",
        }
    }
    hosted = broker.post("/jsonldContexts", json=context)
    url = f"{str(broker.base_url.join('/')).rstrip('/')}{hosted.headers['location']}"
    theirs = {"id": BUS, "type": "Autobus", "velocidad": prop(3)}
    source.on("GET", f"/entities/{BUS}", (200, theirs))
    source.on("GET", "/entities", (200, [theirs]))
    register(source.endpoint, names=["speed"], contextSourceInfo=[{"key": "jsonldContext", "value": url}])
    assert get(broker).json() == bus(speed=prop(3))
    assert source.asked[0].parameters["attrs"] == "velocidad"
    assert url in source.asked[0].headers["link"]
    assert find(broker, type="Bus", q="speed==3").json() == [bus(speed=prop(3))]
    assert source.asked[1].parameters["type"] == "Autobus"
    assert "q" not in source.asked[1].parameters
    assert find(broker, type="Bus", q="speed==4").json() == []


# --- loops --------------------------------------------------------------------------------------------------------


def test_a_request_that_came_through_here_is_refused(broker, monkeypatch):
    monkeypatch.setenv("AMB_NGSI_ALIAS", "city")
    response = broker.get(f"/entities/{BUS}", headers={"Via": "1.1 other, 1.1 city"})
    assert response.status_code == 508
    assert response.json()["type"].endswith("LoopDetected")
    assert broker.get(f"/entities/{BUS}", headers={"Via": "1.1 city2"}).status_code == 404


def test_a_source_that_is_in_via_is_not_asked(broker, source, register, local):
    local(bus())
    register(source.endpoint, contextSourceAlias="north")
    assert broker.get(f"/entities/{BUS}", headers={"Via": "1.1 north"}).status_code == 200
    assert source.asked == []


def test_a_source_that_asks_us_lacks_nothing(broker, source, register, local):
    local(bus())
    source.on("GET", f"/entities/{BUS}", (508, {"title": "Loop"}))
    register(source.endpoint)
    assert "NGSILD-Warning" not in get(broker).headers


# --- queries ------------------------------------------------------------------------------------------------------


def test_query_puts_together_by_id(broker, source, second, register, local):
    local(bus(speed=prop(1, observedAt=OLD)), bus("urn:ngsi-ld:Bus:3", speed=prop(3)))
    source.on(
        "GET",
        "/entities",
        (200, [bus("urn:ngsi-ld:Bus:2", speed=prop(2)), bus(speed=prop(9, observedAt=NEW), doors=prop(2))]),
    )
    second.on("GET", "/entities", (200, [bus("urn:ngsi-ld:Bus:0")]))
    register(source.endpoint)
    register(second.endpoint)
    response = find(broker, type="Bus", count="true")
    assert response.json() == [
        bus("urn:ngsi-ld:Bus:0"),
        bus(speed=prop(9, observedAt=NEW), doors=prop(2)),
        bus("urn:ngsi-ld:Bus:2", speed=prop(2)),
        bus("urn:ngsi-ld:Bus:3", speed=prop(3)),
    ]
    assert response.headers["NGSILD-Results-Count"] == "4"
    assert source.asked[0].parameters["type"] == "Bus"


def test_query_cuts_pages_out_of_all(broker, source, register, local):
    local(*(bus(f"urn:ngsi-ld:Bus:{n:02}") for n in range(0, 40, 2)))
    theirs = [bus(f"urn:ngsi-ld:Bus:{n:02}") for n in range(1, 40, 2)]

    def page(asked):
        offset, limit = int(asked.parameters.get("offset", 0)), int(asked.parameters["limit"])
        return 200, theirs[offset : offset + limit], {"NGSILD-Results-Count": "20"}

    source.on("GET", "/entities", page)
    register(source.endpoint)
    seen, offset = [], 0
    while True:
        response = find(broker, type="Bus", limit=7, offset=offset, count="true")
        assert response.headers["NGSILD-Results-Count"] == "40"
        seen += [one["id"] for one in response.json()]
        offset += 7
        if 'rel="next"' not in response.headers["link"]:
            break
    assert seen == [f"urn:ngsi-ld:Bus:{n:02}" for n in range(40)]


def test_query_asks_a_large_source_page_by_page(broker, source, register):
    theirs = [bus(f"urn:ngsi-ld:Bus:{n:04}") for n in range(1_500)]

    def page(asked):
        offset, limit = int(asked.parameters.get("offset", 0)), int(asked.parameters["limit"])
        return 200, theirs[offset : offset + limit], {"NGSILD-Results-Count": "1500"}

    source.on("GET", "/entities", page)
    register(source.endpoint)
    response = find(broker, type="Bus", limit=10, offset=1_200, count="true")
    assert [one["id"] for one in response.json()] == [one["id"] for one in theirs[1_200:1_210]]
    assert response.headers["NGSILD-Results-Count"] == "1500"
    assert [one.parameters["limit"] for one in source.asked] == ["1000", "211"]
    response = broker.get("/entities", params={"type": "Bus", "offset": 20_000})
    assert response.status_code == 403
    assert response.json()["type"].endswith("TooManyResults")


def test_query_passes_on_what_it_is_about(broker, source, register):
    source.on("GET", "/entities", (200, []))
    register(source.endpoint, names=["speed", "location"])
    find(
        broker,
        type="Bus",
        q="speed>10",
        georel="near;maxDistance==100",
        geometry="Point",
        coordinates="[1,2]",
        scopeQ="/a",
        idPattern="Bus",
        attrs="speed",
    )
    asked = source.asked[0].parameters
    assert asked == {
        "type": "Bus",
        "idPattern": "Bus",
        "q": "speed>10",
        "georel": "near;maxDistance==100",
        "geometry": "Point",
        "coordinates": "[1,2]",
        "scopeQ": "/a",
        "attrs": "location,speed",
        "options": "sysAttrs",
        "limit": "100",
    }


def test_query_narrows_to_what_is_registered(broker, source, register):
    theirs = [bus(speed=prop(1), doors=prop(2)), bus("urn:ngsi-ld:Bus:2", speed=prop(2))]
    source.on("GET", "/entities", (200, theirs))
    register(source.endpoint, ids=[BUS], names=["speed"], mode="exclusive")
    assert find(broker, type="Bus").json() == [bus(speed=prop(1))]
    assert source.asked[0].parameters["id"] == BUS
    assert source.asked[0].parameters["attrs"] == "speed"


def test_query_of_merged_entities_is_judged_as_a_whole(broker, source, register, local):
    local(bus(speed=prop(50, observedAt=OLD)), bus("urn:ngsi-ld:Bus:2", speed=prop(1, observedAt=OLD)))
    source.on("GET", "/entities", (200, [bus("urn:ngsi-ld:Bus:2", speed=prop(60, observedAt=NEW))]))
    register(source.endpoint)
    found = find(broker, type="Bus", q="speed>20").json()
    assert found == [
        bus(speed=prop(50, observedAt=OLD)),
        bus("urn:ngsi-ld:Bus:2", speed=prop(60, observedAt=NEW)),
    ]


def test_query_is_completed_by_sources_that_cannot_judge_it(broker, source, register, local):
    local(bus(speed=prop(50)), bus("urn:ngsi-ld:Bus:2", speed=prop(1)))
    source.on("GET", "/entities", (200, [bus(doors=prop(3))]))
    register(source.endpoint, names=["doors"])
    assert find(broker, type="Bus", q="speed>20").json() == [bus(speed=prop(50), doors=prop(3))]
    assert source.asked[0].parameters["id"] == BUS
    assert "q" not in source.asked[0].parameters


def test_query_by_document(broker, source, register, local):
    local(bus(speed=prop(1)))
    source.on("GET", "/entities", (200, [bus("urn:ngsi-ld:Bus:2")]))
    register(source.endpoint)
    document = {"type": "Query", "entities": [{"type": "Bus"}]}
    response = broker.post("/entityOperations/query", json=document)
    assert [one["id"] for one in response.json()] == [BUS, "urn:ngsi-ld:Bus:2"]


def test_query_by_document_at_a_source_that_takes_only_these(broker, source, register):
    source.on("POST", "/entityOperations/query", (200, [bus()]))
    register(source.endpoint, operations=["queryBatch"])
    area = {"geometry": "Point", "coordinates": [1, 2], "georel": "near;maxDistance==10"}
    document = {"type": "Query", "entities": [{"type": "Bus"}], "q": "speed>1", "geoQ": area}
    assert broker.post("/entityOperations/query", json=document).json() == [bus()]
    asked = source.asked[0]
    assert asked.body == document
    assert asked.parameters == {"options": "sysAttrs", "limit": "100"}


def test_query_of_every_type_stays_here(broker, source, register, local):
    local(bus())
    register(source.endpoint)
    assert len(find(broker, type="*").json()) == 1
    assert source.asked == []


def test_query_with_a_source_filter(broker, source, second, register):
    for one in (source, second):
        one.on("GET", "/entities", (200, []))
    register(source.endpoint, operator="north")
    register(second.endpoint, operator="south")
    find(broker, type="Bus", csf='operator=="south"')
    assert (len(source.asked), len(second.asked)) == (0, 1)


def test_query_leaves_out_sources_that_lie_elsewhere(broker, source, register):
    source.on("GET", "/entities", (200, []))
    register(
        source.endpoint,
        location={"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]},
        scope="/AMB/North",
    )
    near = {"georel": "near;maxDistance==1000", "geometry": "Point"}
    find(broker, type="Bus", coordinates="[50,5]", **near)
    find(broker, type="Bus", scopeQ="/AMB/South")
    assert source.asked == []
    find(broker, type="Bus", coordinates="[0.5,0.4]", **near)
    assert len(source.asked) == 1


def test_query_with_a_source_that_fails(broker, source, register, local):
    local(bus())
    source.on("GET", "/entities", (503, None))
    registration = register(source.endpoint)
    response = find(broker, type="Bus", count="true")
    assert response.json() == [bus()]
    assert registration in response.headers["NGSILD-Warning"]
    assert response.headers["NGSILD-Results-Count"] == "1"


def test_query_in_order_over_sources(broker, source, register, local):
    local(bus(speed=prop(2)))
    source.on("GET", "/entities", (200, [bus("urn:ngsi-ld:Bus:2", speed=prop(1))]))
    register(source.endpoint)
    found = find(broker, type="Bus", orderBy="speed").json()
    assert [one["speed"]["value"] for one in found] == [1, 2]
    assert source.asked[0].parameters["orderBy"] == "speed"


def test_forms_of_the_answer_are_ours(broker, source, register):
    source.on("GET", "/entities", (200, [bus(speed=prop(1))]))
    source.on("GET", f"/entities/{BUS}", (200, bus(speed=prop(1))))
    register(source.endpoint)
    assert find(broker, type="Bus", format="simplified", pick="id,speed").json() == [{"id": BUS, "speed": 1}]
    assert get(broker, options="keyValues").json() == {"id": BUS, "type": "Bus", "speed": 1}
    response = broker.get("/entities", params={"type": "Bus"}, headers={"Accept": "application/geo+json"})
    assert response.json()["type"] == "FeatureCollection"


def test_a_change_of_a_registration_counts_at_once(broker, source, register):
    source.on("GET", f"/entities/{BUS}", (200, bus()))
    assert broker.get(f"/entities/{BUS}").status_code == 404
    registration = register(source.endpoint)
    assert broker.get(f"/entities/{BUS}").status_code == 200
    broker.patch(f"/csourceRegistrations/{registration}", json={"operations": ["updateOps"]})
    assert broker.get(f"/entities/{BUS}").status_code == 404
    broker.delete(f"/csourceRegistrations/{registration}")
    assert broker.get(f"/entities/{BUS}").status_code == 404
    assert len(source.asked) == 1


@pytest.mark.parametrize("headers", [{"Content-Encoding": "gzip"}, {}])
def test_a_hostile_source_harms_nobody(broker, source, register, local, headers):
    local(bus(speed=prop(1)))
    deep = {"id": BUS, "type": "Bus", "x": prop(1)}
    for _ in range(500):
        deep = {"id": BUS, "type": "Bus", "x": {"type": "Property", "value": deep}}
    source.on("GET", f"/entities/{BUS}", (200, deep, headers))
    register(source.endpoint)
    response = get(broker)
    assert response.json() == bus(speed=prop(1))
    assert "NGSILD-Warning" in response.headers


# --- split entities (v1.9.1, 6.4.3.2) -----------------------------------------------------------------------------


@pytest.fixture
def split(broker, source, register):
    """Of each bus the line is here and the speed elsewhere."""
    for number, line in ((1, "T1"), (2, "T2"), (3, "T1")):
        bus = {"id": f"urn:ngsi-ld:Bus:{number}", "type": "Bus", "line": {"type": "Property", "value": line}}
        assert broker.post("/entities", json=bus).status_code == 201
    theirs = [
        {"id": f"urn:ngsi-ld:Bus:{number}", "type": "Bus", "speed": {"type": "Property", "value": speed}}
        for number, speed in ((1, 60), (2, 70), (3, 20))
    ]
    source.on("GET", "/entities", (200, theirs))
    register(source.endpoint)
    return broker


BOTH = {"type": "Bus", "q": 'speed>50;line=="T1"', "count": "true"}


@pytest.mark.parametrize("is_default", [False, True])
def test_split_entities_are_judged_when_they_are_whole(split, source, monkeypatch, is_default):
    if is_default:
        monkeypatch.setenv("AMB_NGSI_SPLIT_ENTITIES", "1")
    asked = {} if is_default else {"splitEntities": "true"}
    response = split.get("/entities", params=BOTH | asked)
    assert response.status_code == 200, response.text
    assert [one["id"] for one in response.json()] == ["urn:ngsi-ld:Bus:1"]
    assert response.headers["ngsild-results-count"] == "1"
    assert set(response.json()[0]) == {"id", "type", "line", "speed"}
    assert "q" not in source.asked[-1].parameters
    document = {"type": "Query", "entities": [{"type": "Bus"}], "q": BOTH["q"], "splitEntities": True}
    found = split.post("/entityOperations/query", json=document)
    assert [one["id"] for one in found.json()] == ["urn:ngsi-ld:Bus:1"]


def test_whole_entities_are_judged_where_they_are(split, source):
    source.on("GET", "/entities", (200, []))
    response = split.get("/entities", params=BOTH | {"splitEntities": "false"})
    assert response.json() == []
    assert source.asked[-1].parameters["q"] == BOTH["q"]


def test_split_entities_page_by_page(split):
    pages = [
        split.get("/entities", params={"type": "Bus", "splitEntities": "true", "limit": 2, "offset": offset})
        for offset in (0, 2)
    ]
    assert [[one["id"][-1] for one in page.json()] for page in pages] == [["1", "2"], ["3"]]
    assert 'rel="next"' in pages[0].headers["link"]
    assert 'rel="next"' not in pages[1].headers["link"]


def test_split_and_linked_entities_do_not_go_together(split):
    asked = {"type": "Bus", "q": "owner{age}>1", "join": "inline", "splitEntities": "true"}
    response = split.get("/entities", params=asked)
    assert (response.status_code, response.json()["type"].rpartition("/")[2]) == (403, "TooComplexQuery")


def test_split_entities_is_true_or_false(split):
    response = split.get("/entities", params={"type": "Bus", "splitEntities": "perhaps"})
    assert (response.status_code, response.json()["type"].rpartition("/")[2]) == (400, "BadRequestData")


def test_split_entities_has_no_meaning_here_alone(split, source):
    before = len(source.asked)
    response = split.get("/entities", params={"type": "Bus", "splitEntities": "true", "local": "true"})
    assert len(response.json()) == 3
    assert len(source.asked) == before
