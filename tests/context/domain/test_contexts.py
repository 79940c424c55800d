from __future__ import annotations

import time

import orjson
import pytest
from django.db import connection
from factories.servers import pages

from amb247.context.adapters.remote_contexts.reader import ALLOW
from amb247.context.domain import contexts
from amb247.context.domain.contexts import PATH, context_of, delete, host, known, listed, metadata, served
from amb247.context.domain.tenants import ensure, inside
from amb247.context.jsonld.context import CORE
from amb247.context.jsonld.core import CORE_URL
from amb247.context.ngsi_errors import (
    BadRequestData,
    LdContextNotAvailable,
    OperationNotSupported,
    ResourceNotFound,
)

pytestmark = pytest.mark.django_db
EX = "https://example.org/vocab#"


@pytest.fixture(autouse=True)
def nothing_remembered():
    contexts.forget()
    yield
    contexts.forget()


@pytest.fixture
def site(monkeypatch):
    with pages() as served_pages:
        monkeypatch.setenv(ALLOW, "127.0.0.1")
        yield served_pages


def terms(**defined):
    return orjson.dumps({"@context": {term: EX + iri for term, iri in defined.items()}})


def test_core_needs_neither_network_nor_database(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert context_of(None) is CORE
        assert context_of(CORE_URL) is CORE
        assert known("https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.3.jsonld") is CORE


def test_remote_context_is_read_once_and_kept(site):
    url = site.put("/a", terms(speed="speed"))
    first = context_of(url)
    assert first.expand("speed") == EX + "speed"
    assert context_of(url) is first
    contexts.forget()
    assert context_of(url).expand("speed") == EX + "speed"
    assert site.asked == ["/a"]
    assert listed(kind="cached") == [url]
    (details,) = listed(kind="Cached", details=True)
    assert details["numberOfHits"] == 1
    assert details["kind"] == "Cached"
    assert {"URL", "localId", "createdAt", "expiresAt", "lastUsage"} <= set(details)
    assert metadata(url) == metadata(details["localId"])


def test_failure_is_told_and_nothing_is_kept(site):
    url = site.put("/a", b"{}")
    with pytest.raises(LdContextNotAvailable):
        context_of(url)
    assert listed() == []
    site.put("/a", terms(speed="speed"))
    assert context_of(url).expand("speed") == EX + "speed"


def test_page_with_a_broken_term_is_not_kept(site):
    site.put("/good", terms(speed="speed"))
    site.put("/bad", orjson.dumps({"@context": ["/good", {"x": 5}]}))
    with pytest.raises(LdContextNotAvailable):
        context_of(site.url("/bad"))
    assert listed() == []


def test_loops_end(site):
    site.put("/a", b'{"@context": "/b"}')
    site.put("/b", b'{"@context": ["/a"]}')
    with pytest.raises(LdContextNotAvailable, match="itself"):
        context_of(site.url("/a"))


def test_expired_copy_is_read_again_and_serves_while_its_server_is_away(site):
    url = site.put("/a", terms(speed="old"))
    context_of(url)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE context_jsonld SET expires_at = now() - interval '1 second'")
    contexts.forget()
    site.put("/a", b"", status=503)
    assert context_of(url).expand("speed") == EX + "old"
    contexts.forget()
    site.put("/a", terms(speed="new"))
    assert context_of(url).expand("speed") == EX + "new"
    assert len(listed()) == 1


def test_hosted_context_is_used_without_the_network():
    local_id = host({"@context": {"speed": EX + "speed"}, "junk": 1})
    url = f"https://broker.example{PATH}{local_id}"
    assert context_of(url).expand("speed") == EX + "speed"
    assert context_of(url).link == url
    assert served(local_id) == {"@context": {"speed": EX + "speed"}}
    assert metadata(local_id)["kind"] == "Hosted"
    assert listed(kind="Hosted") == [f"http://localhost:8247{PATH}{local_id}"]
    delete(local_id)
    with pytest.raises(LdContextNotAvailable):
        context_of(url)
    with pytest.raises(ResourceNotFound):
        served(local_id)


def test_lists_and_inline_contexts_get_a_link(site):
    one, two = site.put("/1", terms(a="a")), site.put("/2", terms(b="b"))
    context = context_of([one, two])
    (link,) = listed(kind="implicitlyCreated")
    assert context.link == link
    local_id = link.rpartition("/")[2]
    assert served(local_id) == {"@context": [one, two]}
    contexts.forget()
    assert context_of([one, two]).link == link
    again = context_of(link)
    assert (again.expand("a"), again.expand("b")) == (EX + "a", EX + "b")
    assert context_of({"c": EX + "c"}).link != link
    assert context_of([one, CORE_URL]).link == one
    assert len(listed(kind="ImplicitlyCreated")) == 2


def test_cached_ones_are_not_served_but_reloaded(site):
    url = site.put("/a", terms(speed="old"))
    context_of(url)
    with pytest.raises(OperationNotSupported):
        served(url)
    site.put("/a", terms(speed="new"))
    delete(url, reload=True)
    assert context_of(url).expand("speed") == EX + "new"
    site.put("/a", b"", status=500)
    with pytest.raises(LdContextNotAvailable):
        delete(url, reload=True)
    assert context_of(url).expand("speed") == EX + "new"
    delete(url)
    assert listed() == []
    with pytest.raises(LdContextNotAvailable):
        context_of(url)


def test_hosted_ones_cannot_be_reloaded():
    with pytest.raises(BadRequestData):
        delete(host({"@context": {}}), reload=True)


@pytest.mark.parametrize(
    "document",
    [{}, [], 5, {"@context": 5}, {"@context": {"a": 5}}, {"@context": {"a": "https://x.example/\x00"}}],
)
def test_bad_documents_are_not_hosted(document):
    with pytest.raises(BadRequestData):
        host(document)


def test_unknown_ids_and_kinds():
    for call in (served, metadata, delete):
        with pytest.raises(ResourceNotFound):
            call("urn:ngsi-ld:Context:none")
        with pytest.raises(ResourceNotFound):
            call("\x00")
    with pytest.raises(BadRequestData):
        listed(kind="other")


def test_another_process_that_replaces_a_context_is_noticed(site):
    url = site.put("/a", terms(speed="old"))
    context_of(url)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE context_jsonld SET body = %s", [terms(speed="new").decode()])
        contexts._stamp(cursor)
    assert context_of(url).expand("speed") == EX + "old"
    contexts._memory.fresh_until = 0.0
    assert known(url) is None
    assert context_of(url).expand("speed") == EX + "new"


def test_contexts_are_shared_by_tenants(site):
    ensure("tokyo")
    url = site.put("/a", terms(speed="speed"))
    with inside("tokyo"):
        assert context_of(url).expand("speed") == EX + "speed"
    assert listed(kind="Cached") == [url]


def test_least_used_are_dropped(monkeypatch):
    monkeypatch.setitem(contexts.MAX_ROWS, "ImplicitlyCreated", 3)
    monkeypatch.setattr(contexts, "MAX_ENTRIES", 5)
    first = context_of({"a": f"{EX}0"})
    for number in range(8):
        context_of({"a": f"{EX}{number}"})
        assert known({"a": f"{EX}0"}) is first
    assert len(listed()) == 3
    assert len(contexts._memory.entries) == 5


def test_memory_is_bounded_by_terms(monkeypatch):
    monkeypatch.setattr(contexts, "MAX_TERMS", 1_000)
    for number in range(5):
        context_of({f"t{number}x{term}": EX for term in range(400)})
    assert contexts._memory.weight <= 1_000
    assert len(contexts._memory.entries) == 2


def test_known_link_costs_next_to_nothing(site):
    url = site.put("/a", terms(speed="speed"))
    context_of(url)
    begun = time.perf_counter()
    for _ in range(10_000):
        context_of(url)
    assert (time.perf_counter() - begun) / 10_000 < 50e-6
