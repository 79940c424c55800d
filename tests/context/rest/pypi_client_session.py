"""What an integrator's program does with `ngsildclient` 0.5.2, which knows nothing of this broker; run in an environment of its own.

Arguments: the port. Prints one JSON object of what the client saw. What the client itself does not do by the standard is told
beside the call.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

from ngsildclient import Client, Entity, SubscriptionBuilder
from ngsildclient.api.constants import AggrMethod
from ngsildclient.api.exceptions import NgsiAlreadyExistsError, NgsiResourceNotFoundError
from ngsildclient.api.helper.temporal import TemporalQuery

HOUR = "2026-11-20T%02d:00:00Z"
received: list[dict] = []


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Be quiet."""


def lamp(number: int, power: float, hour: int = 0) -> Entity:
    entity = Entity("Lamp", f"Lamp:{number}")
    entity.prop("power", power, unitcode="WTT", observedat=HOUR % hour)
    entity.prop("status", "on" if power else "off")
    entity.gprop("location", (7.1 + number / 100, -73.1))
    entity.rel("feeder", "Feeder:1")
    return entity


def raises(kind, work, *arguments) -> bool:
    try:
        work(*arguments)
    except kind:
        return True
    return False


def entities(client: Client) -> dict:
    first = lamp(1, 60.5)
    seen = {
        "created": client.create(first),
        "created again": raises(NgsiAlreadyExistsError, client.entities.create, lamp(1, 1)),
        "exists": client.exists(first),
        "got": client.get(first.id).to_dict(),
        "got none": raises(NgsiResourceNotFoundError, client.get, "Lamp:404"),
    }
    # The client updates an entity by deleting it and creating it anew.
    seen["updated"] = client.update(lamp(1, 80))
    seen["power after update"] = client.get(first.id)["power.value"]
    seen["upserted"] = client.upsert(lamp(1, 90))
    seen["power after upsert"] = client.get(first.id)["power.value"]
    seen["deleted"] = client.delete(first)
    seen["exists after"] = client.exists(first)
    return seen


def batches(client: Client) -> dict:
    many = [lamp(number, number * 10) for number in range(120)]
    created = client.batch.create(many)
    again = client.batch.create([*many[:2], lamp(500, 5)])
    upserted = client.batch.upsert([lamp(3, 333), lamp(501, 1)])
    updated = client.batch.update([lamp(4, 444)])
    deleted = client.batch.delete([lamp(500, 0), lamp(501, 0)])
    return {
        "created": [created.n_ok, created.n_err],
        "created again": [again.n_ok, again.n_err],
        "upserted": upserted.ok,
        "updated": updated.ok,
        "deleted": [deleted.n_ok, deleted.n_err],
        "powers": [client.get(f"Lamp:{number}")["power.value"] for number in (3, 4)],
    }


def queries(client: Client) -> dict:
    return {
        "all": len(client.query(type="Lamp", limit=50)),  # three pages
        "q": [one.id for one in client.query(type="Lamp", q="power>1100")],
        "text": [one.id for one in client.query(q='status=="off"')],
        "count": client.count(type="Lamp", q="power<=100"),
        "head": len(client.query_head(type="Lamp", n=7)),
        "posted": [
            one.id
            for one in client.alt.query({"type": "Query", "entities": [{"type": "Lamp"}], "q": "power==50"})
        ],
        # `_count_alt` sends its JSON without a media type of its own, so `requests` says application/json: right.
        "posted count": client.alt.count(
            {"type": "Query", "entities": [{"type": "Lamp"}], "q": "power>1100"}
        ),
        "types": client.types.list(),
    }


def subscriptions(client: Client) -> dict:
    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    wanted = (
        SubscriptionBuilder(f"http://127.0.0.1:{server.server_port}/told")
        .id("urn:ngsi-ld:Subscription:client")
        .description("Lamps")
        .select_type("Lamp")
        .watch(["power"])
        .build()
    )
    made = client.subscriptions.create(wanted)
    seen = {
        "id": made,
        "exists": client.subscriptions.exists(made),
        "got": client.subscriptions.get(made)["entities"],
        "listed": [one["id"] for one in client.subscriptions.list()],
        "found by description": [one["id"] for one in client.subscriptions.list("lamps")],
    }
    client.batch.update([lamp(7, 777)])
    end = time.monotonic() + 30
    while not received and time.monotonic() < end:
        time.sleep(0.02)
    seen["notified"] = received[:1]
    seen["deleted"] = client.subscriptions.delete("lamps")
    seen["exists after"] = client.subscriptions.exists(made)
    server.shutdown()
    return seen


def past(client: Client) -> dict:
    for hour in range(1, 6):
        client.batch.update([lamp(1, hour * 100, hour)])
    whole = client.temporal.get("Lamp:1", attrs=["power"])
    verbose = client.temporal.get("Lamp:1", attrs=["power"], verbose=True)
    between = TemporalQuery().between(HOUR % 2, HOUR % 4)
    some = client.temporal.query(type="Lamp", attrs=["power"], q="power>=100", tq=between)
    aggregated = client.temporal.aggregate(
        type="Lamp",
        attrs=["power"],
        tq=TemporalQuery().between(HOUR % 1, HOUR % 6),
        methods=[AggrMethod.MAXIMUM, AggrMethod.TOTAL_COUNT],
    ).result
    return {
        "values": whole["power"]["values"],
        "verbose": [one["value"] for one in verbose["power"]],
        "between": {one["id"]: one["power"]["values"] for one in some},
        "aggregated": {one["id"]: one["power"] for one in aggregated},
        # `temporal.alt` cannot run: it names a class that it imports for type checking alone.
    }


def contexts(client: Client) -> dict:
    before = client.contexts.list()
    client.contexts.add(
        {"@context": {"Lamp": "https://example.org/Lamp", "power": "https://example.org/power"}}
    )
    hosted = [one for one in client.contexts.list() if one not in before]
    address = hosted[0]
    name = address.rsplit("/", 1)[1]
    other = Entity("Lamp", "Lamp:ctx", ctx=[address])
    other.prop("power", 5)
    client.create(other)
    seen = {
        "hosted": len(hosted),
        "exists": client.contexts.exists(name),
        "got": client.contexts.get(name),
        "under its words": client.get("Lamp:ctx", ctx=address)["power.value"],
        "type without": client.get("Lamp:ctx").type,
        "deleted": client.contexts.delete(name),
    }
    client.delete(other)
    return seen


def tenants(port: int) -> dict:
    # The client makes a tenant by writing something to it, as the standard wants.
    with Client("127.0.0.1", port, tenant="client", verbose=False) as client:
        client.create(lamp(1, 1))
        return {"lamps": client.count(type="Lamp")}


def main(port: int) -> None:
    with Client("127.0.0.1", port, verbose=False) as client:
        seen = {"connected": client.is_connected(), "entities": entities(client), "batches": batches(client)}
        seen["queries"] = queries(client)
        seen["subscriptions"] = subscriptions(client)
        seen["past"] = past(client)
        seen["contexts"] = contexts(client)
        # `drop` pages through what it is deleting and then divides by the size of an empty page.
        client.batch.delete(client.query(type="Lamp"))
        seen["dropped"] = client.count(type="Lamp")
    seen["tenants"] = tenants(port)
    print(json.dumps(seen))


if __name__ == "__main__":
    main(int(sys.argv[1]))
