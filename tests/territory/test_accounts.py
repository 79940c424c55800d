from __future__ import annotations

import base64
import hashlib
import hmac
import struct
import time

import pytest
from django.core.cache import cache
from factories import territory as make

from amb247.territory import models
from amb247.territory.accounts import masked

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

SECRET = "cerro-alto-92-rio"


@pytest.fixture(autouse=True)
def fresh_limits():
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def ana():
    return models.User.objects.create_user("ana@prueba.example", SECRET, full_name="Ana", language="en")


def sign_in(client, email="ana@prueba.example", password=SECRET):
    return client.post("/cuenta/login/", {"login": email, "password": password}, HTTP_USER_AGENT="Firefox")


def last() -> models.AuditEntry:
    return models.AuditEntry.objects.latest("id")


def test_signing_in_and_out_is_audited(client, ana):
    assert sign_in(client).status_code == 302
    line = last()
    assert (line.actor, line.verb, line.ip, line.user_agent) == (ana, "account.login", "127.0.0.1", "Firefox")
    client.post("/cuenta/logout/")
    assert (last().actor, last().verb) == (ana, "account.logout")
    assert "_auth_user_id" not in client.session


def test_a_failed_sign_in_is_audited_without_the_password(client, ana):
    sign_in(client, password="adivino")
    line = last()
    assert (line.verb, line.actor, line.object_urn) == (
        "account.login_failed",
        None,
        f"urn:ngsi-ld:Person:{ana.pk}",
    )
    assert line.details == {"email": "a•••@prueba.example"}
    assert "adivino" not in str(models.AuditEntry.objects.values())


def test_a_stranger_gets_the_same_answer(client, ana):
    known, unknown = sign_in(client, password="adivino"), sign_in(client, email="nadie@prueba.example")
    assert known.status_code == unknown.status_code == 200
    assert last().object_urn == ""


def test_guessing_is_limited_and_audited(client, ana):
    for _attempt in range(6):
        sign_in(client, password="adivino")
    assert last().verb == "account.login_limited"
    assert sign_in(client).status_code == 200
    assert "_auth_user_id" not in client.session


def test_nobody_signs_up(client, db):
    client.get("/cuenta/signup/")
    client.post("/cuenta/signup/", {"email": "x@prueba.example", "password1": SECRET, "password2": SECRET})
    assert models.User.objects.count() == 0


def test_somebody_suspended_cannot_sign_in(client, ana):
    models.User.objects.update(is_active=False)
    sign_in(client)
    assert "_auth_user_id" not in client.session


def test_the_persons_language_comes_to_a_new_browser(client, ana):
    assert sign_in(client).cookies["django_language"].value == "en"


@pytest.mark.parametrize(("cookie", "kept"), [("es", "es"), ("fr", "en"), ("x" * 99, "en")])
def test_the_browsers_language_is_kept_for_the_person(client, ana, cookie, kept):
    client.cookies["django_language"] = cookie
    sign_in(client)
    ana.refresh_from_db()
    assert ana.language == kept


def test_a_changed_password_is_audited(client, ana):
    sign_in(client)
    client.post(
        "/cuenta/password/change/",
        {"oldpassword": SECRET, "password1": "otra-clave-92-rio", "password2": "otra-clave-92-rio"},
    )
    ana.refresh_from_db()
    assert ana.check_password("otra-clave-92-rio")
    verbs = set(models.AuditEntry.objects.values_list("verb", flat=True))
    assert {"account.login", "account.set_password", "account.password_changed"} <= verbs


def test_a_second_factor_is_set_up_asked_for_and_audited(client, ana, django_capture_on_commit_callbacks):
    sign_in(client)
    url = "/cuenta/2fa/totp/activate/"
    client.post("/cuenta/reauthenticate/", {"password": SECRET})
    secret = client.get(url).context["form"].secret
    with django_capture_on_commit_callbacks(execute=True):
        client.post(url, {"code": totp(secret)})
    assert models.AuditEntry.objects.filter(verb="account.totp_activated", actor=ana).count() == 1

    client.post("/cuenta/logout/")
    assert sign_in(client)["Location"].startswith("/cuenta/2fa/authenticate/")
    assert "_auth_user_id" not in client.session
    cache.clear()  # a code serves once
    client.post("/cuenta/2fa/authenticate/", {"code": totp(secret)})
    assert client.session["_auth_user_id"] == str(ana.pk)
    assert last().verb == "account.login"


def totp(secret: str) -> str:
    """The code of RFC 6238 for now."""
    counter = struct.pack(">Q", int(time.time()) // 30)
    digest = hmac.new(base64.b32decode(secret), counter, hashlib.sha1).digest()
    start = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[start : start + 4])[0] & 0x7FFFFFFF) % 1_000_000:06d}"


@pytest.mark.parametrize(
    ("given", "shown"),
    [("ana@prueba.example", "a•••@prueba.example"), ("mi clave", "•••"), ("", "•••"), ("@", "•••@")],
)
def test_addresses_are_masked(given, shown):
    assert masked(given) == shown


def test_users_of_tests_have_no_password(client):
    sign_in(client, email=make.user("b@prueba.example").email, password="!")
    assert "_auth_user_id" not in client.session
