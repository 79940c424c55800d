from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from amb247.context.domain.places import LEVELS, cell_of, cell_ranges

LON = st.floats(-180, 180)
LAT = st.floats(-90, 90)


def boxes(size):
    def make(lon, lat, wide, high):
        return (lon, lat, min(lon + wide, 180.0), min(lat + high, 90.0))

    return st.builds(make, LON, LAT, st.floats(0, size), st.floats(0, size))


def touch(a, b):
    return a[0] <= b[2] and b[0] <= a[2] and a[1] <= b[3] and b[1] <= a[3]


def may_touch(cell, box):
    ranges, around = cell_ranges(box)
    return cell in around or any(low <= cell <= high for low, high in ranges)


@given(boxes(1), boxes(1))
def test_boxes_that_touch_are_found(thing, window):
    if touch(thing, window):
        assert may_touch(cell_of(*thing), window)


@given(boxes(90), boxes(0.2))
def test_large_things_are_found_in_small_windows(thing, window):
    if touch(thing, window):
        assert may_touch(cell_of(*thing), window)


@given(boxes(0.01), boxes(0.001))
def test_what_a_whole_region_away_is_left_out(thing, window):
    """Otherwise the index would help nobody."""
    far = abs(thing[0] - window[0]) > 1 or abs(thing[1] - window[1]) > 1
    lies_in_a_small_quad = cell_of(*thing) & 0xFFFF
    if far and lies_in_a_small_quad:
        assert not may_touch(cell_of(*thing), window)


def test_a_step_within_a_street_keeps_the_number():
    assert cell_of(-73.1198, 7.1254, -73.1198, 7.1254) == cell_of(-73.1199, 7.1255, -73.1199, 7.1255)


def test_numbers_fit_a_bigint():
    assert 0 < cell_of(180, 90, 180, 90) < 2**63
    assert cell_of(-180, -90, 180, 90) == 1 << (2 * LEVELS)
