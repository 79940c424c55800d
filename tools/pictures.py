"""Make the pictures of the README with a real browser, from a platform that is running with the demonstration city.

    ./amb up                                    # in one terminal
    ./amb pictures                              # in another, or: python tools/pictures.py --url http://localhost:8247

Signs in with the account of `demo-accounts.json` in the data directory. PNGs go to docs/pictures/, with fewer colours
where Pillow is installed, else as the browser made them.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright
from playwright.sync_api import Error as BrowserError

from amb247.site.paths import data_directory
from amb247.site.testing import browser as find_browser

TARGET = Path(__file__).resolve().parent.parent / "docs" / "pictures"
ACCOUNT = "admin@amb.example"
WIDE, PHONE = (1440, 900), (390, 844)
FLAGS = (
    "--no-sandbox",  # root in a container has no user namespace
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
)
READY_MS = 60_000
COLOURS = 192


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--url", default=f"http://localhost:{os.environ.get('AMB_PORT', '8247')}")
    parser.add_argument("--data", type=Path, default=data_directory(), help="data directory of that platform")
    parser.add_argument("--only", nargs="*", choices=[name for name, *_ in PICTURES], help="just these")
    chosen = parser.parse_args()
    chromium = find_browser()
    if chromium is None:
        print("No hay Chromium. Debian: sudo apt install chromium, o AMB_CHROMIUM=/ruta.", file=sys.stderr)
        return 70
    accounts = chosen.data / "demo-accounts.json"
    try:
        password = json.loads(accounts.read_text())[ACCOUNT]
    except (OSError, ValueError, KeyError) as problem:
        print(f"{accounts}: {problem}. ¿Está en marcha ./amb up con ese directorio?", file=sys.stderr)
        return 70
    TARGET.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        try:
            state = signed_in(browser, chosen.url, password)
            for name, size, is_public, take in PICTURES:
                if chosen.only and name not in chosen.only:
                    continue
                with page_of(browser, chosen.url, size, None if is_public else state) as page:
                    take(page)
                    save(page.screenshot(), TARGET / f"{name}.png")
        except BrowserError as problem:
            print(f"El navegador no pudo: {str(problem).splitlines()[0]}", file=sys.stderr)
            return 1
        finally:
            browser.close()
    return 0


def signed_in(browser: Browser, url: str, password: str) -> Any:
    """Cookies of a person who may see everything."""
    with page_of(browser, url, WIDE, None) as page:
        page.goto("/cuenta/login/")
        page.fill("input[name=login]", ACCOUNT)
        page.fill("input[name=password]", password)
        page.click("main button[type=submit]")
        page.wait_for_url("**/centro/**", timeout=READY_MS)
        return page.context.storage_state()


@contextmanager
def page_of(browser: Browser, url: str, size: tuple[int, int], state: Any) -> Iterator[Page]:
    context = browser.new_context(
        base_url=url,
        viewport={"width": size[0], "height": size[1]},
        locale="es-CO",
        timezone_id="America/Bogota",
        reduced_motion="reduce",
        storage_state=state,
    )
    try:
        yield context.new_page()
    finally:
        context.close()


def portal(page: Page) -> None:
    page.goto("/")
    page.wait_for_selector("main.portal .figures")


def centre(page: Page) -> None:
    page.goto("/centro/")
    wait_for_map(page)


def thing(page: Page) -> None:
    """The drawer of a bus on the road: state, history, chart."""
    page.goto("/centro/?capas=vehicle&estado=ok")
    wait_for_map(page)
    page.locator("a[data-thing^='Vehicle:']").first.click()
    page.wait_for_selector("time-chart", timeout=READY_MS)
    page.locator("time-chart").first.scroll_into_view_if_needed()
    page.wait_for_timeout(4_000)


def feeds(page: Page) -> None:
    page.goto("/fuentes/")
    page.wait_for_selector("main table")


def gtfs(page: Page) -> None:
    """The version in service, with what the validator says about it."""
    page.goto("/movilidad/gtfs/")
    page.wait_for_selector("main")
    version = page.locator("main a[href^='/movilidad/gtfs/demo/']").first
    if version.count():
        version.click()
        page.wait_for_load_state("load")


def territory(page: Page) -> None:
    page.goto("/territorio/")
    page.wait_for_selector("main")


def wait_for_map(page: Page) -> None:
    """The first picture is drawn; then the moving things have had a moment to arrive."""
    page.wait_for_selector("city-map[data-ready='1']", timeout=READY_MS)
    page.wait_for_timeout(6_000)


Take = Callable[[Page], None]
# name, size, whether it is taken without signing in, how
PICTURES: tuple[tuple[str, tuple[int, int], bool, Take], ...] = (
    ("portal", WIDE, True, portal),
    ("centro", WIDE, False, centre),
    ("centro-movil", PHONE, False, centre),
    ("cosa", WIDE, False, thing),
    ("fuentes", WIDE, False, feeds),
    ("gtfs", WIDE, False, gtfs),
    ("territorio", WIDE, False, territory),
)


def save(taken: bytes, path: Path) -> None:
    """The picture with few colours when Pillow is there: a third of the bytes, no difference to see at this size."""
    smaller = quantised(taken)
    body = min(taken, smaller, key=len) if smaller else taken
    path.write_bytes(body)
    print(f"{path.relative_to(TARGET.parent.parent)}  {len(body) / 1000:.0f} kB")


def quantised(taken: bytes) -> bytes | None:
    try:
        from PIL import Image
    except ImportError:
        return None
    with Image.open(io.BytesIO(taken)) as picture:
        few = picture.convert("RGB").quantize(colors=COLOURS, dither=Image.Dither.NONE)
        out = io.BytesIO()
        few.save(out, "PNG", optimize=True)
    return out.getvalue()


if __name__ == "__main__":
    raise SystemExit(main())
