"""Each parallel worker of the tests has a PostgreSQL server of its own; pytest loads this before Django's settings.

A transaction that a test holds open holds back the change feed of every database on its server (decision 0005), so that
workers on one server would wait for each other.
"""

from __future__ import annotations

import os

urls = os.environ.get("AMB_TEST_URLS", "").split()
worker = os.environ.get("PYTEST_XDIST_WORKER", "")
if urls and worker.startswith("gw"):
    os.environ["AMB_DATABASE_URL"] = urls[int(worker[2:]) % len(urls)]
