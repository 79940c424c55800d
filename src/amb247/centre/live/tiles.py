"""Vector tiles of the street lamps, made on demand from the picture.

Below street level the lamps are thinned evenly, whatever their state: a tile shows where lamps are. How many of them
fail is told by the separate, complete layer of abnormal things.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from threading import Lock

import numpy as np
import numpy.typing as npt

from amb247.centre.live.picture import Picture

EXTENT = 4096
BUFFER = 64
MIN_ZOOM, MAX_ZOOM = 9, 15
# Of how many lamps one is drawn, by zoom; from 14 on all of them are.
KEEP_ONE_OF = {9: 48, 10: 24, 11: 12, 12: 6, 13: 2}
CACHE_TILES = 512

_cache: OrderedDict[tuple[int, int, int, int], bytes] = OrderedDict()
_cache_lock = Lock()


def streetlight_tile(
    picture: Picture, z: int, x: int, y: int, visible: frozenset[str] | None = None
) -> tuple[bytes, int]:
    """A tile with the layer `streetlights`, and the version of the picture it shows.

    Parameters
    ----------
    picture : Picture
    z, x, y : int
        Web Mercator tile, ``9 <= z <= 15`` and ``0 <= x, y < 2**z``.
    visible : frozenset of str, optional
        Municipality codes; None is all.

    Returns
    -------
    bytes, int
        Mapbox Vector Tile; empty when nothing lies there. Feature id is the thing's key, `p` is 1 when lit.

    References
    ----------
    Mapbox Vector Tile Specification 2.1, section 4.
    """
    version = picture.tiles_version
    cache_key = (version, z, x, y) if visible is None else None
    if cache_key is not None:
        with _cache_lock:
            if cache_key in _cache:
                _cache.move_to_end(cache_key)
                return _cache[cache_key], version
    with picture.lock:
        layer = picture.layers["streetlight"]
        rows = np.flatnonzero(picture.mask(layer, visible))
        px, py = _project(layer.lon[rows], layer.lat[rows], z)
        px, py = (px - x) * EXTENT, (py - y) * EXTENT
        inside = (px >= -BUFFER) & (px < EXTENT + BUFFER) & (py >= -BUFFER) & (py < EXTENT + BUFFER)
        inside &= layer.key[rows] % KEEP_ONE_OF.get(z, 1) == 0
        keys, power = layer.key[rows[inside]], layer.power[rows[inside]]
    tile = encode_points(
        "streetlights", keys, np.rint(px[inside]).astype(int), np.rint(py[inside]).astype(int), power
    )
    if cache_key is not None:
        with _cache_lock:
            _cache[cache_key] = tile
            while len(_cache) > CACHE_TILES:
                _cache.popitem(last=False)
    return tile, version


def _project(
    lon: npt.NDArray[np.float64], lat: npt.NDArray[np.float64], z: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    scale = 2.0**z
    sine = np.sin(np.radians(lat))
    return (lon / 360 + 0.5) * scale, (0.5 - np.log((1 + sine) / (1 - sine)) / (4 * math.pi)) * scale


def encode_points(
    name: str,
    keys: npt.NDArray[np.int64],
    px: npt.NDArray[np.int_],
    py: npt.NDArray[np.int_],
    power: npt.NDArray[np.uint8],
) -> bytes:
    """A tile of one layer of points with the boolean-like property `p`; empty bytes for no point."""
    if not len(keys):
        return b""
    body = bytearray(_field(15, 0) + _varint(2) + _text(1, name))
    tags = (_field(2, 2) + b"\x02" + b"\x00\x00", _field(2, 2) + b"\x02" + b"\x00\x01")
    for key, column, line, lit in zip(keys.tolist(), px.tolist(), py.tolist(), power.tolist(), strict=True):
        geometry = b"\x09" + _varint((column << 1) ^ (column >> 63)) + _varint((line << 1) ^ (line >> 63))
        feature = (
            _field(1, 0)
            + _varint(key)
            + tags[lit]
            + _field(3, 0)
            + b"\x01"
            + _field(4, 2)
            + _varint(len(geometry))
            + geometry
        )
        body += _field(2, 2) + _varint(len(feature)) + feature
    body += _text(3, "p")
    for value in (0, 1):
        body += _field(4, 2) + b"\x02" + _field(5, 0) + _varint(value)
    body += _field(5, 0) + _varint(EXTENT)
    return bytes(_field(3, 2) + _varint(len(body)) + body)


def _field(number: int, wire: int) -> bytes:
    return _varint(number << 3 | wire)


def _text(number: int, text: str) -> bytes:
    raw = text.encode()
    return _field(number, 2) + _varint(len(raw)) + raw


def _varint(value: int) -> bytes:
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
