"""What a test asks of a page's HTML."""

from __future__ import annotations

from html.parser import HTMLParser

DATA_BLOCKS = {"application/json", "application/ld+json"}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def tags(page: str) -> list[tuple[str, dict[str, str | None]]]:
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return reader.tags


def inline_code(page: str) -> list[str]:
    """Everything that the content policy would block: inline scripts, styles, handlers, script addresses."""
    found = []
    for tag, attributes in tags(page):
        if tag == "style" or (
            tag == "script" and "src" not in attributes and attributes.get("type") not in DATA_BLOCKS
        ):
            found.append(f"<{tag}>")
        for name, value in attributes.items():
            is_address = name in {"href", "src", "action", "formaction"} and (value or "").strip().startswith(
                ("javascript:", "data:text/html")
            )
            if name == "style" or name.startswith("on") or is_address:
                found.append(f"<{tag} {name}={value!r}>")
    return found


def links(page: str) -> set[str]:
    return {attributes["href"] or "" for tag, attributes in tags(page) if tag == "a" and "href" in attributes}
