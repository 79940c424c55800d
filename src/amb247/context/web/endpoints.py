"""Where things are sent or asked, as it may be shown: nothing that opens a door."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

HIDDEN: Final = "•••"
# Of a notifier's settings these are no secrets.
PLAIN_SETTINGS: Final = frozenset({"MQTT-Version", "MQTT-QoS"})


def safe_uri(uri: str) -> str:
    """Where it goes, without who it says to be: no user, no password, no values of the query."""
    try:
        parts = urlsplit(uri)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return HIDDEN
    host = f"[{host}]" if ":" in host else host
    user = f"{HIDDEN}@" if parts.username is not None else ""
    query = (
        "&".join(f"{part.partition('=')[0]}={HIDDEN}" for part in parts.query.split("&"))
        if parts.query
        else ""
    )
    return urlunsplit((parts.scheme, f"{user}{host}{port}", parts.path, query, ""))


def safe_text(text: str, uri: str) -> str:
    """A message that may quote the endpoint."""
    return text.replace(uri, safe_uri(uri)) if uri else text


def without_secrets(document: dict[str, Any]) -> dict[str, Any]:
    """The subscription as it may be shown: values of receiverInfo and unknown settings of the notifier are hidden."""
    notification = document["notification"]
    endpoint = dict(notification["endpoint"])
    endpoint["uri"] = safe_uri(str(endpoint["uri"]))
    for name, plain in (("receiverInfo", frozenset[str]()), ("notifierInfo", PLAIN_SETTINGS)):
        if name in endpoint:
            endpoint[name] = [
                pair if pair.get("key") in plain else {**pair, "value": HIDDEN} for pair in endpoint[name]
            ]
    return {**document, "notification": {**notification, "endpoint": endpoint}}
