from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection
from django.utils import timezone
from factories import territory as make

from amb247.territory import api, models
from amb247.territory.domain import tokens

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture
def engineer(areas):
    return make.person_with("data_engineer", areas["68001"])


@pytest.fixture
def chief(areas):
    """Who may make tokens for the whole metropolitan area."""
    return make.person_with("data_engineer", areas["AMB"])


def made(owner, scopes=("context:read", "context:write"), area_code="68001", **options):
    return api.create_token("Pasarela", scopes, owner=owner, area_code=area_code, **options)


def test_the_secret_opens_the_token_and_is_kept_nowhere(engineer):
    new = made(engineer)
    assert api.token_from(new.secret) == new.info
    assert new.info.allows("context:write")
    row = models.ApiToken.objects.get()
    secret = new.secret.split("_", 2)[2]
    stored = [str(getattr(row, field.attname)) for field in models.ApiToken._meta.concrete_fields]
    logged = str(list(models.AuditEntry.objects.values()))
    assert not any(secret in text for text in [*stored, logged, repr(new)])


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "amb",
        "amb_",
        "amb__",
        "amb_0123456789_x",
        "x" * 10_000,
        "amb_a\0b_c",
        "otro_0123456789_x",
        "ñ_ñ_ñ",
    ],
)
def test_a_wrong_secret_opens_nothing(engineer, secret):
    made(engineer)
    assert api.token_from(secret) is None


def test_the_right_prefix_with_another_secret_opens_nothing(engineer):
    first, second = made(engineer), made(engineer)
    assert api.token_from(f"amb_{first.info.prefix}_{second.secret.split('_', 2)[2]}") is None


def test_revoked_expired_and_ownerless_tokens_open_nothing(engineer):
    revoked, expired, kept = made(engineer), made(engineer), made(engineer)
    assert api.revoke_token(revoked.info.id, by=engineer)
    assert not api.revoke_token(revoked.info.id, by=engineer)
    models.ApiToken.objects.filter(pk=expired.info.id).update(
        expires_at=timezone.now() - timedelta(seconds=1)
    )
    assert [api.token_from(one.secret) is not None for one in (revoked, expired, kept)] == [
        False,
        False,
        True,
    ]
    models.User.objects.filter(pk=engineer.pk).update(is_active=False)
    assert api.token_from(kept.secret) is None


def test_a_token_can_do_no_more_than_its_owner(engineer, areas):
    with pytest.raises(api.NotAllowed):
        made(engineer, area_code="68276")
    with pytest.raises(api.NotAllowed):
        made(make.person_with("operator", areas["68001"]))
    with pytest.raises(api.TokenScopeRefused):
        made(engineer, scopes=["people:manage"])
    with pytest.raises(api.TokenScopeRefused):
        made(engineer, scopes=[])


@pytest.mark.parametrize(
    "options",
    [{"area_code": None}, {"organisation_id": 1}, {"expires_at": timezone.now() - timedelta(days=1)}],
)
def test_a_token_needs_one_place_and_a_future(engineer, options):
    with pytest.raises(api.TerritoryError):
        made(engineer, **options)


def test_a_token_needs_a_name(engineer):
    with pytest.raises(api.TerritoryError):
        api.create_token(" ", ["context:read"], owner=engineer, area_code="68001")


def test_tenants_and_types_are_kept_and_audited(chief):
    new = made(
        chief,
        tenants=["beta", "alfa", "beta"],
        entity_types=["Streetlight", "https://smartdatamodels.org/dataModel.Weather/WeatherObserved"],
    )
    assert new.info.tenants == {"alfa", "beta"}
    assert new.info.entity_types == {
        "Streetlight",
        "https://smartdatamodels.org/dataModel.Weather/WeatherObserved",
    }
    assert api.token_from(new.secret) == new.info
    limits = {"tenants": ["alfa", "beta"], "entity_types": sorted(new.info.entity_types)}
    assert models.AuditEntry.objects.latest("id").after == {
        "name": "Pasarela",
        "prefix": new.info.prefix,
        "scopes": ["context:read", "context:write"],
        **limits,
    }
    api.revoke_token(new.info.id, by=chief)
    assert models.AuditEntry.objects.latest("id").details == {
        "name": "Pasarela",
        "prefix": new.info.prefix,
        **limits,
    }


def test_without_limits_a_token_is_of_the_city_and_of_all_types(engineer):
    new = made(engineer)
    assert (new.info.tenants, new.info.entity_types) == (frozenset(), frozenset())
    after = models.AuditEntry.objects.latest("id").after
    assert (after["tenants"], after["entity_types"]) == ([], [])


@pytest.mark.parametrize("scopes", [["context:read"], ["context:write"]])
def test_who_holds_a_part_of_the_territory_opens_no_tenant(engineer, scopes):
    """A tenant lies nowhere in the territory: whoever answers for a part of it alone has no say there."""
    with pytest.raises(api.TokenLimitRefused):
        made(engineer, scopes=scopes, tenants=["alfa"])
    assert not models.ApiToken.objects.exists()


def test_which_tenants_a_token_enters(chief):
    city, other = made(chief).info, made(chief, tenants=["alfa"]).info
    assert [city.enters(name) for name in ("", "alfa", "Alfa")] == [True, False, False]
    assert [other.enters(name) for name in ("", "alfa", "Alfa", "alf")] == [False, True, False, False]


@pytest.mark.parametrize("name", ["a", "0", "A.b_c-d", "x" * 100])
def test_a_tenants_name(chief, name):
    assert made(chief, tenants=[name]).info.tenants == {name}


@pytest.mark.parametrize(
    "name", ["", " ", "-a", ".a", "_a", "a b", "a/b", "a\n", "a\0", "ñandú", "a;b", 'a"b', "x" * 101]
)
def test_a_wrong_tenants_name_is_refused(chief, name):
    with pytest.raises(api.TokenLimitRefused):
        made(chief, tenants=["alfa", name])
    assert not models.ApiToken.objects.exists()
    assert not models.AuditEntry.objects.filter(verb="token.create").exists()


@pytest.mark.parametrize(
    "name", ["Streetlight", "https://x.example/~a#B?c=d&e=%20", "urn:x:Ñandú", "T" * 512]
)
def test_a_type(engineer, name):
    assert made(engineer, entity_types=[name]).info.entity_types == {name}


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "a b",
        "a\tb",
        "a\u00a0b",
        "a\n",
        "a\0",
        "a\x1b",
        "a\u200bb",
        "\ud800",
        "'",
        'a"b',
        "a\\b",
        "T" * 513,
    ],
)
def test_a_wrong_type_is_refused(engineer, name):
    with pytest.raises(api.TokenLimitRefused):
        made(engineer, entity_types=[name])
    assert not models.ApiToken.objects.exists()


@pytest.mark.parametrize("kind", ["tenants", "entity_types"])
def test_at_most_fifty_tenants_and_types(chief, kind):
    fifty = [f"n{number}" for number in range(50)]
    assert getattr(made(chief, **{kind: [*fifty, "n0"]}).info, kind) == set(fifty)
    with pytest.raises(api.TokenLimitRefused):
        made(chief, **{kind: [*fifty, "n50"]})


@pytest.mark.parametrize("kind", ["tenants", "entity_types"])
def test_the_database_refuses_more_than_fifty(engineer, kind):
    token = models.ApiToken.objects.filter(pk=made(engineer).info.id)
    with pytest.raises(IntegrityError, match="token_names_few_tenants_and_types"):
        token.update(**{kind: [f"n{number}" for number in range(51)]})


def test_rows_of_the_release_before_are_without_limits(chief):
    info = made(chief, tenants=["alfa"], entity_types=["A"]).info
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO territory_apitoken (name, prefix, digest, scopes, owner_id, area_id, created_at) "
            "SELECT name, 'otra', digest, scopes, owner_id, area_id, created_at FROM territory_apitoken WHERE id = %s",
            [info.id],
        )
    before = tokens.as_info(models.ApiToken.objects.get(prefix="otra"))
    assert (before.tenants, before.entity_types) == (frozenset(), frozenset())


def test_where_a_token_holds(engineer):
    token = made(engineer, scopes=["context:read"]).info
    assert api.token_allows(token, "context:read")
    assert api.token_allows(token, "context:read", "68001-01-001")
    assert not api.token_allows(token, "context:read", "68276")
    assert not api.token_allows(token, "context:read", "nowhere")
    assert not api.token_allows(token, "context:write", "68001")
    models.Role.objects.filter(user=engineer).update(valid_to=timezone.now())
    assert not api.token_allows(token, "context:read", "68001")


def test_the_last_use_is_written_once_a_minute(engineer, django_assert_num_queries):
    secret = made(engineer).secret
    api.token_from(secret)
    with django_assert_num_queries(1):
        api.token_from(secret)
    assert models.ApiToken.objects.get().last_used_at is not None


def test_others_tokens_are_seen_and_revoked_by_who_manages_the_place_only(engineer, areas):
    token = made(engineer).info
    colleague = make.person_with("data_engineer", areas["68001"])
    elsewhere = make.person_with("administrator", areas["68276"])
    chief = make.person_with("administrator", areas["68001"])
    assert [bool(tokens.tokens_for(one)) for one in (engineer, colleague, elsewhere, chief)] == [
        True, False, False, True,
    ]  # fmt: skip
    for other in (colleague, elsewhere):
        with pytest.raises(api.NotAllowed):
            api.revoke_token(token.id, by=other)
    assert api.revoke_token(token.id, by=chief)
    assert models.AuditEntry.objects.latest("id").verb == "token.revoke"
