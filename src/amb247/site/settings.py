"""Settings of the platform. Everything has a default that works; the environment changes it (DESIGN 6)."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext_lazy as _
from psycopg.conninfo import conninfo_to_dict

from amb247.kernel import logs
from amb247.site.paths import data_directory

PACKAGE = Path(__file__).resolve().parent.parent


def secret_key(folder: Path) -> str:
    """The key of the environment, else one made once and kept in the data directory, readable by its owner only."""
    if given := os.environ.get("AMB_SECRET_KEY"):
        return given
    path = folder / "secret_key"
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        folder.mkdir(parents=True, exist_ok=True)
        making = folder / f"secret_key.{secrets.token_hex(4)}"
        handle = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(50) + "\n")
        # Linked whole: of several first starts one wins, and none ever reads an empty key.
        with contextlib.suppress(FileExistsError):
            os.link(making, path)
        making.unlink()
        return path.read_text().strip()


def database(url: str) -> dict[str, Any]:
    parts = conninfo_to_dict(url)
    known = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
    settings: dict[str, Any] = {django: parts.pop(name, "") for name, django in known.items()}
    options = {name: value for name, value in parts.items() if value is not None}
    options.setdefault("application_name", "amb247")
    return settings | {
        "ENGINE": "django.db.backends.postgresql",
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": options,
    }


DATA = data_directory()
DEBUG = os.environ.get("AMB_DEBUG") == "1"
SECRET_KEY = secret_key(DATA)
PORT = int(os.environ.get("AMB_PORT", "8247"))
PUBLIC_URL = os.environ.get("AMB_PUBLIC_URL", "").rstrip("/")
BASEMAP_STYLE_URL = os.environ.get("AMB_BASEMAP_STYLE_URL", "")
IS_SECURE = PUBLIC_URL.startswith("https://")

ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]
if PUBLIC_URL:
    ALLOWED_HOSTS.append(urlsplit(PUBLIC_URL).hostname or "")
    CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]

INSTALLED_APPS = [
    "amb247.site",
    "amb247.centre",
    "amb247.mobility",
    "amb247.context",
    "amb247.territory",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "django_htmx",
    "procrastinate.contrib.django",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "amb247.site.web.policy.ContentPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    # Default is no access: a page is public only where its view says so.
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "amb247.site.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "amb247.site.web.context_processors.shell",
            ],
        },
    }
]
WSGI_APPLICATION = None
DATABASES = {"default": database(os.environ.get("AMB_DATABASE_URL", "postgresql://localhost/amb"))}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "territory.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.ScryptPasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "/cuenta/login/"
LOGIN_REDIRECT_URL = "/centro/"
LOGOUT_REDIRECT_URL = "/"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_ADAPTER = "amb247.territory.accounts.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_SESSION_REMEMBER = None
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_ISSUER = "AMB 24/7"
SOCIALACCOUNT_PROVIDERS = {}
OIDC_URL = os.environ.get("AMB_OIDC_URL", "")
if OIDC_URL:
    SOCIALACCOUNT_PROVIDERS["openid_connect"] = {
        "APPS": [
            {
                "provider_id": "oidc",
                "name": os.environ.get("AMB_OIDC_NAME", "OpenID Connect"),
                "client_id": os.environ.get("AMB_OIDC_CLIENT_ID", ""),
                "secret": os.environ.get("AMB_OIDC_SECRET", ""),
                "settings": {"server_url": OIDC_URL},
            }
        ]
    }

LANGUAGE_CODE = "es"
LANGUAGES = [("es", _("Español")), ("en", _("Inglés"))]
LOCALE_PATHS = [PACKAGE / "site" / "locale"]
USE_I18N = True
TIME_ZONE = os.environ.get("AMB_TIME_ZONE", "America/Bogota")
USE_TZ = True
USE_THOUSAND_SEPARATOR = True
FORMAT_MODULE_PATH = ["amb247.site.formats"]

STATIC_URL = "/static/"
STATIC_ROOT = DATA / "static"
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IS_SECURE
SESSION_COOKIE_AGE = 60 * 60 * 12  # a shift
SECURE_SSL_REDIRECT = False  # the reverse proxy does it
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if IS_SECURE else None
SECURE_HSTS_SECONDS = 31_536_000 if IS_SECURE else 0
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
DATA_UPLOAD_MAX_MEMORY_SIZE = 10_000_000
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2_000
FILE_UPLOAD_MAX_MEMORY_SIZE = 5_000_000

EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
LOGGING = logs.configuration(style=os.environ.get("AMB_LOG"), level=os.environ.get("AMB_LOG_LEVEL", "INFO"))
SILENCED_SYSTEM_CHECKS: list[str] = []
