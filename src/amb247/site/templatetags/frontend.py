"""Tags that tie templates to the built front end and to the icons.

The build (frontend/) writes `static/dist/manifest.json`; its files carry a hash in their names and refer to each
other by relative addresses, so their addresses must not be hashed a second time by a static files storage.
"""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from typing import Any

from django import template
from django.conf import settings
from django.templatetags.static import static
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

register = template.Library()
logger = logging.getLogger(__name__)

DIST = Path(__file__).resolve().parent.parent / "static" / "dist"

Manifest = dict[str, dict[str, Any]]

_lock = threading.Lock()
_known: tuple[float, Manifest] | None = None


def manifest() -> Manifest:
    """The build's manifest, read again when the file changes. Empty, with a logged error, when nothing is built."""
    global _known  # noqa: PLW0603 - one manifest per process
    path = DIST / "manifest.json"
    try:
        changed = path.stat().st_mtime
        known = _known
        if known is not None and known[0] == changed:
            return known[1]
        with _lock:
            # Publish it whole: pages are rendered in several threads.
            known = (changed, json.loads(path.read_text(encoding="utf-8")))
            _known = known
        return known[1]
    except (OSError, ValueError) as problem:
        logger.error(
            "the front end is not built (%s): run `./amb up` or `npm run build` in frontend/", problem
        )
        return {}


def chunks(files: Manifest, entry: str) -> list[str]:
    """The manifest keys that `entry` needs at once: what it imports first, itself last."""
    found: list[str] = []

    def walk(key: str) -> None:
        if key in found or key not in files:
            return
        for needed in files[key].get("imports", []):
            walk(needed)
        found.append(key)

    walk(entry)
    return found


def dist_url(file: str) -> str:
    return f"{settings.STATIC_URL}dist/{file}"


@register.simple_tag
def frontend(*entries: str) -> SafeString:
    """Style sheets, module preloads and module scripts of the named entries: `{% frontend "app" "centre" %}`."""
    files = manifest()
    keys: list[str] = []
    for entry in entries:
        keys += [key for key in chunks(files, f"src/entries/{entry}.ts") if key not in keys]
    sheets = dict.fromkeys(sheet for key in keys for sheet in files[key].get("css", []))
    scripts = [files[key]["file"] for key in keys if files[key].get("isEntry")]
    shared = [files[key]["file"] for key in keys if not files[key].get("isEntry")]
    return mark_safe(  # noqa: S308 - joined from escaped parts
        format_html_join("\n", '<link rel="stylesheet" href="{}">', ((dist_url(file),) for file in sheets))
        + format_html_join(
            "\n", '<link rel="modulepreload" href="{}">', ((dist_url(file),) for file in shared)
        )
        + format_html_join(
            "\n", '<script type="module" src="{}"></script>', ((dist_url(file),) for file in scripts)
        )
    )


@register.simple_tag
def frontend_theme() -> SafeString:
    """The small script that sets the theme before the first paint, and the text font ahead of the style sheet."""
    files = manifest()
    theme = files.get("src/entries/theme.ts")
    font = next((entry["file"] for key, entry in files.items() if "inter-latin-wght" in key), None)
    parts = []
    if theme:
        parts.append(format_html('<script src="{}"></script>', dist_url(theme["file"])))
    if font:
        parts.append(
            format_html(
                '<link rel="preload" href="{}" as="font" type="font/woff2" crossorigin>', dist_url(font)
            )
        )
    return mark_safe("\n".join(parts))  # noqa: S308 - joined from escaped parts


@register.simple_tag
def icon(name: str, kind: str = "") -> SafeString:
    """A symbol of `static/site/icons.svg`, silent for screen readers. `kind`: "small", "solid"."""
    return format_html(
        '<svg class="{}" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        f"icon {kind}".strip(),
        static("site/icons.svg"),
        name,
    )


@register.simple_tag
def shape(name: str, css: str = "") -> SafeString:
    """A bare filled shape (severity, state): `{% shape "critical" %}`. Give the colour by the parent or `css`."""
    return format_html(
        '<svg{} viewBox="0 0 24 24" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        format_html(' class="{}"', css) if css else "",
        static("site/icons.svg"),
        name,
    )
