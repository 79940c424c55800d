// The filters of the control centre: boxes of the legend, selects and search, kept in the page's address.
//
//   <city-filters><form id="filters" method="get" action="/centro/">
//     <input type="checkbox" name="capas" value="vehicle" data-layer="vehicle" checked>   (these may lie anywhere,
//     <select name="estado">…</select> <select name="comuna">…</select>                    tied by form="filters")
//     <input type="search" name="q"> <button>Filtrar</button></form></city-filters>
//
// Tells city:filter when something changes and once at the start. Without scripts the form sends itself.
import { tell, type Filter } from "../live/city";
import { query, setQuery } from "../live/address";

export class CityFilters extends HTMLElement {
  #off = new AbortController();
  #typing: ReturnType<typeof setTimeout> | undefined;

  connectedCallback(): void {
    this.#off = new AbortController();
    const { signal } = this.#off;
    const form = this.#form;
    if (!form) return;
    // Fields may lie outside the form, tied to it by form="…": their events do not pass through it.
    document.addEventListener("change", (event) => (event.target as HTMLInputElement).form === form && this.#changed(), { signal });
    document.addEventListener("input", (event) => {
      const field = event.target as HTMLInputElement;
      if (field.form !== form || field.type !== "search") return;
      clearTimeout(this.#typing);
      this.#typing = setTimeout(() => this.#changed(), 300);
    }, { signal });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#changed();
    }, { signal });
    form.addEventListener("reset", () => setTimeout(() => this.#clear()), { signal });
    window.addEventListener("popstate", () => this.#restore(), { signal });
    // On a phone the legend would hide the map: it starts closed there.
    if (matchMedia("(max-width: 720px)").matches) document.querySelector(".legend")?.removeAttribute("open");
    this.dataset.ready = "1";
    tell("city:filter", this.#filter());
  }

  disconnectedCallback(): void {
    this.#off.abort();
    clearTimeout(this.#typing);
  }

  get #form(): HTMLFormElement | null {
    return this.querySelector("form");
  }

  get #boxes(): HTMLInputElement[] {
    return [...document.querySelectorAll<HTMLInputElement>("input[data-layer]")];
  }

  #filter(): Filter {
    const data = new FormData(this.#form!);
    const text = (name: string) => String(data.get(name) ?? "").trim();
    const boxes = this.#boxes;
    const layers = boxes.filter((box) => box.checked).map((box) => box.dataset.layer!);
    return {
      layers: boxes.length === 0 || layers.length === boxes.length ? null : layers,
      state: text("estado"),
      commune: text("comuna"),
      q: text("q"),
    };
  }

  #changed(): void {
    clearTimeout(this.#typing);
    const filter = this.#filter();
    // No box at all is a choice too: it must survive a reload, so it is not the same as "all".
    const layers = filter.layers && (filter.layers.length ? filter.layers.join(",") : "-");
    setQuery({ capas: layers, estado: filter.state, comuna: filter.commune, q: filter.q, pagina: null });
    tell("city:filter", filter);
  }

  #clear(): void {
    for (const box of this.#boxes) box.checked = true;
    for (const field of this.#form!.elements)
      if (field.matches("select, [type=search]")) (field as HTMLInputElement).value = "";
    this.#changed();
  }

  #restore(): void {
    const layers = query("capas");
    for (const box of this.#boxes) box.checked = !layers || layers.split(",").includes(box.dataset.layer!);
    for (const name of ["estado", "comuna", "q"]) {
      const field = this.#form!.elements.namedItem(name) as HTMLInputElement | null;
      if (field) field.value = query(name);
    }
    tell("city:filter", this.#filter());
  }
}

customElements.define("city-filters", CityFilters);
