from __future__ import annotations

import contextlib
import socket
import time

import pytest
from factories.servers import pages

from amb247.context.adapters.remote_contexts import reader as module
from amb247.context.adapters.remote_contexts.reader import ALLOW, fetch, is_public
from amb247.context.ngsi_errors import BadRequestData, LdContextNotAvailable

GOOD = b'{"@context": {"a": "https://example.org/a"}, "extra": 1}'


@pytest.fixture
def site(monkeypatch):
    with pages() as served:
        monkeypatch.setenv(ALLOW, f"other.example, 127.0.0.1:{served.port}")
        yield served


def test_document_is_read_without_what_stands_beside_it(site):
    found = fetch(site.put("/a", GOOD, Cache_Control="max-age=120"))
    assert found.document == {"@context": {"a": "https://example.org/a"}}
    assert found.kept_s == 120


def test_plain_text_and_redirects_are_followed(site):
    site.put("/a", GOOD, media="text/plain; charset=utf-8")
    site.put("/r2", b"", status=302, Location="/a")
    assert fetch(site.put("/r1", b"", status=301, Location=site.url("/r2"))).document["@context"]
    page = site.put(
        "/page", b"<html>", media="text/html", Link='</a>; rel="alternate"; type="application/ld+json"'
    )
    assert fetch(page).document["@context"]


@pytest.mark.parametrize(
    ("body", "options", "reason"),
    [
        (b"{}", {}, "no @context"),
        (b"[]", {}, "no @context"),
        (b"nonsense", {}, "no JSON"),
        (b"<html>", {"media": "text/html"}, "not JSON"),
        (GOOD, {"status": 500}, "answers 500"),
        (GOOD, {"status": 404}, "answers 404"),
        (b'{"@context": "' + b"x" * 1_000_001 + b'"}', {}, "larger"),
        (GOOD, {"Content_Encoding": "gzip"}, "compressed"),
        (b"", {"status": 302, "Location": "/x"}, "redirected"),
        (b"", {"status": 302, "Location": "file:///etc/passwd"}, "no http"),
        (b"", {"status": 302, "Location": "http://localhost:1/"}, "inside the network"),
        (b"", {"status": 302, "Location": "http://169.254.169.254/latest/meta-data"}, "inside the network"),
    ],
)
def test_what_is_no_context_is_not_available(site, body, options, reason):
    url = site.put("/x", body, **options)
    with pytest.raises((LdContextNotAvailable, BadRequestData), match=reason):
        fetch(url)


def test_a_server_that_drips_is_left_after_the_time(site, monkeypatch):
    monkeypatch.setattr(module, "MAX_SECONDS", 0.5)

    def drip(handler):
        with contextlib.suppress(OSError):
            handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
            for _ in range(100):
                handler.wfile.write(b"X-Wait: yes\r\n")
                time.sleep(0.1)

    site.pages["/slow"] = drip
    begun = time.monotonic()
    with pytest.raises(LdContextNotAvailable, match="did not come"):
        fetch(site.url("/slow"))
    assert time.monotonic() - begun < 1.5


def test_without_permission_loopback_is_refused_by_every_spelling(monkeypatch):
    monkeypatch.delenv(ALLOW, raising=False)
    with pages() as served:
        served.put("/a", GOOD)
        for host in (
            "127.0.0.1",
            "localhost",
            "127.1",
            "2130706433",
            "0x7f.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "0.0.0.0",
        ):
            with pytest.raises(LdContextNotAvailable, match=r"inside the network|not known|reached"):
                fetch(served.url("/a", host))
        assert served.asked == []


def test_the_judged_address_is_the_one_connected_to(monkeypatch):
    """A name server that says a public address first and loopback later is asked only once."""
    answers = iter(["93.184.216.34", "127.0.0.1"])
    connected = []

    def lookup(_host, port, **_options):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    def connect(_self, host, *_args, **_options):
        connected.append(host)
        raise module.httpcore.ConnectError("no network here")

    monkeypatch.delenv(ALLOW, raising=False)
    monkeypatch.setattr(module.socket, "getaddrinfo", lookup)
    monkeypatch.setattr(module.httpcore.SyncBackend, "connect_tcp", connect)
    with pytest.raises(LdContextNotAvailable, match="cannot be reached"):
        fetch("https://rebinding.example/context.jsonld")
    assert connected == ["93.184.216.34"]


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("239.1.1.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("ff02::1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:93.184.216.34", True),
        ("::127.0.0.1", False),
        ("2002:7f00:1::", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::5db8:d822", True),
        ("nonsense", False),
    ],
)
def test_public_addresses(address, public):
    assert is_public(address) is public


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "http:///x",
        "ftp://example.org/",
        "http://a b/",
        "http://exa\nmple.org/",
        "http://x:99999/",
        "http://x:0/",
        "http://é.example/",
    ],
)
def test_bad_urls_are_refused(url):
    with pytest.raises(BadRequestData):
        fetch(url)


def test_urls_with_a_password_are_refused():
    with pytest.raises(LdContextNotAvailable, match="password"):
        fetch("http://user:secret@example.org/")
