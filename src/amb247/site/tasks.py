"""Background entry points of the platform itself."""

from __future__ import annotations

from django.contrib.sessions.backends.db import SessionStore
from procrastinate.contrib.django import app


@app.periodic(cron="40 8 * * *")
@app.task(queueing_lock="site.clear_sessions")
def clear_sessions(timestamp: int) -> None:  # noqa: ARG001 - procrastinate passes it
    """Delete sessions that have ended (03:40 in Bogotá)."""
    SessionStore.clear_expired()
