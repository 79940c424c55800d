"""No access unless a view says so: all addresses are walked, so that a new one cannot be forgotten."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.urls import URLPattern, get_resolver
from factories import territory as make

from amb247.site.access import person_of_cookie

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

# Everything that opens without an account. Whoever adds a line says why in the review.
PUBLIC = {
    "portal",
    "set_language",
    "account_login",
    "account_logout",
    "account_inactive",
    "account_signup",  # closed: says whom to ask
    "account_email_verification_sent",
    "account_confirm_email",
    "account_confirm_login_code",
    "account_reset_password",
    "account_reset_password_done",
    "account_reset_password_from_key",
    "account_reset_password_from_key_done",
    "mfa_authenticate",  # the second half of signing in
    "socialaccount_login_cancelled",
    "socialaccount_signup",
    "openid_connect_login",
    "openid_connect_callback",
}
# Pages about one's own account need no role.
OWN_ACCOUNT = re.compile(r"^(account_|mfa_|socialaccount_|openid_)")
SAMPLES = {
    "int": "1",
    "str": "68001",
    "slug": "prueba",
    "thing": "Streetlight:prueba:L1",
    "path": "urn:ngsi-ld:Streetlight:prueba:L1",
}


@dataclass(frozen=True)
class Address:
    name: str
    url: str
    is_public: bool


def addresses() -> list[Address]:
    return list(_walk(get_resolver().url_patterns, "", "/"))


def _walk(patterns: list[Any], namespace: str, prefix: str) -> Iterator[Address]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            url = re.sub(r"<(\w+):\w+>", lambda found: SAMPLES[found.group(1)], route)
            url = re.sub(r"\(\?P<\w+>[^)]*\)", "1", url).replace("^", "").replace("$", "")
            yield Address(
                f"{namespace}{pattern.name}", url, not getattr(pattern.callback, "login_required", True)
            )
        else:
            yield from _walk(
                pattern.url_patterns, f"{pattern.namespace}:" if pattern.namespace else namespace, route
            )


def is_refused(response) -> bool:
    if response.status_code == 302:
        return response["Location"].startswith("/cuenta/login/")
    return response.status_code in {401, 403, 405}


def test_the_walk_finds_every_room():
    names = {address.name.split(":")[0] for address in addresses()}
    assert names >= {
        "portal",
        "feeds",
        "centre",
        "context",
        "territory",
        "mobility",
        "account_login",
        "mfa_index",
    }


def test_only_the_listed_addresses_are_public():
    assert {address.name for address in addresses() if address.is_public} == PUBLIC


@pytest.mark.parametrize("method", ["get", "post", "put", "delete"])
def test_the_unknown_get_nowhere_else(client, city, method):
    opened = [
        (address.name, response.status_code)
        for address in addresses()
        if address.name not in PUBLIC and not is_refused(response := getattr(client, method)(address.url))
    ]
    # An old address of allauth's that only leads on to one of the pages above.
    assert [row for row in opened if row[0] != "None"] == []


def test_somebody_without_role_gets_nowhere_either(client, city):
    client.force_login(make.user())
    opened = []
    for address in addresses():
        if (
            address.name in PUBLIC
            or OWN_ACCOUNT.match(address.name)
            or address.name in {"None", "mobility:home"}
        ):
            continue
        for method in ("get", "post"):
            status = getattr(client, method)(address.url).status_code
            # Some pages say "not there" of what one may not see, so that nobody learns what exists.
            if status not in {403, 405, 404}:
                opened.append((address.name, method, status))
    assert opened == []


def test_the_sample_addresses_open_for_the_administrator(client, city):
    """Otherwise the refusals above could be mere 404s."""
    client.force_login(make.person_with("administrator"))
    other = make.person_with("viewer")
    kept_from_all = {
        "centre:tile",
        "centre:thing-by-key",
        "territory:revoke-role",
        "territory:revoke-token",
        "mobility:roll_back",
        "context:registration",
        "context:subscription",
        "context:subscription-act",
        "context:context-act",
    }
    for address in addresses():
        if ":" in address.name and address.name not in kept_from_all | {
            "mobility:home",
            "centre:moment",
            "centre:series",
            "context:series",
            "context:search",
        }:
            url = address.url.replace("/1/", f"/{other.pk}/") if "personas" in address.url else address.url
            assert client.get(url).status_code == 200, address


def test_the_event_stream_knows_people_by_their_session_only(client, city):
    person = make.person_with("viewer")
    client.force_login(person)
    cookie = f"sessionid={client.cookies['sessionid'].value}"
    assert person_of_cookie(f"a=b; {cookie}") == person
    assert person_of_cookie("") is None
    assert person_of_cookie("sessionid=guess") is None
    person.set_password("otra")
    person.save()
    assert person_of_cookie(cookie) is None, "a changed password ends the sessions"


def test_the_event_stream_refuses_the_suspended(client, city):
    person = make.person_with("viewer")
    client.force_login(person)
    cookie = f"sessionid={client.cookies['sessionid'].value}"
    type(person).objects.filter(pk=person.pk).update(is_active=False)
    assert person_of_cookie(cookie) is None
