from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from amb247.site.settings import database, secret_key

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def no_given_key(monkeypatch):
    monkeypatch.delenv("AMB_SECRET_KEY", raising=False)


def test_the_secret_key_is_made_once_and_readable_by_its_owner_only(tmp_path):
    folder = tmp_path / "data"
    key = secret_key(folder)
    assert len(key) >= 50
    assert secret_key(folder) == key
    assert stat.S_IMODE((folder / "secret_key").stat().st_mode) == 0o600


def test_many_first_starts_at_once_agree_on_the_key(tmp_path):
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(secret_key, [tmp_path] * 32))
    assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]
    assert keys == {(tmp_path / "secret_key").read_text().strip()}


def test_a_given_key_is_used_and_not_written(tmp_path, monkeypatch):
    monkeypatch.setenv("AMB_SECRET_KEY", "dada")
    assert secret_key(tmp_path) == "dada"
    assert list(tmp_path.iterdir()) == []


def test_the_address_of_the_database_may_carry_options():
    found = database("postgresql://ana:cl%40ve@db.example:6432/ciudad?sslmode=require")
    assert [found[name] for name in ("USER", "PASSWORD", "HOST", "PORT", "NAME")] == [
        "ana", "cl@ve", "db.example", "6432", "ciudad",
    ]  # fmt: skip
    assert found["OPTIONS"] == {"sslmode": "require", "application_name": "amb247"}


def settings_with(**environment: str) -> dict:
    """Settings as another process reads them."""
    names = (
        "ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_HSTS_SECONDS",
        "DEBUG", "SOCIALACCOUNT_PROVIDERS", "SECURE_PROXY_SSL_HEADER",
    )  # fmt: skip
    code = (
        "import json; from amb247.site import settings as s; "
        f"print(json.dumps({{n: getattr(s, n, None) for n in {names!r}}}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_a_public_https_address_makes_cookies_secure():
    found = settings_with(AMB_PUBLIC_URL="https://ciudad.example/")
    assert found["CSRF_TRUSTED_ORIGINS"] == ["https://ciudad.example"]
    assert "ciudad.example" in found["ALLOWED_HOSTS"]
    assert found["SESSION_COOKIE_SECURE"]
    assert found["CSRF_COOKIE_SECURE"]
    assert found["SECURE_HSTS_SECONDS"] > 0


def test_by_default_only_this_machine_is_served_and_nothing_is_debugged():
    found = settings_with(AMB_PUBLIC_URL="")
    assert found["ALLOWED_HOSTS"] == ["localhost", "127.0.0.1", "[::1]"]
    assert found["DEBUG"] is False
    assert found["SECURE_PROXY_SSL_HEADER"] is None


def test_sign_in_with_an_outside_provider_is_configured_by_the_environment():
    found = settings_with(AMB_OIDC_URL="https://id.example", AMB_OIDC_CLIENT_ID="amb", AMB_OIDC_SECRET="s")
    app = found["SOCIALACCOUNT_PROVIDERS"]["openid_connect"]["APPS"][0]
    assert (app["client_id"], app["settings"]) == ("amb", {"server_url": "https://id.example"})
