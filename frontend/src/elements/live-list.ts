// A part of the page that the server renews when the city changes, at most once in two seconds.
//
//   <live-list src="/centro/lista/" filters every="2000" layers="vehicle,streetlight" id="list">…fragment…</live-list>
//
// `filters`: follows city:filter and replay by adding their values to the address. Focus and scrolling are kept:
// what can be focused inside needs an id; so is the page of a long list. `aria-busy` while it loads; `data-error` when the last try failed.
import htmx from "htmx.org/dist/htmx.esm.js";
import { query } from "../live/address";
import { hear, type Counts, type Filter } from "../live/city";

export class LiveList extends HTMLElement {
  #off = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #last = 0;
  #counts = "";
  #filter: Filter | null = null;
  #past = "";
  #page = "";

  connectedCallback(): void {
    this.#off = new AbortController();
    const { signal } = this.#off;
    const counts = ({ counts, alerts }: { counts?: Counts; alerts?: unknown[] }) => this.#counted(counts, alerts);
    hear("city:reset", counts, signal);
    hear("city:frame", counts, signal);
    if (this.hasAttribute("filters")) {
      this.#page = query("pagina");
      let first = true;
      hear("city:filter", (filter) => {
        this.#filter = filter;
        if (!first) this.#page = "";
        if (!first) this.#soon(0);
        first = false; // the server has already rendered this one
      }, signal);
    }
    hear("city:moment", (moment) => {
      this.#past = moment?.t ?? "";
      this.#soon(0);
    }, signal);
    this.addEventListener("htmx:afterRequest", (event) => {
      this.ariaBusy = null;
      const { successful, pathInfo } = (event as CustomEvent<{ successful: boolean; pathInfo?: { requestPath: string } }>).detail;
      this.toggleAttribute("data-error", !successful);
      this.#page = new URL(pathInfo?.requestPath ?? "", location.href).searchParams.get("pagina") ?? "";
    }, { signal });
  }

  disconnectedCallback(): void {
    this.#off.abort();
    clearTimeout(this.#timer);
  }

  #counted(counts: Counts | undefined, alerts: unknown[] | undefined): void {
    if (this.#past) return;
    const watched = this.getAttribute("layers")?.split(",");
    const seen = JSON.stringify(watched && counts ? watched.map((name) => counts[name]) : (counts ?? this.#counts));
    const changed = (seen !== this.#counts && this.#counts !== "") || (watched?.includes("alert") && alerts?.length);
    this.#counts = seen;
    if (changed) this.#soon(Number(this.getAttribute("every") ?? 2000));
  }

  #soon(every: number): void {
    if (this.#timer !== undefined && every) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#renew(), Math.max(0, this.#last + every - Date.now()));
  }

  async #renew(): Promise<void> {
    this.#timer = undefined;
    this.#last = Date.now();
    if (document.hidden) return void document.addEventListener("visibilitychange", () => this.#soon(0), { once: true, signal: this.#off.signal });
    const address = new URL(this.getAttribute("src") ?? "", location.href);
    const { layers, state, commune, q } = this.#filter ?? { layers: null, state: "", commune: "", q: "" };
    const parts = { capa: layers && (layers.join(",") || "-"), estado: state, comuna: commune, q, t: this.#past, pagina: this.#page };
    for (const [name, value] of Object.entries(parts)) if (value) address.searchParams.set(name, value);
    this.ariaBusy = "true";
    const top = this.scrollTop;
    await htmx.ajax("get", address.pathname + address.search, { source: this, target: this, swap: "innerHTML" }).catch(() => undefined);
    this.scrollTop = top;
  }
}

customElements.define("live-list", LiveList);
