"""The list beside the map: the same things, as rows that can be searched, filtered and paged."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from amb247.centre.live.layers import BY_KEY, LAYERS, STATES
from amb247.centre.live.picture import Layer, Picture, short

PAGE = 50


@dataclass(frozen=True)
class Filters:
    """What the reader chose, from the address.

    Parameters
    ----------
    layers : tuple of str
        Layer keys; empty is all.
    state : str
        One of `STATES`, "abnormal" for everything but ok, or empty for all.
    area : str
        Area code, or empty.
    text : str
        Part of a name or identifier, without regard to case and accents.
    page : int
        From 1.
    """

    layers: tuple[str, ...] = ()
    state: str = ""
    area: str = ""
    text: str = ""
    page: int = 1


@dataclass(frozen=True)
class ThingRow:
    """One thing of the list."""

    id: str
    layer: str
    layer_name: str
    state: str
    name: str
    area: str
    seen: datetime | None
    lon: float
    lat: float


@dataclass(frozen=True)
class ThingPage:
    rows: tuple[ThingRow, ...]
    total: int
    page: int
    pages: int


def list_things(
    picture: Picture, filters: Filters, visible: frozenset[str] | None, *, at: Mapping[str, Any] | None = None
) -> ThingPage:
    """A page of things: abnormal ones first, then by layer and identifier.

    `at` is the city at an earlier moment (`moment.city_at`): its states and vehicles then replace those of now.
    """
    earlier = _earlier(at) if at is not None else None
    wanted = [BY_KEY[key] for key in filters.layers if key in BY_KEY] or list(LAYERS)
    found: list[tuple[int, int, str, Layer, int, list[str] | None]] = []
    needle = fold(filters.text)
    with picture.lock:
        for order, spec in enumerate(wanted):
            layer = picture.layers[spec.key]
            mask = picture.mask(layer, visible)
            states = layer.state[: layer.size]
            if earlier is not None:
                states, mask = _states_then(layer, mask, earlier)
            if filters.state == "abnormal":
                mask &= states != 0
            elif filters.state in STATES:
                mask &= states == STATES.index(filters.state)
            if filters.area:
                mask &= picture.area_mask(layer, filters.area)
            rows = np.flatnonzero(mask)
            state_names = [STATES[state] for state in states.tolist()] if earlier is not None else None
            found += [
                (0 if states[row] else 1, order, layer.ids[row], layer, int(row), state_names)
                for row in rows.tolist()
                if not needle or needle in fold(f"{layer.ids[row]} {layer.labels[row]}")
            ]
        found.sort(key=lambda item: item[:3])
        pages = max(1, -(-len(found) // PAGE))
        page = min(max(filters.page, 1), pages)
        chosen = found[(page - 1) * PAGE : page * PAGE]
        rows_shown = tuple(_row(picture, layer, row, names) for *_, layer, row, names in chosen)
    return ThingPage(rows_shown, len(found), page, pages)


def fold(text: str) -> str:
    """Lower case without accents, so that a hurried operator finds "Girón" by "giron"."""
    return "".join(c for c in unicodedata.normalize("NFD", text.lower()) if not unicodedata.combining(c))


def _earlier(at: Mapping[str, Any]) -> dict[int, str]:
    """Key -> state of all vehicles and of all that was abnormal then."""
    return {row[0]: row[4] for row in (*at["vehicles"], *at["abnormal"])}


def _states_then(
    layer: Layer, mask: npt.NDArray[np.bool_], earlier: Mapping[int, str]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    states = np.array(
        [STATES.index(earlier.get(key, "ok")) for key in layer.key[: layer.size].tolist()], np.uint8
    )
    if layer.spec.key == "vehicle":
        mask = mask & np.array([key in earlier for key in layer.key[: layer.size].tolist()], np.bool_)
    return states, mask


def _row(picture: Picture, layer: Layer, row: int, names: list[str] | None) -> ThingRow:
    area = int(layer.area[row])
    seen = float(layer.seen[row])
    identifier = short(layer.ids[row])
    label = layer.labels[row]
    code = identifier.rsplit(":", 1)[-1]
    return ThingRow(
        id=identifier,
        layer=layer.spec.key,
        layer_name=str(layer.spec.name),
        state=names[row] if names is not None else STATES[layer.state[row]],
        name=f"{code} · {label}" if label and label != code else code,
        area=picture.area_names[area] if area >= 0 else "",
        seen=datetime.fromtimestamp(seen, UTC) if seen else None,
        lon=float(layer.lon[row]),
        lat=float(layer.lat[row]),
    )
