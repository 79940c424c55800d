"""The platform as a newcomer starts and stops it: real processes, a real port."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time

import httpx
import psycopg
import pytest
from factories.platform import Platform
from factories.processes import wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture
def bare():
    platform = Platform("--no-demo")
    yield platform
    platform.close()


@pytest.fixture(scope="module")
def demo():
    platform = Platform("--scale", "0.02").start()
    yield platform
    platform.close()


def ready(platform: Platform) -> dict:
    return httpx.get(f"{platform.url}/health/ready").json()


def database_of(platform: Platform) -> str:
    folder = platform.data / "engine"
    port = json.loads((folder / "port.json").read_text())["port"]
    return f"postgresql://amb:{(folder / 'password').read_text().strip()}@127.0.0.1:{port}/amb"


def test_ctrl_c_ends_everything_and_a_second_start_is_quick(bare):
    bare.start()
    assert ready(bare) == {"ready": True, "problems": []}
    assert bare.interrupt() == 0
    assert wait_until(lambda: bare.remains() == [], 5), bare.remains()
    assert "Plataforma detenida." in bare.said
    assert "Traceback" not in bare.said
    bare.said = ""
    started = time.monotonic()
    bare.start()
    took_s = time.monotonic() - started
    assert ready(bare)["ready"]
    assert took_s < 15, f"5 s are promised on an idle machine; {took_s:.1f} s"


def test_sigterm_ends_everything_too(bare):
    bare.start()
    bare.process.send_signal(signal.SIGTERM)
    assert bare.process.wait(40) == 0
    assert "Plataforma detenida." in bare.said
    assert wait_until(lambda: bare.remains() == [], 5), bare.remains()


def test_kill_of_everything_loses_nothing(bare):
    bare.start()
    with psycopg.connect(database_of(bare)) as connection:
        connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) n")
    bare.kill()
    bare.start()
    assert ready(bare)["ready"]
    with psycopg.connect(database_of(bare)) as connection:
        assert connection.execute("SELECT count(*), sum(n) FROM kept").fetchone() == (1000, 500500)


def test_kill_of_the_server_alone_takes_worker_and_database_along_and_an_instant_start_works(bare):
    bare.start()
    bare.process.kill()
    bare.process.wait()
    bare.said = ""
    bare.start()
    assert ready(bare)["ready"]
    bare.process.kill()
    bare.process.wait()
    assert wait_until(lambda: bare.remains() == [], 25), bare.remains()


def test_a_second_start_on_the_same_port_says_so(demo):
    done = subprocess.run(
        [sys.executable, "-m", "amb247", "up", "--port", str(demo.port)],
        env=demo.environment(), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 70
    assert f"El puerto {demo.port} está ocupado" in done.stderr
    assert ready(demo)["ready"]


def test_the_printed_accounts_sign_in_and_see_what_their_role_allows(demo):
    assert len(demo.accounts()) == 6
    expected = {"admin@amb.example": (200, 200, 200), "consulta@amb.example": (200, 403, 200)}
    for email, codes in expected.items():
        with demo.signed_in(email) as client:
            assert (
                tuple(client.get(page).status_code for page in ("/centro/", "/fuentes/", "/territorio/"))
                == codes
            )


def test_figures_list_and_layers_agree(demo):
    with demo.signed_in("admin@amb.example") as client:
        counts = client.get("/centro/capas.json").json()["counts"]
        for layer in ("streetlight", "camera", "accesspoint"):
            page = client.get("/centro/lista/", params={"capas": layer}).text
            total = int(re.sub(r"\D", "", re.search(r'class="count">\(([^)]+)\)', page).group(1)))
            assert total == sum(counts[layer].values()) > 0, layer


def test_an_operator_of_one_municipality_sees_a_part(demo):
    with demo.signed_in("admin@amb.example") as everything, demo.signed_in("municipio@amb.example") as part:
        all_lamps = everything.get("/centro/capas.json").json()["counts"]["streetlight"]
        some_lamps = part.get("/centro/capas.json").json()["counts"]["streetlight"]
        assert 0 < sum(some_lamps.values()) < sum(all_lamps.values())


def events(client: httpx.Client, number: int, **headers: str) -> list[tuple[str, dict]]:
    """The first events of the stream: name and data."""
    found, name = [], ""
    with client.stream("GET", "/events/city", headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        for line in response.iter_lines():
            if line.startswith("event:"):
                name = line.partition(":")[2].strip()
            elif line.startswith("data:"):
                found.append((name, json.loads(line.partition(":")[2])))
                if len(found) == number:
                    break
    return found


def test_the_stream_begins_with_the_picture_and_then_moves(demo):
    with demo.signed_in("operador@amb.example") as client:
        found = events(client, 4)
    assert found[0][0] == "reset"
    assert found[0][1]["vehicles"]
    assert "frame" in {name for name, _data in found[1:]}
    moved = [data for name, data in found if name == "frame"]
    assert any(frame["vehicles"] or frame["things"] for frame in moved)
    assert all(frame["counts"]["streetlight"] for frame in moved)


def test_the_stream_is_closed_to_the_unknown(demo):
    assert httpx.get(f"{demo.url}/events/city").status_code == 403


def test_logs_are_one_json_object_a_line(demo):
    httpx.get(f"{demo.url}/no-existe/")
    assert wait_until(lambda: '"/no-existe/"' in demo.said, 5)
    lines = [json.loads(line) for line in demo.said.splitlines() if line.startswith("{")]
    line = next(line for line in lines if line.get("path") == "/no-existe/")
    assert (line["logger"], line["method"], line["status"]) == ("amb247.web", "GET", 404)
    assert line["request_id"]


def test_the_server_names_neither_itself_nor_its_version(demo):
    headers = httpx.get(demo.url).headers
    assert "server" not in headers
    assert "x-powered-by" not in headers


def test_a_foreign_host_name_is_refused(demo):
    assert httpx.get(demo.url, headers={"Host": "mal.example"}).status_code == 400


@pytest.mark.parametrize(
    "request_line",
    [b"GET / HTTP/9.9", b"\x16\x03\x01\x02", b"GET /centro/cosa/%00%ff/ HTTP/1.1", b"GET /../../etc/passwd HTTP/1.1",
     b"GET /static/../settings.py HTTP/1.1", b"GET /idioma/?a=%zz HTTP/1.1"],
)  # fmt: skip
def test_broken_requests_never_give_500(demo, request_line):
    import socket

    with socket.create_connection(("127.0.0.1", demo.port), timeout=10) as line:
        line.sendall(request_line + b"\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = line.recv(200)
    status = int(answer.split(b" ")[1]) if answer.startswith(b"HTTP/") else 400
    assert 300 <= status < 500, answer
