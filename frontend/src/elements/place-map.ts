// Places on a map: what a query found, or where one entity is. Whatever it shows is also a list or table of the page.
//
//   <place-map base="/centro/mapa/base.geojson" bounds="-73.2,7.0,-73.0,7.2" label="…" follows="map-source" form="query"
//     text-loading="…" text-error="…" text-pick="…">
//     <script type="application/json" data-locale>{…}</script> <script type="application/json" id="place-data">{…}</script>
//     <button data-pick aria-pressed="false">…</button> <button data-view>…</button> <p data-message hidden></p></place-map>
//
// `follows`: id of an element whose `data-src` is the address of the features; looked at again after each change by htmx.
// `form`: id of the form whose fields lat, lon, metros, caja and lugar the two buttons fill in. Without them they are not there.
// `data-ready="1"` once drawn. Needs a size from the style sheet.
import type { Feature, FeatureCollection } from "geojson";
import { hear } from "../live/city";
import { cityBounds } from "../map/bounds";
import { box, circle } from "../map/circle";
import { Spots } from "../map/spots";

const NOTHING: FeatureCollection = { type: "FeatureCollection", features: [] };

export class PlaceMap extends HTMLElement {
  #off = new AbortController();
  #asked: AbortController | null = null;
  #spots: Spots | null = null;
  #src: string | null = null;

  async connectedCallback(): Promise<void> {
    this.#off = new AbortController();
    const { signal } = this.#off;
    hear("theme:change", () => this.#spots?.paint(), signal);
    document.addEventListener("htmx:afterSettle", () => void this.#follow(), { signal });
    window.addEventListener("beforeprint", () => this.#print(), { signal });
    window.addEventListener("afterprint", () => this.querySelector("img[data-print]")?.remove(), { signal });
    this.#button("data-pick")?.addEventListener("click", () => this.#picking(!this.#isPicking), { signal });
    this.#button("data-view")?.addEventListener("click", () => this.#askView(), { signal });
    this.addEventListener("keydown", (event) => event.key === "Escape" && this.#picking(false), { signal });
    try {
      await this.#open(signal);
    } catch (error) {
      if (signal.aborted) return;
      this.#say(this.getAttribute("text-error"));
      this.dataset.failed = "1";
      console.error("place-map:", error);
    }
  }

  disconnectedCallback(): void {
    this.#off.abort();
    this.#asked?.abort();
    this.#spots?.remove();
    this.#spots = null;
    this.querySelector(":scope > [data-canvas]")?.remove();
    delete this.dataset.ready;
  }

  async #open(signal: AbortSignal): Promise<void> {
    const [base] = await Promise.all([
      // Who does not see the control centre gets no base map; the places are drawn all the same.
      fetch(this.getAttribute("base") ?? "", { signal }).then((answer) => (answer.ok ? (answer.json() as Promise<FeatureCollection>) : NOTHING)),
      document.fonts.load('12px "Noto Sans"').catch(() => []),
    ]);
    if (signal.aborted) return;
    const canvas = document.createElement("div");
    canvas.dataset.canvas = "";
    this.prepend(canvas);
    const given = this.getAttribute("bounds")?.split(",").map(Number) ?? [];
    const bounds = given.length === 4 && given.every(Number.isFinite) ? (given as [number, number, number, number]) : (cityBounds(base) ?? [-74, 6, -72, 8]);
    const texts = JSON.parse(this.querySelector("script[data-locale]")?.textContent ?? "{}") as Record<string, string>;
    const spots = new Spots(canvas, base, bounds, { ...texts, "Map.Title": this.getAttribute("label") ?? "" });
    this.#spots = spots;
    await spots.ready();
    if (signal.aborted) return;
    spots.map.on("click", ({ lngLat, point }) => {
      if (this.#isPicking) return this.#pick(lngLat.lng, lngLat.lat);
      const url = spots.at(point.x, point.y);
      if (url && url !== location.pathname) location.assign(url);
    });
    spots.map.on("mousemove", ({ point }) => {
      spots.map.getCanvas().style.cursor = this.#isPicking ? "crosshair" : spots.at(point.x, point.y) ? "pointer" : "";
    });
    const data = this.querySelector("script#place-data")?.textContent;
    if (data) this.#draw((JSON.parse(data) as FeatureCollection).features);
    await this.#follow();
    if (!signal.aborted) this.dataset.ready = "1";
  }

  /** The features of the followed element, when their address is another one than before. */
  async #follow(): Promise<void> {
    const source = document.getElementById(this.getAttribute("follows") ?? "");
    const src = source?.dataset.src ?? "";
    if (!source || !this.#spots || src === this.#src) return;
    this.#src = src;
    this.#asked?.abort(); // a newer request ends the older
    this.#asked = new AbortController();
    const { signal } = this.#asked;
    try {
      const answer = src ? await fetch(src, { signal }) : null;
      if (answer && !answer.ok) throw new Error(`HTTP ${answer.status}`);
      this.#draw(answer ? ((await answer.json()) as FeatureCollection).features : []);
      this.#say(null);
    } catch (error) {
      if (signal.aborted) return;
      this.#src = null;
      this.#say(this.getAttribute("text-error"));
      console.error("place-map:", error);
    }
  }

  #draw(features: Feature[]): void {
    const asked = this.#place();
    this.#spots?.draw("area", asked ? [asked] : []);
    this.#spots?.draw("spots", features);
    this.#spots?.fit(asked ? [asked, ...features] : features);
  }

  /** The place that the form asks for. */
  #place(): Feature | null {
    const kind = this.#field("lugar")?.value;
    if (kind === "caja") return box(this.#field("caja")?.value ?? "");
    const [lat, lon, metres] = ["lat", "lon", "metros"].map((name) => parseFloat(this.#field(name)?.value ?? ""));
    return kind === "cerca" && [lat, lon, metres].every(Number.isFinite) ? circle(lon!, lat!, metres!) : null;
  }

  get #isPicking(): boolean {
    return this.#button("data-pick")?.ariaPressed === "true";
  }

  #picking(on: boolean): void {
    const button = this.#button("data-pick");
    if (!button) return;
    button.ariaPressed = String(on);
    this.#say(on ? this.getAttribute("text-pick") : null);
  }

  #pick(lon: number, lat: number): void {
    this.#picking(false);
    this.#spots?.draw("mark", [{ type: "Feature", properties: {}, geometry: { type: "Point", coordinates: [lon, lat] } }]);
    this.#fill({ lugar: "cerca", lat: lat.toFixed(6), lon: lon.toFixed(6), metros: this.#field("metros")?.value || "300" });
  }

  #askView(): void {
    const bounds = this.#spots?.map.getBounds();
    if (bounds) this.#fill({ lugar: "caja", caja: [bounds.getWest(), bounds.getSouth(), bounds.getEast(), bounds.getNorth()].map((value) => value.toFixed(5)).join(",") });
  }

  #fill(values: Record<string, string>): void {
    for (const [name, value] of Object.entries(values)) this.#field(name)!.value = value;
    this.#field("lugar")?.dispatchEvent(new Event("change", { bubbles: true }));
  }

  #field(name: string): HTMLInputElement | null {
    const form = document.getElementById(this.getAttribute("form") ?? "");
    return (form?.querySelector(`[name="${name}"]`) as HTMLInputElement | null) ?? null;
  }

  #button(mark: string): HTMLButtonElement | null {
    return this.querySelector(`[${mark}]`);
  }

  #print(): void {
    if (!this.#spots) return;
    const image = this.querySelector<HTMLImageElement>("img[data-print]") ?? document.createElement("img");
    image.dataset.print = "";
    image.alt = this.getAttribute("label") ?? "";
    image.src = this.#spots.image();
    this.append(image);
  }

  #say(words: string | null): void {
    const place = this.querySelector<HTMLElement>("[data-message]");
    if (!place) return;
    place.textContent = words;
    place.hidden = !words;
  }
}

customElements.define("place-map", PlaceMap);
