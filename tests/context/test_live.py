"""The ring of encoded frames: what clients get, late ones and stalled ones included."""

from __future__ import annotations

import asyncio

import pytest

from amb247.context.data import Cursor
from amb247.context.live import RING_BYTES, Topic, event

pytestmark = pytest.mark.unit


def topic() -> Topic:
    return Topic("t", lambda: (Cursor(0, 0), b"snapshot"))


async def take(stream, count):
    return [await asyncio.wait_for(anext(stream), 5) for _ in range(count)]


def test_event_is_framed_as_the_standard_says():
    assert event("frame", b"{}", Cursor(7, 9)) == b"id: 7-9\nevent: frame\ndata: {}\n\n"
    assert event("beat", b"1") == b"event: beat\ndata: 1\n\n"


def test_first_comes_the_snapshot_then_frames_then_beats():
    async def run():
        subject = topic()
        stream = subject.follow(None, beat_s=0.05)
        assert await take(stream, 1) == [b"snapshot"]
        subject.publish(Cursor(1, 1), b"a")
        subject.publish(Cursor(1, 2), b"b")
        assert await take(stream, 1) == [b"ab"]
        assert (await take(stream, 1))[0].startswith(b"event: beat")
        await stream.aclose()
        assert subject.watchers == 0

    asyncio.run(run())


def test_client_resumes_behind_the_last_event_it_saw():
    async def run():
        subject = topic()
        for number in range(5):
            subject.publish(Cursor(1, number), str(number).encode())
        assert await take(subject.follow(Cursor(1, 2), beat_s=1), 1) == [b"34"]
        assert await take(subject.follow(Cursor(0, 5), beat_s=1), 1) == [b"snapshot"]  # before the ring
        assert await take(subject.follow(Cursor(1, 4), beat_s=0.05), 1) != [b"snapshot"]

    asyncio.run(run())


def test_ring_is_bounded_and_a_stalled_client_gets_the_snapshot():
    async def run():
        subject = topic()
        stream = subject.follow(None, beat_s=1)
        await take(stream, 1)
        frame = b"x" * (RING_BYTES // 10)
        for number in range(25):
            subject.publish(Cursor(1, number), frame)
        assert sum(len(payload) for *_, payload in subject.frames) == subject.ring_bytes <= RING_BYTES
        assert await take(stream, 1) == [b"snapshot"]

    asyncio.run(run())


def test_restart_sends_everybody_the_snapshot():
    async def run():
        subject = topic()
        stream = subject.follow(None, beat_s=5)
        await take(stream, 1)
        waiting = asyncio.create_task(take(stream, 1))
        await asyncio.sleep(0.05)
        subject.restart()
        assert await waiting == [b"snapshot"]

    asyncio.run(run())


def test_waiting_clients_leave_nothing_behind():
    async def run():
        subject = topic()
        stream = subject.follow(None, beat_s=0.01)
        await take(stream, 20)
        assert len(subject._waiting) == 0
        await stream.aclose()

    asyncio.run(run())
