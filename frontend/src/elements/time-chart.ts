// A measure over time, with the same figures as a table for those who do not see the drawing.
//
//   <time-chart src="/centro/cosa/…/serie.json?atributo=speed&horas=24" height="160"
//     text-empty="Sin datos en este intervalo." text-error="No se pudo cargar la historia."
//     text-table="Ver los datos en una tabla" text-time="Hora"></time-chart>
//
// The answer is {"label", "unit", "t": [epoch seconds], "v": [numbers or null]}. `data-state` is loading | ready |
// empty | error. The colours are the page's (--chart-line, --ink-2, --line).
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { hear } from "../live/city";
import { clock, dayAndClock, number } from "../live/format";

const ROWS = 48;

interface Series {
  label: string;
  unit: string;
  t: number[];
  v: (number | null)[];
}

export class TimeChart extends HTMLElement {
  static observedAttributes = ["src"];
  #off = new AbortController();
  #asked: AbortController | null = null;
  #plot: uPlot | null = null;
  #series: Series | null = null;
  #watch: ResizeObserver | null = null;

  connectedCallback(): void {
    this.#off = new AbortController();
    hear("theme:change", () => this.#draw(), this.#off.signal);
    this.#watch = new ResizeObserver(() => this.#plot?.setSize(this.#size()));
    this.#watch.observe(this);
    void this.#load();
  }

  disconnectedCallback(): void {
    this.#off.abort();
    this.#asked?.abort();
    this.#watch?.disconnect();
    this.#plot?.destroy();
    this.#plot = null;
    this.replaceChildren();
  }

  attributeChangedCallback(_name: string, before: string | null): void {
    if (before !== null && this.isConnected) void this.#load();
  }

  #size(): { width: number; height: number } {
    return { width: Math.max(120, this.clientWidth), height: Number(this.getAttribute("height") ?? 160) };
  }

  async #load(): Promise<void> {
    this.#asked?.abort(); // a newer request ends the older
    this.#asked = new AbortController();
    const { signal } = this.#asked;
    this.dataset.state = "loading";
    try {
      const answer = await fetch(this.getAttribute("src") ?? "", { signal });
      if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
      this.#series = (await answer.json()) as Series;
    } catch (error) {
      if (!signal.aborted) this.#message("error");
      if (!signal.aborted) console.error("time-chart:", error);
      return;
    }
    if (this.#series.v.some((value) => value !== null)) this.#draw();
    else this.#message("empty");
  }

  #message(state: "empty" | "error"): void {
    this.#plot?.destroy();
    this.#plot = null;
    const words = document.createElement("p");
    words.className = "empty";
    words.textContent = this.getAttribute(`text-${state}`);
    this.replaceChildren(words);
    this.dataset.state = state;
  }

  #draw(): void {
    const series = this.#series;
    if (!series || this.#asked?.signal.aborted) return;
    const css = getComputedStyle(this);
    const colour = (name: string) => css.getPropertyValue(name).trim();
    const font = `11px ${css.fontFamily}`;
    const axis = { stroke: colour("--ink-2"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font };
    const long = series.t.at(-1)! - series.t[0]! > 36 * 3600;
    const title = document.createElement("p");
    title.className = "chart-title";
    title.append(Object.assign(document.createElement("b"), { textContent: series.label }), ` ${series.unit}`);
    const value = title.appendChild(document.createElement("span"));
    const box = document.createElement("div");
    box.ariaHidden = "true"; // the table below says the same
    this.#plot?.destroy();
    const open = this.querySelector("details")?.open ?? false;
    this.replaceChildren(title, box, this.#table(series, open));
    this.#plot = new uPlot(
      {
        ...this.#size(),
        legend: { show: false },
        cursor: { drag: { x: true, y: false }, points: { size: 6 } },
        axes: [
          { ...axis, size: 28, values: (_plot, ticks) => ticks.map((t) => (long ? dayAndClock(t * 1000) : clock(t * 1000))), space: long ? 90 : 52 },
          { ...axis, size: 48, values: (_plot, ticks) => ticks.map((v) => number(v, 2)) },
        ],
        series: [{}, { stroke: colour("--chart-line"), width: 1.5, points: { show: false }, spanGaps: false }],
        hooks: {
          setCursor: [(plot) => {
            const at = plot.cursor.idx;
            const v = at === null || at === undefined ? null : series.v[at];
            value.textContent = v === null || v === undefined ? "" : `${dayAndClock(series.t[at!]! * 1000)} · ${number(v, 2)} ${series.unit}`;
          }],
        },
      },
      [series.t, series.v],
      box,
    );
    this.dataset.state = "ready";
  }

  #table(series: Series, open: boolean): HTMLDetailsElement {
    const details = document.createElement("details");
    details.open = open;
    details.append(Object.assign(document.createElement("summary"), { textContent: this.getAttribute("text-table") }));
    const table = details.appendChild(document.createElement("table"));
    table.createCaption().textContent = series.label;
    table.caption!.className = "vh";
    const head = table.createTHead().insertRow();
    for (const words of [this.getAttribute("text-time") ?? "", `${series.label} (${series.unit})`]) {
      const cell = head.appendChild(document.createElement("th"));
      cell.scope = "col";
      cell.textContent = words;
    }
    const body = table.createTBody();
    const step = Math.max(1, Math.ceil(series.t.length / ROWS));
    for (let i = series.t.length - 1; i >= 0; i -= step) {
      const row = body.insertRow();
      row.insertCell().textContent = dayAndClock(series.t[i]! * 1000);
      const v = series.v[i];
      const cell = row.insertCell();
      cell.className = "num";
      cell.textContent = v === null || v === undefined ? "–" : number(v, 2);
    }
    return details;
  }
}

customElements.define("time-chart", TimeChart);
