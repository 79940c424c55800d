// The last hours again: the city at a past moment, chosen by hand or played.
//
//   <time-slider src="/centro/momento.json" hours="6" step="60" text-error="…" text-speed="…">
//     <button type="button" data-play aria-pressed="false">…</button>
//     <input type="range" aria-label="Momento"> <output data-moment></output>
//     <button type="button" data-live>Volver a en vivo</button> <span data-message role="status"></span></time-slider>
//
// Fetches the picture of the moment, puts `t=` into the address and tells city:moment to map, list and figures;
// with "back to live" it tells city:moment null. `data-mode` is live | past.
import { query, setQuery } from "../live/address";
import { tell, type Reset } from "../live/city";
import { clock, dayAndClock } from "../live/format";

const PLAY_MS = 1200; // one step of the play, if the server keeps up

export class TimeSlider extends HTMLElement {
  #off = new AbortController();
  #asked: AbortController | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #play = false;

  connectedCallback(): void {
    this.#off = new AbortController();
    const { signal } = this.#off;
    const range = this.#range;
    range.addEventListener("input", () => this.#moved(150), { signal });
    this.querySelector("[data-play]")?.addEventListener("click", () => this.#playing(!this.#play), { signal });
    this.querySelector("[data-live]")?.addEventListener("click", () => this.live(), { signal });
    window.addEventListener("popstate", () => this.#fromAddress(), { signal });
    this.#scale();
    const ticking = setInterval(() => this.dataset.mode === "live" && this.#scale(), 30_000);
    signal.addEventListener("abort", () => clearInterval(ticking));
    this.dataset.mode = "live";
    this.#fromAddress();
  }

  disconnectedCallback(): void {
    this.#off.abort();
    this.#asked?.abort();
    clearTimeout(this.#timer);
  }

  get #range(): HTMLInputElement {
    return this.querySelector("input[type=range]")!;
  }

  /** The right end is now; the left end is `hours` ago; whole steps. */
  #scale(): void {
    const step = Number(this.getAttribute("step") ?? 60);
    const end = Math.floor(Date.now() / 1000 / step) * step;
    const range = this.#range;
    Object.assign(range, { min: String(end - Number(this.getAttribute("hours") ?? 6) * 3600), max: String(end), step: String(step) });
    if (this.dataset.mode !== "past") range.value = range.max;
    for (const [name, at] of [["start", range.min], ["end", range.max]] as const) {
      const place = this.querySelector(`[data-${name}]`);
      if (place) place.textContent = clock(Number(at) * 1000);
    }
    this.#say();
  }

  live(): void {
    this.#playing(false);
    this.#asked?.abort();
    clearTimeout(this.#timer);
    this.dataset.mode = "live";
    setQuery({ t: null });
    this.#message("");
    this.#scale();
    tell("city:moment", null);
  }

  #fromAddress(): void {
    const t = Date.parse(query("t")) / 1000;
    if (Number.isFinite(t)) {
      if (t < Number(this.#range.min)) this.#range.min = String(t);
      this.#range.value = String(t);
      this.#moved(0);
    } else if (this.dataset.mode === "past") this.live();
  }

  #say(): void {
    const ms = Number(this.#range.value) * 1000;
    this.#range.ariaValueText = dayAndClock(ms);
    const place = this.querySelector("[data-moment]");
    if (place) place.textContent = clock(ms);
  }

  #moved(wait: number): void {
    this.dataset.mode = "past";
    this.#say();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#ask(), wait);
  }

  async #ask(): Promise<void> {
    this.#asked?.abort();
    this.#asked = new AbortController();
    const { signal } = this.#asked;
    const t = new Date(Number(this.#range.value) * 1000).toISOString().replace(".000Z", "Z");
    setQuery({ t });
    const address = new URL(this.getAttribute("src") ?? "/centro/momento.json", location.href);
    address.searchParams.set("t", t);
    const began = Date.now();
    try {
      const answer = await fetch(address, { signal });
      if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
      const picture = (await answer.json()) as Reset;
      this.#message("");
      tell("city:moment", { t, picture });
    } catch (error) {
      if (signal.aborted) return;
      this.#message(this.getAttribute("text-error") ?? "");
      this.#playing(false);
      console.error("time-slider:", error);
      return;
    }
    if (this.#play) this.#timer = setTimeout(() => this.#next(), Math.max(0, PLAY_MS - (Date.now() - began)));
  }

  #next(): void {
    const range = this.#range;
    if (Number(range.value) >= Number(range.max)) return this.live();
    range.stepUp();
    this.#moved(0);
  }

  #playing(play: boolean): void {
    this.#play = play;
    const button = this.querySelector("[data-play]");
    if (button) button.ariaPressed = String(play);
    if (!play) return;
    const range = this.#range;
    if (this.dataset.mode === "live") range.value = range.min;
    this.#moved(0);
  }

  #message(words: string): void {
    const place = this.querySelector("[data-message]");
    if (place) place.textContent = words;
  }
}

customElements.define("time-slider", TimeSlider);
