"""What the content policy must let through for sign-in by OIDC."""

from __future__ import annotations

import pytest

from amb247.site.web.policy import content_policy

pytestmark = pytest.mark.unit


def form_action() -> str:
    return next(part for part in content_policy().split("; ") if part.startswith("form-action"))


def test_forms_go_nowhere_else_by_default(settings):
    settings.OIDC_URL = ""

    assert form_action() == "form-action 'self'"


def test_sign_in_form_may_end_at_the_oidc_provider(settings):
    settings.OIDC_URL = "https://id.example/realms/amb"

    assert form_action() == "form-action 'self' https://id.example"
