from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings as site
from django.db import connection
from django.utils import translation


@pytest.hookimpl(trylast=True)  # after the shuffling
def pytest_collection_modifyitems(items):
    """Whole platforms and browsers first: a worker that took one last would keep the other waiting for minutes."""
    files = {item.path for item in items if item.get_closest_marker("e2e")}
    items.sort(key=lambda item: item.path not in files)


@pytest.fixture(scope="session", autouse=True)
def static_root():
    """WhiteNoise warns about a folder that is not there yet, and warnings are errors."""
    Path(site.STATIC_ROOT).mkdir(parents=True, exist_ok=True)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """Tests with real transactions end by TRUNCATE, which the audit log refuses; its own test puts that back."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE territory_auditentry DISABLE TRIGGER audit_refuses_truncate")


@pytest.fixture(autouse=True)
def spanish():
    """A request leaves its reader's language behind on the thread; the next test starts in the platform's own."""
    translation.activate(site.LANGUAGE_CODE)


@pytest.fixture(autouse=True)
def quick_passwords(settings):
    """Scrypt is slow on purpose; tests of passwords need the logic, not the cost."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def empty_context(request):
    """The context's own tables are no Django models: what a test really committed in them is cleared here."""
    yield
    marker = request.node.get_closest_marker("django_db")
    if "transactional_db" in request.fixturenames or (marker and marker.kwargs.get("transaction")):
        blocker = request.getfixturevalue("django_db_blocker")
        with blocker.unblock(), connection.cursor() as cursor:
            cursor.execute(
                "TRUNCATE context_entity, context_history, context_hour, context_dirty_hour, context_change, "
                "context_feed_floor"
            )
