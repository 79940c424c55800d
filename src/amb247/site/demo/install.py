"""Put the demonstration city into the platform, through the doors that real data use. Safe to run again."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from amb247.context import api as context
from amb247.context.api import FeedHandle
from amb247.mobility import api as mobility
from amb247.site.demo.city import City, build_city
from amb247.site.demo.geography import territory_geojson
from amb247.site.demo.gtfs import write_gtfs
from amb247.site.demo.simulation import Simulation, Step
from amb247.site.demo.things import all_things
from amb247.site.paths import data_directory
from amb247.territory import api as territory
from amb247.territory.data import DemoAccount

BUS_FEED = "demo"
WARM_UP_H = 3.0
SOURCE = "demo"


def marker() -> Path:
    """What is installed: written last, so that an installation cut short is done again."""
    return data_directory() / "demo.json"


def installed() -> dict[str, Any] | None:
    try:
        return dict(json.loads(marker().read_text()))
    except (OSError, ValueError):
        return None


def demo_accounts() -> list[DemoAccount]:
    return list(territory.ensure_demo_accounts(data_directory()))


def ensure_demo_city(*, seed: int, scale: float, say: Callable[[str], None]) -> None:
    """Install the city on the first start; nothing to do later."""
    if installed() is not None:
        return
    started = time.monotonic()
    say("Preparando la ciudad sintética de demostración (solo la primera vez) …")
    city = build_city(seed=seed, scale=scale)
    now = datetime.now(UTC)
    with tempfile.TemporaryDirectory() as folder:
        areas = Path(folder) / "amb-demo.geojson"
        areas.write_bytes(orjson.dumps(territory_geojson(city)))
        territory.import_territory(areas)
        demo_accounts()
        say(f"  territorio listo ({time.monotonic() - started:.0f} s)")
        feed = Path(folder) / "amb-demo.zip"
        write_gtfs(city, feed)
        mobility.import_gtfs(feed, feed=BUS_FEED, name="AMB (demo)", synthetic=True, activate=True)
    say(f"  51 rutas en GTFS ({time.monotonic() - started:.0f} s)")
    things = things_feed()
    total = context.take_entities(
        enumerate(all_things(city, now, observed_at=now - timedelta(hours=WARM_UP_H)), 1),
        feed=things,
        source=SOURCE,
    )
    say(f"  {total.taken:,} cosas de la ciudad ({time.monotonic() - started:.0f} s)".replace(",", "."))
    simulation = Simulation(city)
    for at, step in simulation.warm_up(now, WARM_UP_H):
        take_step(step, at=at, things=things)
    context.roll_up()
    marker().write_text(json.dumps({"seed": seed, "scale": scale, "last_step": now.isoformat()}))
    say(f"Ciudad lista en {time.monotonic() - started:.0f} s.")


def installed_city() -> City:
    """The city that was installed."""
    known = installed()
    if known is None:
        raise RuntimeError("the demonstration city is not installed")
    return build_city(seed=known["seed"], scale=known["scale"])


def note_step(at: datetime) -> None:
    """Remember until when the city's day was told, so that a restart tells what changed meanwhile."""
    known = installed() or {}
    making = marker().with_suffix(".tmp")
    making.write_text(json.dumps(known | {"last_step": at.isoformat()}))
    making.replace(marker())


def last_step() -> datetime | None:
    known = installed()
    return datetime.fromisoformat(known["last_step"]) if known and known.get("last_step") else None


def things_feed() -> FeedHandle:
    return context.feed(
        "demo-things", name="Cosas de la ciudad (demo)", kind="NGSI-LD", synthetic=True, expected_every_s=60
    )


def take_step(step: Step, *, at: datetime, things: FeedHandle) -> None:
    """Hand one step of the simulated day to the adapters: GTFS-Realtime bytes, NGSI-LD entities."""
    if step.vehicle_positions is not None:
        mobility.take_message(step.vehicle_positions, feed=BUS_FEED, received_at=at)
    if step.entities:
        context.take_entities(_numbered(step.entities), feed=things, source=SOURCE)


def _numbered(entities: Iterable[dict[str, Any]]) -> Iterable[tuple[int, dict[str, Any]]]:
    return enumerate(entities, 1)
