"""Metres on a local plane for the city, and noise that depends on nothing but a seed."""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ORIGIN = (-73.122, 7.119)
METRES_PER_DEGREE_LAT = 110574.0
METRES_PER_DEGREE_LON = 111320.0 * math.cos(math.radians(ORIGIN[1]))

_MASK = np.uint64(0xFFFFFFFFFFFFFFFF)


def to_plane(lonlat: object) -> Floats:
    """(…, 2) degrees to metres east and north of the origin; errs under 0.2 % within the city."""
    degrees = np.asarray(lonlat, dtype=np.float64)
    return (degrees - ORIGIN) * (METRES_PER_DEGREE_LON, METRES_PER_DEGREE_LAT)


def to_degrees(metres: object) -> Floats:
    """(…, 2) metres back to longitude and latitude, rounded to 6 decimals (0.1 m)."""
    plane = np.asarray(metres, dtype=np.float64)
    return np.round(plane / (METRES_PER_DEGREE_LON, METRES_PER_DEGREE_LAT) + ORIGIN, 6)


def hashed(seed: int, *keys: object) -> Floats:
    """Uniform [0, 1) numbers that are a pure function of the seed and the keys (arrays broadcast).

    SplitMix64 finaliser over the keys in turn: no state, so a restart or another order gives the same city.
    """
    with np.errstate(over="ignore"):
        value = np.asarray(np.uint64(seed & 0xFFFFFFFF) + np.uint64(0x9E3779B97F4A7C15))
        for key in keys:
            value = value ^ np.asarray(key).astype(np.int64).astype(np.uint64)
            value = value * np.uint64(0xD6E8FEB86659FD93) + np.uint64(0x9E3779B97F4A7C15)
            value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            value = value ^ (value >> np.uint64(31))
    return (value >> np.uint64(11)).astype(np.float64) * (1.0 / (1 << 53))


def waves(seed: int, points: Floats, *, wavelength_m: float, amplitude_m: float) -> Floats:
    """Smooth displacement of points by a few sine waves; small gradients keep polygons from overlapping."""
    rng = np.random.default_rng(seed)
    moved = np.zeros_like(points)
    for _ in range(5):
        angle = rng.uniform(0, 2 * math.pi)
        length = wavelength_m * rng.uniform(0.7, 1.6)
        phase = rng.uniform(0, 2 * math.pi, 2)
        along = (points[..., 0] * math.cos(angle) + points[..., 1] * math.sin(angle)) * (2 * math.pi / length)
        moved[..., 0] += np.sin(along + phase[0])
        moved[..., 1] += np.sin(along + phase[1])
    return points + moved * (amplitude_m / math.sqrt(5))
