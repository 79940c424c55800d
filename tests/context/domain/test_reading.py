"""No read outlasts its limit, however many statements it makes."""

from __future__ import annotations

import time

import pytest
from django.db import connection, transaction

from amb247.context.domain.queries import reading
from amb247.context.ngsi_errors import TooComplexQuery

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def sleep(seconds):
    reading.fetch("SELECT pg_sleep(%s)", [seconds])


@pytest.fixture
def limited(db):
    """This thread's connection as a reading thread's: it ends statements by itself."""
    reading.limit_connection(0.4)
    yield
    reading._here.limited = None
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")


def test_reads_one_after_the_other_share_their_time():
    with reading.until(0.3), reading.reading():
        time.sleep(0.2)
        with reading.reading() as clock:
            clock.check()
            time.sleep(0.15)
            with pytest.raises(TooComplexQuery):
                clock.check()
    with reading.reading() as clock:  # the next has its own
        clock.check()


def test_the_last_statement_has_only_what_is_left(limited):
    began = time.monotonic()
    with pytest.raises(TooComplexQuery), transaction.atomic(), reading.until(0.3):
        with reading.reading():
            sleep(0.2)
        with reading.reading():
            sleep(0.35)
    assert time.monotonic() - began < 0.5


def test_a_connection_has_its_whole_time_again(limited):
    with reading.until(0.3), reading.reading() as clock:
        clock.check()
    reading.limit_connection(0.4)
    with reading.reading():
        sleep(0.35)


def test_the_shorter_limit_counts():
    with reading.until(0.2), reading.until(5.0):
        assert reading.time_is_over_at(9.0) - time.monotonic() < 0.3
    assert reading.time_is_over_at(9.0) - time.monotonic() > 8
