// The panel of the thing that is selected: state, attributes, history. It covers the list, never the map.
//
//   <city-drawer src="/centro/cosa/{id}/" refresh="5000" hidden aria-label="Detalle">
//     <button type="button" data-close>Cerrar</button><div data-body tabindex="-1"></div></city-drawer>
//
// Hears city:select, opens, puts `cosa=` into the address and gives the focus to the body; any [data-thing="id"]
// in the page becomes a way to select. Esc or [data-close] closes, tells city:unselect and gives the focus back.
// While open, the part marked [data-live-part] (with an id) is renewed when the thing may have changed.
import htmx from "htmx.org/dist/htmx.esm.js";
import { query, setQuery } from "../live/address";
import { hear, tell } from "../live/city";

export class CityDrawer extends HTMLElement {
  #off = new AbortController();
  #id = "";
  #opener: HTMLElement | null = null;
  #last = 0;

  connectedCallback(): void {
    this.#off = new AbortController();
    const { signal } = this.#off;
    document.addEventListener("click", (event) => this.#click(event), { signal });
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.#id && !document.querySelector("dialog[open]")) this.close();
    }, { signal });
    this.querySelector("[data-close]")?.addEventListener("click", () => this.close(), { signal });
    hear("city:select", ({ id, from }) => this.#open(id, from !== "url"), signal);
    hear("city:frame", (frame) => {
      const mine = frame.vehicles?.some((row) => row[1] === this.#id) || frame.things?.some((row) => row[1] === this.#id);
      if (mine) this.#refresh();
    }, signal);
    window.addEventListener("popstate", () => this.#restore(), { signal });
    this.#id = query("cosa");
    const body = this.#body;
    if (this.#id && !this.hidden && body?.childElementCount) {
      this.#show(true);
      this.#place();
    } else if (this.#id) void this.#load();
  }

  disconnectedCallback(): void {
    this.#off.abort();
  }

  get #body(): HTMLElement | null {
    return this.querySelector("[data-body]");
  }

  close(): void {
    this.#show(false);
    this.#id = "";
    setQuery({ cosa: null }, true);
    tell("city:unselect", null);
    if (this.#opener?.isConnected) this.#opener.focus();
    else document.getElementById(this.#opener?.id ?? "")?.focus();
  }

  /** What it covers cannot be reached by the keyboard meanwhile. */
  #show(open: boolean): void {
    this.hidden = !open;
    for (const other of this.parentElement?.children ?? []) if (other !== this) (other as HTMLElement).inert = open;
  }

  #click(event: MouseEvent): void {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    const way = (event.target as Element).closest<HTMLElement>("[data-thing]");
    if (!way) return;
    event.preventDefault();
    this.#opener = way;
    const { thing, lon, lat } = way.dataset;
    const place = lon && lat ? { lon: Number(lon), lat: Number(lat) } : {};
    tell("city:select", { id: thing!, ...place, from: "list" });
  }

  #open(id: string, byHand: boolean): void {
    if (id === this.#id && !this.hidden) return;
    this.#id = id;
    if (byHand) setQuery({ cosa: id }, true);
    void this.#load().then(() => byHand && this.#body?.focus({ preventScroll: true }));
  }

  #address(): string {
    return (this.getAttribute("src") ?? "/centro/cosa/{id}/").replace("{id}", encodeURIComponent(this.#id).replaceAll("%3A", ":").replaceAll("%2F", "/"));
  }

  async #load(): Promise<void> {
    this.#show(true);
    this.ariaBusy = "true";
    this.#last = Date.now();
    const id = this.#id;
    await htmx.ajax("get", this.#address(), { source: this, target: this.#body!, swap: "innerHTML" }).catch(() => undefined);
    this.ariaBusy = null;
    if (id === this.#id) this.#place();
  }

  /** The fragment knows where the thing is: a lamp that is well is not among the map's rows. */
  #place(): void {
    const spot = this.#body?.querySelector<HTMLElement>("[data-lon][data-lat]");
    if (spot && this.#id) tell("city:select", { id: this.#id, lon: Number(spot.dataset.lon), lat: Number(spot.dataset.lat), from: "url" });
  }

  #refresh(): void {
    const part = this.#body?.querySelector<HTMLElement>("[data-live-part]");
    if (!part?.id || Date.now() - this.#last < Number(this.getAttribute("refresh") ?? 5000) || document.hidden) return;
    this.#last = Date.now();
    void htmx.ajax("get", this.#address(), { source: this, target: part, select: `#${part.id}`, swap: "outerHTML" }).catch(() => undefined);
  }

  #restore(): void {
    const id = query("cosa");
    if (id === this.#id) return;
    if (id) return tell("city:select", { id, from: "url" });
    this.#id = "";
    this.#show(false);
    tell("city:unselect", null);
  }
}

customElements.define("city-drawer", CityDrawer);
