"""`amb bench notifications`: what subscribers get while some of them are ill and the server is killed.

Work: 200 subscriptions at 20 endpoints, of which 12 are healthy, 2 slow (300 ms), 2 refuse connections, 1 answers 500, 1
answers 400, 2 take the connection and never answer. 1,000 entities in 200 groups, one subscription each (by id, by
pattern, by condition, by watched attribute). First single updates at a fixed rate, whose delay is measured from just
before the update is handed in over HTTP until its notification arrives; then the rest in batches as fast as they are
taken, with the server (interface and delivery in one process) killed by SIGKILL twice. At the end the ill endpoints get well, dead letters are
replayed, and every change must have arrived, those of one entity in order.

Arguments: `--updates 100000 --measured 10000 --rate 500 --kills 2`.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

GROUPS, PER_GROUP, ENDPOINTS = 200, 5, 20
HEALTHY, SLOW, REFUSING, FAULTY, DECLINING, HANGING = (
    range(12),
    range(12, 14),
    range(14, 16),
    (16,),
    (17,),
    range(18, 20),
)
WRITERS = 16
PATH = "/ngsi-ld/v1"
BATCH = 50
KIND_OF = {
    number: kind
    for kind, numbers in {
        "slow": SLOW,
        "refuse": REFUSING,
        "500": FAULTY,
        "400": DECLINING,
        "hang": HANGING,
    }.items()
    for number in numbers
}

RECEIVER = r"""
import asyncio, json, sys, time
import httptools, uvloop
kinds = json.loads(sys.argv[1]); port = int(sys.argv[2]); second = int(sys.argv[3])
well, seen = False, []
class Receiver(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.parser, self.body, self.url = transport, httptools.HttpRequestParser(self), [], b""
    def data_received(self, data): self.parser.feed_data(data)
    def on_url(self, url): self.url = url
    def on_body(self, body): self.body.append(body)
    def on_message_complete(self):
        global well
        body, self.body = b"".join(self.body), []
        path = self.url.decode()
        if path == "/heal":
            well = True
            asyncio.get_running_loop().create_task(asyncio.get_running_loop().create_server(Receiver, "127.0.0.1", second))
            return self.answer(200)
        if path == "/count": return self.answer(200, str(len(seen)).encode())
        if path == "/report": return self.answer(200, json.dumps(seen).encode())
        endpoint = int(path.rsplit("/", 1)[1])
        kind = None if well else kinds.get(str(endpoint))
        if kind == "hang": return
        if kind in ("500", "400"): return self.answer(int(kind))
        if kind == "slow": asyncio.get_running_loop().call_later(0.3, self.take, endpoint, body)
        else: self.take(endpoint, body)
    def take(self, endpoint, body):
        now = time.time()
        for entity in json.loads(body)["data"]:
            seen.append((endpoint, entity["id"], entity["n"]["value"], entity["sent"]["value"], now))
        self.answer(200)
    def answer(self, status, body=b""):
        if self.transport.is_closing(): return
        self.transport.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))
async def main():
    server = await asyncio.get_running_loop().create_server(Receiver, "127.0.0.1", port)
    print("ready", flush=True)
    await server.serve_forever()
uvloop.run(main())
"""

SERVER = r"""
import sys
import django; django.setup()
import uvicorn
from amb247.context.delivery.service import service
from amb247.context.rest.app import ngsi_app
from amb247.kernel.collector import calm_collector
calm_collector()
service.start()
class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        print("ready", flush=True)
Server(uvicorn.Config(ngsi_app(), host="127.0.0.1", port=int(sys.argv[1]), log_level="error", access_log=False,
                      lifespan="off")).run()
"""


def main(arguments: list[str]) -> dict[str, dict[str, object]]:
    parser = argparse.ArgumentParser("notifications")
    parser.add_argument("--updates", type=int, default=100_000)
    parser.add_argument("--measured", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=500)
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--patience", type=float, default=300)
    options = parser.parse_args(arguments)
    from amb247.kernel.engine import open_engine

    with tempfile.TemporaryDirectory(prefix="amb-bench-") as folder:
        Path(folder).chmod(0o755)
        engine = None if os.environ.get("AMB_DATABASE_URL") else open_engine(Path(folder))
        if engine is not None:
            os.environ["AMB_DATABASE_URL"] = engine.url
        os.environ |= {
            "AMB_DATA": folder,
            "DJANGO_SETTINGS_MODULE": "amb247.site.settings",
            "AMB_NGSI_OPEN": "1",
        }
        try:
            return run(options)
        finally:
            if engine is not None:
                engine.stop()
                del os.environ["AMB_DATABASE_URL"]


def run(options: argparse.Namespace) -> dict[str, dict[str, object]]:
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    torture = Torture(options)
    try:
        return torture.run()
    finally:
        torture.end()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


def entity_id(group: int, number: int) -> str:
    return f"urn:ngsi-ld:Thing:g{group:03d}:{number}"


class Torture:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.receiver_port, self.closed_port, self.server_port = free_port(), free_port(), free_port()
        self.server: subprocess.Popen[str] | None = None
        self.receiver: subprocess.Popen[str] | None = None
        self.is_up = threading.Event()
        self.counts = [0] * (GROUPS * PER_GROUP)  # entity -> last value handed in
        self.acknowledged = 0
        self.lock = threading.Lock()
        self.rng = random.Random(1)
        self.subscriptions: list[str] = []

    # --- parts ----------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        kinds = json.dumps({str(number): kind for number, kind in KIND_OF.items()})
        self.receiver = started(RECEIVER, kinds, str(self.receiver_port), str(self.closed_port))
        from amb247.context import api
        from amb247.context.domain import subscriptions
        from amb247.context.jsonld.context import CORE

        api.prepare_ahead()
        now = time.time()
        api.upsert(
            [
                self.entity(g * PER_GROUP + k, 0, now) | {"group": {"type": "Property", "value": g}}
                for g in range(GROUPS)
                for k in range(PER_GROUP)
            ]
        )
        for group in range(GROUPS):
            self.subscriptions.append(
                subscriptions.create(
                    {
                        "type": "Subscription",
                        **self.choice(group),
                        "notification": {"endpoint": {"uri": self.uri(group % ENDPOINTS), "timeout": 2000}},
                    },
                    CORE,
                    given=None,
                )
            )
        self.start_server()

    def choice(self, group: int) -> dict[str, object]:
        ways: list[dict[str, object]] = [
            {"entities": [{"type": "Thing", "id": [entity_id(group, k) for k in range(PER_GROUP)]}]},
            {"entities": [{"type": "Thing", "idPattern": f"^urn:ngsi-ld:Thing:g{group:03d}:"}]},
            {"entities": [{"type": "Thing"}], "q": f"group=={group}"},
            {"entities": [{"type": "Thing"}], "q": f"group=={group};n>=0", "watchedAttributes": ["n"]},
        ]
        return ways[group // ENDPOINTS % 4]

    def uri(self, endpoint: int) -> str:
        port = self.closed_port if endpoint in REFUSING else self.receiver_port
        return f"http://127.0.0.1:{port}/e/{endpoint}"

    def start_server(self) -> None:
        self.server = started(SERVER, str(self.server_port))
        self.is_up.set()

    def kill_server(self) -> None:
        assert self.server is not None
        self.is_up.clear()
        self.server.send_signal(signal.SIGKILL)
        self.server.wait()
        self.start_server()

    def end(self) -> None:
        for process in (self.server, self.receiver):
            if process is not None:
                process.kill()
                process.wait()
                assert process.stdout is not None
                process.stdout.close()

    def used_s(self) -> dict[str, float]:
        """Seconds of processor that the parts have used: our own, the server's, the receivers' and PostgreSQL's."""
        import psutil

        def used(process: psutil.Process) -> float:
            try:
                times = process.cpu_times()
                return float(times.user + times.system)
            except psutil.Error:
                return 0.0

        assert self.server is not None
        assert self.receiver is not None
        return {
            "driver": used(psutil.Process()),
            "server": used(psutil.Process(self.server.pid)),
            "receivers": used(psutil.Process(self.receiver.pid)),
            "PostgreSQL": sum(
                used(one)
                for one in psutil.process_iter(["name"])
                if one.info["name"] in {"postgres", "embedded-postgres"}
            ),
        }

    def ask(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.receiver_port}/{path}", timeout=60) as answer:
            return bytes(answer.read())

    # --- updates --------------------------------------------------------------------------------------------------

    def entity(self, index: int, value: int, sent: float) -> dict[str, object]:
        return {
            "id": entity_id(*divmod(index, PER_GROUP)),
            "type": "Thing",
            "n": {"type": "Property", "value": value},
            "sent": {"type": "Property", "value": sent},
            "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [-73.1, 7.1]}},
        }

    def hand_in(self, updates: int, *, batch: int, rate: float | None) -> None:
        """Each writer has its own entities; what was not acknowledged is handed in again."""
        threads = [
            threading.Thread(target=self.writer, args=(number, updates // WRITERS, batch, rate))
            for number in range(WRITERS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def writer(self, number: int, updates: int, batch: int, rate: float | None) -> None:
        mine = list(range(number, len(self.counts), WRITERS))
        rng = random.Random(number)
        connection = None
        began = time.perf_counter()
        done = 0
        while done < updates:
            chosen = rng.sample(mine, min(batch, updates - done))
            for index in chosen:
                self.counts[index] += 1
            if rate is not None:
                due = began + (done + rng.random()) * WRITERS / rate
                time.sleep(max(0.0, due - time.perf_counter()))
            connection = self.deliver(connection, chosen)
            done += len(chosen)
            with self.lock:
                self.acknowledged += len(chosen)
        if connection is not None:
            connection.close()

    def deliver(self, connection, chosen: list[int]):
        """Hand in one update (PATCH of attributes) or a batch over HTTP, until it is acknowledged."""
        while True:
            try:
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", self.server_port, timeout=30)
                    connection.connect()
                    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                now = time.time()
                entities = [self.entity(index, self.counts[index], now) for index in chosen]
                headers = {"Content-Type": "application/json"}
                if len(entities) == 1:
                    name = entities[0].pop("id")
                    body = {key: entities[0][key] for key in ("n", "sent")}
                    connection.request("PATCH", f"{PATH}/entities/{name}/attrs", json.dumps(body), headers)
                else:
                    connection.request(
                        "POST", f"{PATH}/entityOperations/update", json.dumps(entities), headers
                    )
                answer = connection.getresponse()
                text = answer.read()
                assert answer.status == 204, text
            except (OSError, http.client.HTTPException):
                if connection is not None:
                    connection.close()
                connection = None
                self.is_up.wait(30)
                time.sleep(0.02)
            else:
                return connection

    # --- the whole ------------------------------------------------------------------------------------------------

    def run(self) -> dict[str, dict[str, object]]:
        options = self.options
        began = time.perf_counter()
        self.begin()
        time.sleep(1.5)  # the engine has the lock and its subscriptions
        measured_from = time.time()
        load_before, cpu_before = os.getloadavg()[0], cpu_times()
        used_before = self.used_s()
        self.hand_in(options.measured, batch=1, rate=options.rate)
        measured_to = time.time()
        used = {name: used_s - used_before[name] for name, used_s in self.used_s().items()}
        spent = measured_to - measured_from
        busy = busy_share(cpu_before, cpu_times())
        time.sleep(1.0)
        rest = max(0, options.updates - options.measured)
        killer = threading.Thread(target=self.kill_now_and_then, args=(options.measured, rest, options.kills))
        killer.start()
        fast = time.perf_counter()
        self.hand_in(rest, batch=BATCH, rate=None)
        fast = time.perf_counter() - fast
        killer.join()
        healthy_to = self.wait_for(set(HEALTHY) | set(SLOW), options.patience)
        self.ask("heal")
        drained = self.wait_for(set(range(ENDPOINTS)), options.patience, replays=True)
        seen = json.loads(self.ask("report"))
        lost, duplicates, disorder = self.judge(seen)
        delays = sorted(
            (now - sent) * 1000
            for endpoint, _, value, sent, now in seen
            if endpoint in HEALTHY and value and measured_from <= sent <= measured_to
        )
        cuts = statistics.quantiles(delays, n=100) if len(delays) > 1 else [0.0] * 99
        print(
            f"measured: {options.measured} updates at {options.measured / spent:.0f}/s; processor: "
            + ", ".join(f"{name} {used_s / spent:.0%}" for name, used_s in used.items()),
            file=sys.stderr,
        )
        print(
            f"updates {self.acknowledged}, notifications {len(seen)}, lost {lost}, duplicates {duplicates}, out of order "
            f"{disorder}, kills {options.kills}, delay p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms, greatest "
            f"{max(delays, default=0):.1f} ms at {options.rate:g}/s (machine {busy:.0%} busy, load before "
            f"{load_before:.1f}); {rest} updates taken at {rest / max(fast, 1e-9):.0f}/s; healthy drained {healthy_to:.1f} s "
            f"after, all {drained:.1f} s after recovery; {time.perf_counter() - began:.0f} s in all",
            file=sys.stderr,
        )
        return {
            "notifications lost": figure(lost, ""),
            "per-entity order violated": figure(disorder, ""),
            "duplicates (same id sent again)": figure(duplicates, ""),
            "notifications": figure(len(seen), ""),
            f"delay at {options.rate:g} updates/s, p50": figure(cuts[49], "ms"),
            f"delay at {options.rate:g} updates/s, p99": figure(
                cuts[98], "ms", "Orion-LD, 2 + 8 CPU, mean", 632.0
            ),
        }

    def kill_now_and_then(self, begin: int, rest: int, kills: int) -> None:
        for number in range(kills):
            while self.acknowledged < begin + rest * (number + 1) / (kills + 1):
                time.sleep(0.01)
            self.kill_server()

    def wait_for(self, endpoints: set[int], patience: float, *, replays: bool = False) -> float:
        """Until these endpoints have got the last value of each of their entities; how long that took."""
        began = time.perf_counter()
        wanted = {
            entity_id(*divmod(index, PER_GROUP)): value
            for index, value in enumerate(self.counts)
            if value and index // PER_GROUP % ENDPOINTS in endpoints
        }
        while time.perf_counter() - began < patience:
            if replays:  # what fails in the very moment of recovery becomes a dead letter after it
                self.replay()
            got: dict[str, set[int]] = defaultdict(set)
            for _, name, value, _, _ in json.loads(self.ask("report")):
                got[name].add(value)
            if all(len(got[name] - {0}) >= value for name, value in wanted.items()):
                break
            time.sleep(0.5)
        return time.perf_counter() - began

    def replay(self) -> None:
        from amb247.context.domain import subscriptions

        for one in self.subscriptions:
            subscriptions.replay(one)

    def judge(self, seen: list[tuple[int, str, int, float, float]]) -> tuple[int, int, int]:
        """Lost, duplicates, out of order. What was given up and replayed (the 400 endpoint) may come late."""
        got: dict[tuple[int, str], list[int]] = defaultdict(list)
        for endpoint, name, value, _, _ in seen:
            got[endpoint, name].append(value)
        lost = duplicates = disorder = 0
        for index, last in enumerate(self.counts):
            group, number = divmod(index, PER_GROUP)
            endpoint = group % ENDPOINTS
            values = got.get((endpoint, entity_id(group, number)), [])
            firsts = list(dict.fromkeys(value for value in values if value))
            lost += len(set(range(1, last + 1)) - set(firsts))
            duplicates += len(values) - len(set(values))
            if endpoint not in DECLINING:
                disorder += sum(later < earlier for earlier, later in pairwise(firsts))
        return lost, duplicates, disorder


def started(script: str, *arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def cpu_times() -> tuple[int, int]:
    with Path("/proc/stat").open() as lines:
        parts = [int(part) for part in lines.readline().split()[1:]]
    return sum(parts), parts[3] + parts[4]


def busy_share(before: tuple[int, int], after: tuple[int, int]) -> float:
    total = after[0] - before[0]
    return 1 - (after[1] - before[1]) / total if total else 0.0


def figure(
    value: float, unit: str, peer: str | None = None, peer_value: float | None = None
) -> dict[str, object]:
    ratio = peer_value / value if peer_value is not None and value else None
    return {"value": value, "unit": unit, "peer": peer, "peer_value": peer_value, "ratio": ratio}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:]), indent=1))
