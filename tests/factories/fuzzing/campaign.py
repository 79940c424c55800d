"""Ask for a while, look after each request at all that must hold, keep every fault with the smallest request that shows it."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

import httpx

from . import documents, hostile
from .asking import BASE, BIG, Asking
from .judging import batch_fault, fault_of
from .ledger import Ledger, Marks
from .neighbours import Neighbours
from .serving import Server, settled_rss
from .shrinking import smallest
from .wire import Gone, Reply, Request, Wire

LIMIT_S = 2.0
ROUND = 600  # requests between two looks at the whole, after which all is emptied
PULSE_S = 0.1
MANY = 10_000  # entities of the big tenant
CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass
class Fault:
    what: str
    request: Request
    reply: Reply | None
    log: str = ""
    curl: str = ""
    times: int = 1

    def __str__(self) -> str:
        answered = (
            ""
            if self.reply is None
            else f"\n  {self.reply.status} in {self.reply.seconds:.2f} s: {self.reply.body[:600]!r}"
        )
        return f"{self.what} [{self.times}x] {self.request.route or self.request.target[:100]!r}{answered}\n  {self.curl[:1_000]}\n  {self.log[-1_500:]}"


@dataclass
class Report:
    seed: int
    sent: int = 0
    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    faults: dict[str, Fault] = field(default_factory=dict)
    rss: list[tuple[float, float]] = field(default_factory=list)  # seconds since the start, MB
    slowest: list[tuple[float, str, str]] = field(default_factory=list)
    longest_pulse_s: float = 0.0
    resent: int = 0

    def growth_mb(self) -> tuple[float, float]:
        """RSS after warm-up (the median of the second quarter of the samples) and at the end (of the last)."""
        sizes = [size for _, size in self.rss]
        quarter = max(len(sizes) // 4, 1)
        early, late = sorted(sizes[quarter : 2 * quarter] or sizes), sorted(sizes[-quarter:])
        return early[len(early) // 2], late[len(late) // 2]

    def __str__(self) -> str:
        early, late = self.growth_mb() if self.rss else (0.0, 0.0)
        shown = ", ".join(f"{status}: {count}" for status, count in sorted(self.statuses.items()))
        slow = "".join(
            f"\n    {seconds:.2f} s {route} {curl[:160]}" for seconds, route, curl in self.slowest[:8]
        )
        faults = "".join(f"\n- {fault}" for fault in self.faults.values())
        return (
            f"seed {self.seed}: {self.sent} requests in {self.seconds:.0f} s, {self.resent} sent again for being slow; "
            f"RSS {self.rss[0][1] if self.rss else 0:.0f} MB at the start, {early:.0f} MB warm, {late:.0f} MB at the end; "
            f"longest wait of another client {self.longest_pulse_s:.2f} s\n  {shown}\n  slowest:{slow}\n  {len(self.faults)} faults{faults}"
        )


class Pulse:
    """Another client beside, which asks for little: nobody's request may hold up everybody's."""

    def __init__(self, port: int) -> None:
        self.wire = Wire(port)
        self.worst = self.longest = 0.0
        self.is_stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        request = Request("GET", f"{BASE}/info/sourceIdentity".encode())
        while not self.is_stopping.wait(PULSE_S):
            began = time.monotonic()
            with suppress(Gone):
                self.wire.ask(request)
            took = time.monotonic() - began
            self.worst, self.longest = max(self.worst, took), max(self.longest, took)

    def taken(self) -> float:
        """The longest wait since this was asked last."""
        worst, self.worst = self.worst, 0.0
        return worst

    def stop(self) -> None:
        self.is_stopping.set()
        self.thread.join(40)
        self.wire.close()


class Campaign:
    """A server, its neighbours, and a seeded stream of requests."""

    def __init__(self, seed: int, say: Callable[[str], None] = lambda _: None) -> None:
        self.seed, self.say = seed, say
        self.neighbours = Neighbours()
        try:
            self.server = Server(contexts_of=self.neighbours.port)
        except BaseException:
            self.neighbours.stop()
            raise
        self.wire = Wire(self.server.port)
        self.pulse = Pulse(self.server.port)
        self.ledger = Ledger(self.server.engine.url)
        self.asking = Asking(self.neighbours)
        self.report = Report(seed)
        self.marks: Marks | None = None
        self.corrected: set[str] = set()
        self.has_sources = False
        self.errors_seen = 0

    def close(self) -> None:
        self.pulse.stop()
        self.wire.close()
        self.ledger.close()
        self.server.stop()
        self.neighbours.stop()

    def run(self, seconds: float, *, requests: int | None = None) -> Report:
        """Ask until the time is over, or so many times."""
        self._furnish(Random(f"{self.seed}:furnish"))
        self._furnish_big(Random(f"{self.seed}:big"))
        began = time.monotonic()
        number = 0
        self.report.rss.append((0.0, settled_rss(self.server)))
        while time.monotonic() - began < seconds and (requests is None or number < requests):
            self.step(Random(f"{self.seed}:{number}"))
            number += 1
            if number % ROUND == 0:
                self._round(Random(f"{self.seed}:{number}:round"))
                self.report.rss.append((time.monotonic() - began, settled_rss(self.server)))
                self.report.seconds = time.monotonic() - began
        self._round(Random(f"{self.seed}:last"))
        self.report.rss.append((time.monotonic() - began, settled_rss(self.server)))
        self.report.seconds = time.monotonic() - began
        self.report.longest_pulse_s = self.pulse.longest
        return self.report

    def step(self, rng: Random) -> None:
        request = self.asking.request(rng)
        what, reply, log = self.probe(request)
        self.report.sent += 1
        if reply is not None:
            self.report.statuses[reply.status] += 1
            self._learn(request, reply)
            if reply.seconds > 0.25 and not request.waits_s:
                self.report.slowest.append((reply.seconds, request.route, request.curl("")))
                self.report.slowest = sorted(self.report.slowest, reverse=True)[:40]
        if what is not None:
            self._keep(what, request, reply, log)

    # --- one request and what must hold after it --------------------------------------------------------------------------

    def probe(self, request: Request) -> tuple[str | None, Reply | None, str]:
        """What is wrong, the answer, and what the server logged meanwhile."""
        is_changing = request.method in CHANGING
        if is_changing and self.marks is None:
            self.marks = self.ledger.marks()
        schema = self.ledger.schema_of(request.tenant)
        is_batch = "batch" in request.about and schema in self.ledger.schemas()
        before = self.ledger.entities(schema) if is_batch else {}
        self.pulse.taken()
        try:
            reply = self.wire.ask(request)
        except Gone as problem:
            self.marks = None
            return (self._gone(problem, request), None, self._log())
        what = fault_of(request, reply, has_sources=self.has_sources)
        if reply.status >= 500 and what is not None:
            time.sleep(0.1)  # the log comes over a pipe
        if is_changing and what is None:
            what = self._state_fault(request, reply)
            if what is None and is_batch:
                what = batch_fault(
                    request, reply, before, self.ledger.entities(schema), has_sources=self.has_sources
                )
        if what is None and max(reply.seconds - request.waits_s, self.pulse.taken()) > LIMIT_S:
            what = self._slow_fault(request)
        log = self._log()
        if what is None and log:
            what = "an error in the log"
        return what, reply, log

    def _state_fault(self, request: Request, reply: Reply) -> str | None:
        before, self.marks = self.marks, None
        if reply.status < 400:
            if "csourceRegistrations" in request.route:
                self.has_sources = True
            return None
        self.marks = self.ledger.marks()
        if before is not None and self.marks != before:
            changed = sorted(
                name for name in before.keys() | self.marks.keys() if before.get(name) != self.marks.get(name)
            )
            return f"refused with {reply.status}, and yet {', '.join(changed)[:200]} changed"
        return None

    def _slow_fault(self, request: Request) -> str | None:
        """Slow each of three times: the first may have been the machine."""
        shortest = 1e9
        for _ in range(2):
            self.report.resent += 1
            self.pulse.taken()
            try:
                seconds = self.wire.ask(request).seconds
            except Gone:
                seconds = 30.0
            shortest = min(shortest, max(seconds - request.waits_s, self.pulse.taken()))
        self.marks = None
        return f"slow: {shortest:.1f} s at best" if shortest > LIMIT_S else None

    def _gone(self, problem: Gone, request: Request) -> str | None:
        if not self.server.is_alive:
            raise RuntimeError(
                f"the server died of {request.curl('')[:2000]}: {self.server.errors[-3:]}"
            ) from problem
        if not request.is_http:
            return None
        try:
            self.wire.ask(request)
        except Gone as again:
            return f"no answer: {again}"
        return None

    def _log(self) -> str:
        errors = self.server.errors[self.errors_seen :]
        self.errors_seen = len(self.server.errors)
        return "\n".join(errors)

    def _keep(self, what: str, request: Request, reply: Reply | None, log: str) -> None:
        kind = _kind(what)
        key = f"{kind} | {_place(log) or request.route}"
        if key in self.report.faults:
            self.report.faults[key].times += 1
            return
        least = smallest(request, lambda one: _kind(self.probe(one)[0] or "") == kind)
        fault = self.report.faults[key] = Fault(
            what, least, reply, log, least.curl(f"http://127.0.0.1:{self.server.port}")
        )
        self.say(f"{self.seed}: {fault}")

    # --- rounds ---------------------------------------------------------------------------------------------------------

    def _learn(self, request: Request, reply: Reply) -> None:
        """Ids that the broker made, for later requests; whose history is no longer what it was."""
        if request.route.startswith(("PATCH /temporal", "DELETE /temporal")) and reply.status < 400:
            self.corrected.add(httpx.URL(request.target.decode("latin-1")).path.split("/")[5])
        for key, pattern in (
            ("instance_id", rb'"instanceId":"([^"]+)"'),
            ("contextId", rb'"localId":"([^"]+)"'),
        ):
            if found := re.findall(pattern, reply.body[:20_000]):
                self.asking.made_ids[key] = [one.decode() for one in found[:10]] + self.asking.made_ids[key][
                    :20
                ]
        if "jsonldContexts" in reply.headers.get("location", ""):
            self.asking.made_ids["contextId"] = [
                reply.headers["location"].rsplit("/", 1)[1],
                *self.asking.made_ids["contextId"][:20],
            ]

    def _round(self, rng: Random) -> None:
        """State, history and feed agree; then everything goes through the door it came in by."""
        for schema in self.ledger.schemas():
            for found in self.ledger.disagreements(schema, corrected=self.corrected)[:5]:
                name = re.sub(r"urn:\S+", "URN", found)[:60]
                self.report.faults.setdefault(
                    name, Fault(f"disagreement in {schema}: {found}", Request("GET", b"/"), None)
                )
                self.say(f"{self.seed}: disagreement in {schema}: {found[:3000]}")
        with httpx.Client(base_url=f"http://127.0.0.1:{self.server.port}{BASE}", timeout=30) as client:
            for tenant in ("", *self.ledger.tenants()):
                self._empty(client, {"NGSILD-Tenant": tenant} if tenant else {})
        rows = {name: count for name, count in self.ledger.rows().items() if "history" not in name and "past" not in name and "change" not in name and "tenant" not in name and "hour" not in name}  # fmt: skip
        if rows:
            self.report.faults.setdefault(
                "left over",
                Fault(f"left over after everything was deleted: {rows}", Request("GET", b"/"), None),
            )
        self.ledger.empty()
        self.corrected.clear()
        self.marks, self.has_sources = None, False
        self._furnish(rng)

    def _empty(self, client: httpx.Client, headers: dict[str, str]) -> None:
        for path in ("csourceRegistrations", "subscriptions", "csourceSubscriptions"):
            while found := client.get(f"/{path}?limit=1000", headers=headers):
                if found.status_code == 404 or not found.json():
                    break
                for one in found.json():
                    client.delete(
                        f"/{path}/{httpx.URL(path='/' + one['id']).raw_path.decode()[1:].replace('/', '%2F')}",
                        headers=headers,
                    )
        client.delete("/entities?local=true", headers=headers)
        if headers:
            return
        for one in client.get("/jsonldContexts?details=true").json():
            client.delete(f"/jsonldContexts/{one['localId']}")

    def _furnish(self, rng: Random) -> None:
        """Something that requests can be about."""
        made = [
            {"id": f"urn:ngsi-ld:{kind}:{number}", "type": kind, "location": documents.instance(rng, "GeoProperty", 0),
             "owner": {"type": "Relationship", "object": documents.known_id(rng)}, **documents.fragment(rng)}
            for kind in documents.KINDS
            for number in range(documents.PER_KIND)
        ]  # fmt: skip
        body = hostile.written(made)
        self.wire.ask(
            Request(
                "POST",
                f"{BASE}/entityOperations/upsert".encode(),
                ((b"Content-Type", b"application/json"),),
                body,
            )
        )
        self.marks = None

    def _furnish_big(self, rng: Random) -> None:
        """Enough that a careless query is slow; with a past for each."""
        headers = ((b"Content-Type", b"application/json"), (b"NGSILD-Tenant", BIG.encode()))
        for first in range(0, MANY, 1_000):
            made = [
                documents.entity(rng) | {"id": f"urn:ngsi-ld:Bus:big:{first + number}", "type": rng.choice(documents.KINDS)}
                | {"speed": {"type": "Property", "value": rng.random() * 100, "observedAt": documents.time(rng)}}
                | {"location": documents.instance(rng, "GeoProperty", 0)}
                for number in range(1_000)
            ]  # fmt: skip
            reply = self.wire.ask(
                Request("POST", f"{BASE}/entityOperations/upsert".encode(), headers, hostile.written(made))
            )
            assert reply.status in {201, 207}, reply.body[:500]  # some published examples are wrong


def _kind(what: str) -> str:
    """A fault's words without what is of this request alone."""
    return re.sub(r"[\d.]+ s|'[^']*'|\[.*", "", what)


def _place(log: str) -> str:
    """Where in our code, or below it, an exception was raised, and which."""
    lines = re.findall(r'File \\?"[^"]*?/(amb247/[^"\\]+)\\?", line (\d+)', log)
    raised = re.findall(r"\\n([\w.]+(?:Error|Exception|Warning|Violation\w*|Full|Timeout))\b", log)
    return f"{':'.join(lines[-1])} {raised[-1] if raised else ''}" if lines else log[:80]


def fuzz(
    seed: int, seconds: float, *, say: Callable[[str], None] = lambda _: None, requests: int | None = None
) -> Report:
    """One campaign from start to end."""
    campaign = Campaign(seed, say)
    try:
        return campaign.run(seconds, requests=requests)
    except Exception as problem:
        state = "runs" if campaign.server.is_alive else f"ended with {campaign.server.process.returncode}"
        raise RuntimeError(
            f"seed {seed}: the server {state}: {campaign.server.errors[-5:]}\n{campaign.report}"
        ) from problem
    finally:
        campaign.close()
