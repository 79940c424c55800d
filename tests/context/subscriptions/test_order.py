"""The order of one entity's changes, against what really happened."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amb247.context.data import Cursor
from amb247.context.delivery.feed import Notable, Order

pytestmark = pytest.mark.unit
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def change(tx: int, seq: int, entity: str, version: int) -> Notable:
    return Notable(Cursor(tx, seq), NOW, "updated", entity, ["Lamp"], version, "{}", "{}", "{}")


def told(changes) -> list[int]:
    return [one.version for one in changes]


@given(st.data())
def test_portions_of_a_feed_with_overlapping_transactions(data):
    """Changes happen in one order, transactions are numbered in another, and some are hidden by one that still runs."""
    entities = data.draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=25))
    numbers = data.draw(st.permutations(range(len(entities))))
    versions: dict[str, int] = {}
    happened = []
    for seq, (entity, tx) in enumerate(zip(entities, numbers, strict=True)):
        versions[entity] = versions.get(entity, 0) + 1
        happened.append(change(tx + 1, seq + 1, entity, versions[entity]))
    order, out, position = Order(), [], 0
    committed = sorted(data.draw(st.sets(st.integers(1, len(happened)), max_size=5)) | {len(happened)})
    for count in committed:  # how many have been committed when somebody looks
        visible = happened[:count]
        hidden = [one.position.tx for one in happened[count:]]
        horizon = min(hidden, default=len(happened) + 1)
        portion = sorted(
            (one for one in visible if position < one.position.tx < horizon), key=lambda one: one.position
        )
        if not portion:
            continue
        position = portion[-1].position.tx
        latest = max(one.position.seq for one in portion)
        gaps = order.gaps(portion)
        portion += [
            one
            for one in visible
            if one.entity_id in gaps and one.position.tx > position and one.position.seq < latest
        ]
        out += order.sort(portion)
    for entity in "abc":
        assert told(one for one in out if one.entity_id == entity) == list(
            range(1, versions.get(entity, 0) + 1)
        )


def test_portions_follow_each_other():
    order = Order()
    assert told(order.sort([change(1, 1, "a", 1), change(2, 2, "a", 2)])) == [1, 2]
    following = [change(3, 4, "a", 4), change(4, 3, "a", 3)]
    assert order.gaps(following) == []
    assert told(order.sort(following)) == [3, 4]
    assert order.gaps([change(5, 5, "a", 1)]) == []  # counted anew: what was known of it was removed
    assert told(order.sort([change(5, 5, "a", 1)])) == [1]


def test_straggler_is_fetched_early_and_not_told_twice():
    order = Order()
    order.sort([change(1, 1, "a", 1)])
    full = [change(2, 2, "b", 1), change(3, 4, "a", 3)]
    assert order.gaps(full) == ["a"]
    assert told(one for one in order.sort([*full, change(4, 3, "a", 2)]) if one.entity_id == "a") == [2, 3]
    assert order.gaps([change(4, 3, "a", 2)]) == []
    assert order.sort([change(4, 3, "a", 2)]) == []


def test_an_entity_known_from_before_the_start():
    changes = [change(1, 12, "a", 8), change(2, 11, "a", 7), change(3, 13, "a", 9)]
    assert Order().gaps(changes) == ["a"]
    assert told(Order().sort(changes)) == [7, 8, 9]
