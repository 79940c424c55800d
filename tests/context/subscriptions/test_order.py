"""The order of one entity's changes, against what really happened; and the index of subscriptions, against asking each."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amb247.context.data import Cursor
from amb247.context.delivery.feed import Notable, Order

pytestmark = pytest.mark.unit
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def change(place: int, entity: str, version: int, op: str = "updated") -> Notable:
    return Notable(Cursor(place, 1), NOW, op, entity, ["Lamp"], version, "{}", "{}", "{}")


def lives(draw_ops):
    """The versions and operations of an entity that is made, changed, deleted and made again."""
    version, alive, out = 0, False, []
    for wants_delete in draw_ops:
        if not alive:
            version, alive, op = version + 1, True, "created"
        elif wants_delete:
            version, alive, op = version + 1, False, "deleted"
        else:
            version, op = version + 1, "updated"
        out.append((version, op))
    return out


@given(st.data())
def test_exchanged_neighbours_are_put_right(data):
    """Transactions that overlap may stand the wrong way round in the feed, entity by entity."""
    true: list[tuple[str, int, str]] = []
    histories = {
        name: lives(data.draw(st.lists(st.booleans(), min_size=1, max_size=12))) for name in ("a", "b")
    }
    queues = {name: list(history) for name, history in histories.items()}
    while any(queues.values()):
        name = data.draw(st.sampled_from([name for name, queue in queues.items() if queue]))
        true.append((name, *queues[name].pop(0)))
    seen = list(true)
    for _ in range(data.draw(st.integers(0, 4))):
        if len(seen) > 1:
            at = data.draw(st.integers(0, len(seen) - 2))
            seen[at], seen[at + 1] = seen[at + 1], seen[at]
    order = Order()
    out = order.sort([change(place, *row) for place, row in enumerate(seen)])
    for name, history in histories.items():
        assert [(one.version, one.op) for one in out if one.entity_id == name] == history


def test_portions_follow_each_other():
    order = Order()
    order.sort([change(1, "a", 1, "created"), change(2, "a", 2)])
    assert [one.version for one in order.sort([change(3, "a", 3), change(4, "a", 4, "deleted")])] == [3, 4]
    assert [one.version for one in order.sort([change(5, "a", 1, "created")])] == [1]


def test_straggler_is_fetched_early_and_not_told_twice():
    order = Order()
    order.sort([change(1, "a", 1, "created")])
    full = [change(2, "b", 1, "created"), change(3, "a", 3)]
    assert order.gaps(full) == ["a"]
    fetched = [*full, change(4, "a", 2)]
    assert [one.version for one in order.sort(fetched) if one.entity_id == "a"] == [2, 3]
    assert order.sort([change(4, "a", 2)]) == []


def test_an_entity_known_from_before_the_start_is_taken_as_it_comes():
    order = Order()
    assert [one.version for one in order.sort([change(1, "a", 8), change(2, "a", 7), change(3, "a", 9)])] == [
        7,
        8,
        9,
    ]
