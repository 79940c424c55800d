"""The pages in a real browser, on a small demonstration city: what people see, use and cannot trip over."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from factories.platform import Platform
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from amb247.site.testing import browser as find_browser

pytestmark = pytest.mark.e2e

FLAGS = [
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
]
THEMES = ("light", "grey", "dark")
AXE = Path(__file__).resolve().parents[2] / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
COLOUR_RULES = ["color-contrast", "link-in-text-block"]
PUBLIC = [
    "/",
    "/cuenta/login/",
    "/cuenta/signup/",
    "/cuenta/password/reset/",
    "/cuenta/password/reset/done/",
    "/cuenta/inactive/",
    "/no-existe/",
]
PERSONAL = [
    "/",
    "/centro/",
    "/centro/?capas=camera&estado=fault&q=zzz",
    "/centro/?cosa={vehicle}",
    "/centro/cosa/{vehicle}/",
    "/centro/cosa/{lamp}/",
    "/fuentes/",
    "/fuentes/demo-things/",
    "/contexto/",
    "/contexto/entidades/",
    "/contexto/entidades/?type=Streetlight&lugar=cerca&lat=7.119&lon=-73.122&metros=800",
    "/contexto/entidades/?type=streetlight&q=powerRating==%2270%22",
    "/contexto/entidades/?q=status=ok&lugar=cerca&lat=99",
    "/contexto/entidades/urn:ngsi-ld:{vehicle}",
    "/contexto/entidades/urn:ngsi-ld:{lamp}?atributo=status",
    "/contexto/suscripciones/",
    "/contexto/contextos/",
    "/contexto/registros/",
    "/movilidad/gtfs/",
    "/movilidad/gtfs/subir/",
    "/movilidad/gtfs/demo/1/",
    "/territorio/",
    "/territorio/area/68001/",
    "/territorio/personas/",
    "/territorio/personas/invitar/",
    "/territorio/personas/2/",
    "/territorio/personas/2/acceso/",
    "/territorio/fichas/",
    "/territorio/fichas/nueva/",
    "/territorio/bitacora/",
    "/cuenta/password/change/",
    "/cuenta/email/",
    "/cuenta/2fa/",
    "/cuenta/logout/",
    "/cuenta/3rdparty/",
]


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    if find_browser() is None:
        pytest.skip(
            "NO CHROMIUM: no page was tried in a browser. Debian: apt install chromium, or AMB_CHROMIUM=/path"
        )
    running = Platform("--scale", "0.02").start()
    yield running
    running.close()


@pytest.fixture(scope="module")
def chromium(platform: Platform) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=FLAGS)
        yield browser
        browser.close()


class Watch:
    """What the browser complained of."""

    def __init__(self, context: BrowserContext) -> None:
        self.complaints: list[str] = []
        context.on("console", self._heard)
        context.on("weberror", lambda error: self.complaints.append(f"{error.page.url}: {error.error}"))

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type not in {"error", "warning"}:
            return
        # The address of the page itself may rightly answer 404; drawing without a graphics card is slow.
        if "GPU stall" in message.text or "GL Driver Message" in message.text:
            return
        if (
            message.location["url"] == message.page.url
            and "the server responded with a status of 404" in message.text
        ):
            return
        self.complaints.append(f"{message.page.url}: {message.text} ({message.location['url']})")


def new_context(chromium: Browser, platform: Platform, **options: object) -> BrowserContext:
    context = chromium.new_context(
        base_url=platform.url, viewport={"width": 1440, "height": 900}, locale="es-CO",
        timezone_id="America/Bogota", reduced_motion="reduce", **options,
    )  # fmt: skip
    context.set_default_timeout(20_000)
    context.watch = Watch(context)
    return context


@pytest.fixture(scope="module")
def session(chromium: Browser, platform: Platform) -> dict:
    """The administrator's cookies, got by signing in with the printed account as a person does."""
    context = new_context(chromium, platform)
    page = context.new_page()
    page.goto("/centro/")
    expect(page).to_have_url(re.compile(r"/cuenta/login/\?next=/centro/$"))
    page.get_by_label("Correo").fill("admin@amb.example")
    page.get_by_label("Contraseña").fill(platform.accounts()["admin@amb.example"])
    page.get_by_role("button", name="Entrar").click()
    expect(page).to_have_url(f"{platform.url}/centro/")
    assert context.watch.complaints == []
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def anonymous(chromium: Browser, platform: Platform) -> Iterator[Page]:
    context = new_context(chromium, platform)
    yield context.new_page()
    context.close()


@pytest.fixture
def page(chromium: Browser, platform: Platform, session: dict) -> Iterator[Page]:
    """A signed-in administrator's page; whatever the browser complains of fails the test."""
    context = new_context(chromium, platform, storage_state=session)
    yield context.new_page()
    complaints = context.watch.complaints
    context.close()
    assert complaints == []


def open_centre(page: Page, query: str = "") -> None:
    page.goto(f"/centro/{query}")
    page.wait_for_selector("city-map[data-ready='1']", timeout=60_000)


def counts(page: Page) -> dict:
    return page.evaluate("() => fetch('/centro/capas.json').then((answer) => answer.json())")["counts"]


def shown_number(page: Page, key: str) -> int:
    return int(re.sub(r"\D", "", page.locator(f".legend [data-count='{key}']").inner_text()) or -1)


def test_the_portal_shows_the_living_city_and_its_doors(anonymous: Page):
    anonymous.goto("/")
    expect(anonymous.locator("h1")).to_contain_text("la ciudad metropolitana, en vivo")
    expect(anonymous.locator(".synthetic")).to_have_text("Ciudad sintética de demostración")
    expect(anonymous.locator("dl.figures")).to_contain_text("Luminarias")
    assert anonymous.locator("a.card").count() == 5
    assert anonymous.context.watch.complaints == []


def test_the_map_is_drawn(page: Page):
    open_centre(page)
    picture = page.locator("city-map canvas.maplibregl-canvas").screenshot()
    colours = page.evaluate(
        """async (encoded) => {
            const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
            const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
            const canvas = new OffscreenCanvas(image.width, image.height);
            const context = canvas.getContext("2d");
            context.drawImage(image, 0, 0);
            const seen = new Set(new Uint32Array(context.getImageData(0, 0, image.width, image.height).data.buffer));
            return seen.size;
        }""",
        base64.b64encode(picture).decode(),
    )
    assert colours > 50


@pytest.mark.parametrize("layer", ["streetlight", "camera", "accesspoint", "station", "vehicle"])
def test_legend_list_and_layers_give_equal_counts(page: Page, layer: str):
    open_centre(page, f"?capas={layer}")
    for _attempt in range(20):  # the city moves between two looks at it
        listed = int(re.sub(r"\D", "", page.locator("#list .count").inner_text()))
        known = counts(page)[layer]
        told = [state for state in known if page.locator(f".legend [data-count='{layer}.{state}']").count()]
        shown = {state: shown_number(page, f"{layer}.{state}") for state in told}
        total = sum(known.values())
        if total == listed == shown_number(page, f"{layer}.*") and shown == {
            state: known[state] for state in told
        }:
            break
        page.wait_for_timeout(500)
    else:
        pytest.fail(
            f"{layer}: list {listed}, legend {shown_number(page, f'{layer}.*')} {shown}, layers {known}"
        )
    assert total > 0


def test_the_picture_moves_by_itself(page: Page):
    open_centre(page)
    expect(page.locator("city-live")).to_have_attribute("data-state", "live")
    before = page.locator(".legend [data-time=data]").inner_text()
    expect(page.locator(".legend [data-time=data]")).not_to_have_text(before)


def test_a_row_opens_the_drawer_with_state_and_history(page: Page):
    open_centre(page, "?capas=vehicle")
    row = page.locator("#list [data-row]").first
    name = row.get_attribute("data-thing").split(":")[-1]
    row.click()
    drawer = page.locator("city-drawer")
    expect(drawer).to_be_visible()
    expect(drawer.locator("h2")).to_contain_text(name)
    expect(drawer.locator("header [data-state], header .state").first).to_be_visible()
    expect(drawer.locator("dl.facts")).to_contain_text("km/h")
    expect(drawer.locator("time-chart canvas").first).to_be_visible()
    expect(page).to_have_url(re.compile("cosa=Vehicle"))
    drawer.locator("[data-close]").click()
    expect(drawer).to_be_hidden()
    page.go_back()
    expect(drawer).to_be_visible()


def test_the_slider_shows_an_earlier_city_and_comes_back(page: Page):
    open_centre(page)
    slider = page.locator("time-slider")
    moment = slider.locator("[data-moment]")
    now = moment.inner_text()
    slider.locator("input[type=range]").focus()
    with page.expect_response(lambda answer: "/centro/momento.json" in answer.url) as asked:
        for _step in range(3):
            page.keyboard.press("PageDown")
    assert asked.value.status == 200
    expect(slider).to_have_attribute("data-mode", "past")
    expect(moment).not_to_have_text(now)
    expect(page).to_have_url(re.compile(r"[?&]t=2"))
    expect(page.locator("city-map")).to_have_attribute("data-mode", "past")
    expect(page.locator("city-live")).to_contain_text("Está viendo")
    slider.locator("[data-live]").click()
    expect(slider).to_have_attribute("data-mode", "live")
    expect(page).not_to_have_url(re.compile(r"[?&]t="))


def test_everything_works_by_keyboard(page: Page):
    open_centre(page)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    with page.expect_response(lambda answer: "/centro/lista/" in answer.url and "q=" in answer.url):
        page.keyboard.type("WiFi")
    expect(page.locator("#list")).not_to_have_attribute("aria-busy", "true")
    page.keyboard.press("Tab")
    page.keyboard.press("j")
    first = page.evaluate("document.activeElement.id")
    page.keyboard.press("j")
    second = page.evaluate("document.activeElement.id")
    assert first != second
    page.keyboard.press("k")
    assert page.evaluate("document.activeElement.id") == first
    page.keyboard.press("Enter")
    drawer = page.locator("city-drawer")
    expect(drawer).to_be_visible()
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    assert page.evaluate("document.activeElement.id") == first
    page.keyboard.press("?")
    expect(page.locator("dialog#shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("f")
    expect(page).to_have_url(re.compile("/fuentes/$"))


def test_filters_live_in_the_address(page: Page):
    open_centre(page)
    page.locator("#estado").select_option("fault")
    expect(page).to_have_url(re.compile("estado=fault"))
    expect(page.locator("#list tbody tr").first).to_be_visible()
    page.reload()
    expect(page.locator("#estado")).to_have_value("fault")
    page.locator("#filters button[type=reset]").click()
    expect(page).not_to_have_url(re.compile("estado=fault"))


def test_the_language_becomes_english_and_stays(page: Page):
    page.goto("/territorio/")
    page.locator("details.menu summary").click()
    page.locator("button[lang=en]").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page).to_have_url(re.compile("/territorio/$"))
    page.goto("/")
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_the_chosen_theme_stays(page: Page):
    page.goto("/fuentes/")
    page.locator("details.menu summary").click()
    page.locator("theme-switch select").select_option("dark")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_sources_move_and_their_sums_are_right(page: Page):
    page.goto("/fuentes/")
    expect(page.locator("main tbody tr")).to_have_count(2)
    page.get_by_role("link", name=re.compile("Cosas de la ciudad")).click()
    expect(page.locator("svg.bars rect.taken").first).to_be_attached()


def test_timetables_show_the_active_version(page: Page):
    page.goto("/movilidad/gtfs/")
    expect(page.locator("main")).to_contain_text("AMB (demo)")
    page.locator("main a[href='/movilidad/gtfs/demo/1/']").first.click()
    expect(page.locator("main")).to_contain_text("routes.txt")


def test_the_territory_lists_municipalities_with_their_real_names(page: Page):
    page.goto("/territorio/")
    for name in ("Bucaramanga", "Floridablanca", "Girón", "Piedecuesta"):
        expect(page.locator("main")).to_contain_text(name)


def test_the_query_builder_follows_its_form(page: Page):
    page.goto("/contexto/entidades/")
    page.wait_for_selector("place-map[data-ready='1']", timeout=60_000)
    said = page.locator("#found-said")
    page.locator("#f-type").fill("Streetlight")
    expect(page).to_have_url(re.compile(r"\?type=Streetlight$"))
    all_lamps = said.inner_text()
    condition = page.locator("#f-q")
    condition.fill('status!="ok"')
    expect(page).to_have_url(re.compile("status"))
    expect(said).not_to_have_text(all_lamps)
    expect(page.locator("#api-url")).to_contain_text("q=status!=%22ok%22")
    shown = page.locator(".results li").count()
    condition.press_sequentially(";")
    expect(page.locator("#fault-q")).to_contain_text("La interfaz respondería: q:")
    expect(condition).to_have_attribute("aria-invalid", "true")
    assert page.locator(".results li").count() == shown, "the last good result stays"
    assert page.evaluate("document.activeElement.id") == "f-q", "typing goes on"
    condition.press("Backspace")
    expect(condition).not_to_have_attribute("aria-invalid", "true")
    page.locator("place-map [data-pick]").click()
    page.locator("place-map canvas").click(position={"x": 300, "y": 200})
    expect(page).to_have_url(re.compile("lugar=cerca&lat=7"))
    expect(page.locator("#f-lugar")).to_have_value("cerca")
    page.reload()
    expect(condition).to_have_value('status!="ok"')


def test_signing_out_ends_the_session(chromium: Browser, platform: Platform):
    context = new_context(chromium, platform)
    page = context.new_page()
    page.goto("/cuenta/login/")
    page.get_by_label("Correo").fill("consulta@amb.example")
    page.get_by_label("Contraseña").fill(platform.accounts()["consulta@amb.example"])
    page.get_by_role("button", name="Entrar").click()
    expect(page).to_have_url(f"{platform.url}/centro/")
    page.locator("details.menu summary").click()
    page.locator("details.menu").get_by_role("button", name="Cerrar sesión").click()
    expect(page).to_have_url(f"{platform.url}/")
    page.goto("/centro/")
    expect(page).to_have_url(re.compile("/cuenta/login/"))
    context.close()


def faults_of(page: Page) -> list[str]:
    """Accessibility in each theme, and width on a telephone, of the page that is open."""
    found = []
    page.evaluate(AXE.read_text())
    for theme in THEMES:
        page.evaluate("(theme) => { document.documentElement.dataset.theme = theme; }", theme)
        # All rules once; then those that look at colours, which are all that a theme changes.
        asked = (
            {"type": "tag", "values": LEVELS}
            if theme == THEMES[0]
            else {"type": "rule", "values": COLOUR_RULES}
        )
        result = page.evaluate("(runOnly) => axe.run({ runOnly, resultTypes: ['violations'] })", asked)
        assert result["passes"], "axe looked at nothing"
        found += [
            f"{theme}: {rule['id']}: {node['target']} {node['failureSummary'].splitlines()[-1].strip()[:160]}"
            for rule in result["violations"]
            for node in rule["nodes"][:3]
        ]
    page.set_viewport_size({"width": 390, "height": 844})
    for _ in range(40):  # charts follow the new width a moment later
        width = page.evaluate("document.documentElement.scrollWidth")
        if width <= 390:
            break
        page.wait_for_timeout(100)
    if width > 390:
        wide = page.evaluate(
            """() => [...document.querySelectorAll("body *")].filter((part) => part.getBoundingClientRect().right > 391)
                .slice(0, 3).map((part) => part.tagName + "." + part.className)"""
        )
        found.append(f"{width} px wide on a telephone of 390: {wide}")
    page.set_viewport_size({"width": 1440, "height": 900})
    return found


def known_things(page: Page) -> dict[str, str]:
    """Names of one bus and one lamp of this city."""
    page.goto("/")
    layers = page.evaluate("() => fetch('/centro/capas.json').then((answer) => answer.json())")
    lists = "(layer) => fetch(`/centro/lista/?capas=${layer}`).then((answer) => answer.text())"
    bus = re.search(r'data-thing="([^"]+)"', page.evaluate(lists, "vehicle")).group(1)
    return {"vehicle": bus, "lamp": layers["abnormal"][0][1]}


def test_public_pages_are_accessible_in_every_theme_and_fit_a_telephone(anonymous: Page):
    faults = []
    for address in PUBLIC:
        anonymous.goto(address)
        faults += [f"{address}: {fault}" for fault in faults_of(anonymous)]
    assert faults == []
    assert anonymous.context.watch.complaints == []


@pytest.mark.parametrize("part", [0, 1, 2])
def test_personal_pages_are_accessible_in_every_theme_and_fit_a_telephone(page: Page, part: int):
    names = known_things(page)
    faults = []
    for address in PERSONAL[part::3]:
        place = address.format(**names)
        page.goto(place)
        if place.startswith("/centro/?") or place == "/centro/":
            page.wait_for_selector("city-map[data-ready='1']", timeout=60_000)
        if page.locator("place-map").count():
            page.wait_for_selector("place-map[data-ready='1']", timeout=60_000)
        faults += [f"{address}: {fault}" for fault in faults_of(page)]
    assert faults == []


def test_a_page_without_permission_is_accessible(chromium: Browser, platform: Platform):
    context = new_context(chromium, platform)
    page = context.new_page()
    page.goto("/cuenta/login/")
    page.get_by_label("Correo").fill("consulta@amb.example")
    page.get_by_label("Contraseña").fill(platform.accounts()["consulta@amb.example"])
    page.get_by_role("button", name="Entrar").click()
    page.wait_for_url("**/centro/")
    assert page.goto("/fuentes/").status == 403
    assert faults_of(page) == []
    context.close()


def test_the_watch_hears_what_the_policy_blocks(chromium: Browser, platform: Platform):
    """The planted fault: an inline script and an inline style must be complained of."""
    context = new_context(chromium, platform)
    page = context.new_page()
    page.goto("/")
    page.evaluate(
        """() => { const script = document.createElement("script"); script.textContent = "window.planted = 1";
            document.body.append(script); document.body.setAttribute("style", "color:red"); }"""
    )
    page.wait_for_timeout(200)
    assert page.evaluate("window.planted") is None
    assert len(context.watch.complaints) == 2
    assert all("Content Security Policy" in complaint for complaint in context.watch.complaints)
    context.close()


def test_axe_and_the_ruler_find_planted_faults(anonymous: Page):
    anonymous.goto("/")
    anonymous.evaluate(
        """() => { const image = new Image(); image.src = "/static/site/favicon.svg";
            Object.assign(image.style, { width: "600px", maxWidth: "none" });
            document.querySelector("main").append(image); }"""
    )
    faults = faults_of(anonymous)
    assert any("image-alt" in fault for fault in faults)
    assert any("on a telephone" in fault for fault in faults)


def test_pages_work_before_their_scripts_do(chromium: Browser, platform: Platform, session: dict):
    """Every page works as a plain request first."""
    context = new_context(chromium, platform, storage_state=session, java_script_enabled=False)
    page = context.new_page()
    page.goto("/centro/?capas=camera")
    assert page.locator("#list [data-row]").count() > 0
    page.locator("#list [data-row]").first.click()
    expect(page).to_have_url(re.compile("/centro/cosa/Camera"))
    expect(page.locator("main h1")).to_have_count(1)
    context.close()
