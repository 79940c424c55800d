// The city on a map, live or at a past moment. Whatever it shows is also a row of the list beside it.
//
//   <city-map base="/centro/mapa/base.geojson" layers="/centro/capas.json"
//     tiles="/centro/teselas/{z}/{x}/{y}.mvt" label="Mapa de la ciudad" attribution="…"
//     bounds="-73.2,7.0,-73.0,7.2" style-url="" selected="Vehicle:x:1"
//     text-error="No se pudo cargar el mapa…" text-fallback="…">
//     <script type="application/json" data-locale>{"NavigationControl.ZoomIn": "Acercar"}</script>
//     <p data-message hidden></p></city-map>
//
// Hears city:reset, city:frame, city:moment, city:filter, city:select, city:unselect, theme:change (live/city.ts);
// tells city:select when something is clicked. `data-ready="1"` once the first picture is drawn; `data-mode` is
// live | past. Needs a size from the style sheet.
import type { FeatureCollection } from "geojson";
import { hear, tell, type Filter, type Layers, type Reset } from "../live/city";
import { boundsOf, cityBounds } from "../map/bounds";
import { Scene, type Bounds } from "../map/scene";
import { Store } from "../map/store";
import { POINTS } from "../map/things";

export class CityMap extends HTMLElement {
  #off = new AbortController();
  #scene: Scene | null = null;
  #store = new Store();
  #base: FeatureCollection = { type: "FeatureCollection", features: [] };
  #filter: Filter | null = null;
  #chosen: { id: string; lon?: number; lat?: number } | null = null;
  #asked: AbortController | null = null;
  #drawn = false;
  #said = "";

  async connectedCallback(): Promise<void> {
    this.#off = new AbortController();
    const { signal } = this.#off;
    this.dataset.mode = "live";
    const selected = this.getAttribute("selected");
    if (selected) this.#chosen = { id: selected };
    hear("city:reset", (picture) => this.dataset.mode === "live" && void this.#begin(picture), signal);
    hear("city:frame", (frame) => {
      if (this.dataset.mode !== "live") return;
      this.#draw(this.#store.frame(frame));
      if (frame.tiles) this.#scene?.reloadTiles(frame.tiles);
    }, signal);
    hear("city:moment", (moment) => this.#moment(moment?.picture ?? null), signal);
    hear("city:filter", (filter) => this.#sieve(filter), signal);
    hear("city:select", (chosen) => this.#choose(chosen, chosen.from !== "map"), signal);
    hear("city:unselect", () => this.#choose(null, false), signal);
    hear("theme:change", () => this.#scene?.paint(), signal);
    window.addEventListener("beforeprint", () => this.#print(), { signal });
    window.addEventListener("afterprint", () => this.querySelector("img[data-print]")?.remove(), { signal });
    try {
      await this.#open(signal);
    } catch (error) {
      if (signal.aborted) return;
      this.#say("text-error");
      this.dataset.failed = "1";
      console.error("city-map:", error);
    }
  }

  disconnectedCallback(): void {
    this.#off.abort();
    this.#asked?.abort();
    this.#scene?.remove();
    this.#scene = null;
    this.querySelector(":scope > [data-canvas]")?.remove();
    delete this.dataset.ready;
  }

  async #open(signal: AbortSignal): Promise<void> {
    const [answer] = await Promise.all([
      fetch(this.getAttribute("base") ?? "/centro/mapa/base.geojson", { signal }),
      document.fonts.load('12px "Noto Sans"').catch(() => []), // the map draws names with the page's fonts
    ]);
    if (!answer.ok) throw new Error(`base map: HTTP ${answer.status}`);
    this.#base = (await answer.json()) as FeatureCollection;
    if (signal.aborted) return;
    const box = document.createElement("div");
    box.dataset.canvas = "";
    this.prepend(box);
    const scene = new Scene(
      {
        box,
        base: this.#base,
        tiles: this.getAttribute("tiles") ?? "/centro/teselas/{z}/{x}/{y}.mvt",
        bounds: this.#bounds(),
        texts: { ...(JSON.parse(this.querySelector("script[data-locale]")?.textContent ?? "{}") as object), "Map.Title": this.getAttribute("label") ?? "" },
        attribution: this.getAttribute("attribution") ?? "",
        styleUrl: this.getAttribute("style-url") || null,
      },
      () => this.#say("text-fallback"),
    );
    this.#scene = scene;
    await scene.ready();
    if (signal.aborted) return;
    if (this.#filter) this.#sieve(this.#filter);
    scene.map.on("click", async (event) => {
      const spot = await scene.pick(event);
      if (spot) tell("city:select", { ...spot, from: "map" });
    });
    if (this.dataset.mode === "live") tell("city:hello", { reply: (picture) => this.#store.reset(picture) });
    await this.#layers();
    this.#choose(this.#chosen, true);
    await scene.settled();
    if (!signal.aborted) this.dataset.ready = "1";
  }

  #bounds(): Bounds {
    const given = this.getAttribute("bounds")?.split(",").map(Number);
    if (given?.length === 4 && given.every(Number.isFinite)) return given as Bounds;
    return cityBounds(this.#base) ?? [-73.2, 6.95, -73.0, 7.2];
  }

  /** The server's picture is new: everything known before may be old. */
  async #begin(picture: Reset): Promise<void> {
    this.#store.reset(picture);
    this.#draw(["vehicle", "alert"]);
    if (this.#drawn) await this.#layers();
  }

  async #layers(): Promise<void> {
    this.#asked?.abort();
    this.#asked = new AbortController();
    const { signal } = this.#asked;
    try {
      const answer = await fetch(this.getAttribute("layers") ?? "/centro/capas.json", { signal });
      if (!answer.ok) throw new Error(`layers: HTTP ${answer.status}`);
      const layers = (await answer.json()) as Layers;
      this.#store.layers(layers, this.dataset.mode === "past");
      if (this.#said === "text-layers") this.#say("");
    } catch (error) {
      if (signal.aborted) return;
      this.#say("text-layers");
      console.error("city-map:", error);
    }
    this.#drawn = true;
    this.#draw(["abnormal", "vehicle", "alert", ...POINTS]);
  }

  #moment(picture: Reset | null): void {
    this.dataset.mode = picture ? "past" : "live";
    if (picture) {
      this.#store.reset(picture);
      this.#draw(["abnormal", "vehicle", "alert"]);
    } else tell("city:hello", { reply: (now) => void this.#begin(now) });
  }

  #draw(changed: Iterable<string>): void {
    const scene = this.#scene;
    if (!scene || !this.#drawn) return;
    for (const source of changed) {
      scene.draw(source, this.#store.draw(source));
      if (source === "abnormal") scene.mark(this.#store.abnormal.keys());
      if (source === "vehicle" && this.#chosen?.id.startsWith("Vehicle:")) this.#choose(this.#chosen, false);
    }
  }

  #sieve(filter: Filter): void {
    const before = this.#filter;
    this.#filter = filter;
    this.#store.state = filter.state;
    const scene = this.#scene;
    if (!scene?.map.getSource("vehicle")) return;
    for (const box of document.querySelectorAll<HTMLInputElement>("[data-layer]"))
      scene.show(box.dataset.layer!, filter.layers === null || filter.layers.includes(box.dataset.layer!));
    const lampsShown = filter.layers === null || filter.layers.includes("streetlight");
    scene.map.setLayoutProperty("lamps", "visibility", lampsShown && this.#store.shows("ok") ? "visible" : "none");
    scene.outline(filter.commune);
    if (filter.commune && filter.commune !== before?.commune) {
      const bounds = boundsOf(this.#base.features.filter((feature) => feature.properties?.code === filter.commune));
      if (bounds) scene.fit(bounds);
    }
    if (filter.state !== before?.state) this.#draw(["abnormal", "vehicle", ...POINTS]);
  }

  #choose(chosen: { id: string; lon?: number; lat?: number } | null, move: boolean): void {
    this.#chosen = chosen;
    if (!this.#scene?.map.getSource("chosen")) return;
    const spot = chosen && (this.#store.find(chosen.id) ?? (chosen.lon !== undefined && chosen.lat !== undefined ? { id: chosen.id, lon: chosen.lon, lat: chosen.lat } : null));
    this.#scene.choose(spot);
    if (spot && move) this.#scene.goTo(spot);
  }

  /** A canvas prints cropped: an image of it prints whole. */
  #print(): void {
    if (!this.#scene) return;
    const image = this.querySelector<HTMLImageElement>("img[data-print]") ?? document.createElement("img");
    image.dataset.print = "";
    image.alt = this.getAttribute("label") ?? "";
    image.src = this.#scene.image();
    this.append(image);
  }

  /** Shows the text of an attribute; none with "". */
  #say(attribute: string): void {
    this.#said = attribute;
    const place = this.querySelector<HTMLElement>("[data-message]");
    if (!place) return;
    place.textContent = attribute && this.getAttribute(attribute);
    place.hidden = !place.textContent;
  }
}

customElements.define("city-map", CityMap);
