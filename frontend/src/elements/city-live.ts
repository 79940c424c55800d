// The living connection to the city, and its state in words.
//
//   <city-live src="/events/city"
//     text-wait="Conectando…" text-live="En vivo" text-late="Datos de hace {age}"
//     text-offline="Sin conexión desde {time}" text-past="Está viendo las {time}">
//     <span data-words>Conectando…</span><span data-said class="vh" role="status"></span></city-live>
//
// Tells the page, on `document`: city:reset, city:frame, city:beat (as the server sends them) and city:link.
// Answers city:hello with the whole picture so far. `data-state` is wait | live | late | offline,
// or past while the page replays an earlier moment.
import { hear, tell, type Link, type LinkState } from "../live/city";
import { age, clock, fill } from "../live/format";
import { Relay } from "../live/relay";

const LATE_S = 20;

export class CityLive extends HTMLElement {
  #relay: Relay | null = null;
  #off = new AbortController();
  #timer: ReturnType<typeof setInterval> | undefined;
  #up: boolean | null = null;
  #since: number | null = null;
  #newest: number | null = null; // of the data, in this browser's milliseconds
  #past: number | null = null; // the replayed moment
  #words: HTMLElement | null = null;
  #link = "";

  connectedCallback(): void {
    this.#off = new AbortController();
    this.#words = this.querySelector("[data-words]") ?? this.appendChild(document.createElement("span"));
    this.#relay = new Relay(this.getAttribute("src") ?? "/events/city", {
      reset: (picture) => {
        this.#aged(picture.t, picture.at);
        tell("city:reset", picture);
      },
      frame: (frame) => {
        this.#aged(frame.t, frame.at);
        tell("city:frame", frame);
      },
      beat: (t) => tell("city:beat", { t }),
      link: (up, since) => {
        this.#up = up;
        this.#since = since;
        this.#say();
      },
    });
    const relay = this.#relay;
    hear("city:hello", ({ reply }) => relay.picture.empty || reply(relay.picture.whole()), this.#off.signal);
    hear("city:moment", (moment) => {
      this.#past = moment ? Date.parse(moment.t) : null;
      this.#say();
    }, this.#off.signal);
    relay.start();
    this.#timer = setInterval(() => this.#say(), 1000);
    this.#say();
  }

  disconnectedCallback(): void {
    this.#off.abort();
    clearInterval(this.#timer);
    this.#relay?.stop();
    this.#relay = null;
  }

  /** The server's clock and ours may differ: only the distance between its two times counts. */
  #aged(now: number, at: number | undefined): void {
    this.#up = true;
    this.#newest = Date.now() - Math.max(0, now - (at ?? now));
    this.#say();
  }

  #say(): void {
    const seconds = this.#newest === null ? null : Math.max(0, (Date.now() - this.#newest) / 1000);
    let state: LinkState = "wait";
    if (this.#past !== null) state = "past";
    else if (this.#up === false) state = "offline";
    else if (seconds !== null) state = seconds > LATE_S ? "late" : "live";
    const words = fill(this.getAttribute(`text-${state}`) ?? "", {
      age: age(seconds ?? 0),
      time: clock(this.#past ?? this.#since ?? Date.now()),
    });
    if (this.#words && this.#words.textContent !== words) this.#words.textContent = words;
    if (this.dataset.state !== state) {
      // A screen reader hears of a new state, not of each second that passes.
      const said = this.querySelector("[data-said]");
      if (said && this.dataset.state) said.textContent = words;
      this.dataset.state = state;
    }
    document.documentElement.dataset.link = state;
    const link: Link = { state, age: seconds, since: this.#since };
    const told = `${state} ${this.#since} ${seconds === null ? "" : Math.round(seconds)}`;
    if (told !== this.#link) tell("city:link", link);
    this.#link = told;
  }
}

customElements.define("city-live", CityLive);
