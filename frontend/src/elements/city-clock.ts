// The city's time, 24 hours:  <city-clock><time></time></city-clock>
import { clock, day } from "../live/format";

export class CityClock extends HTMLElement {
  #timer: ReturnType<typeof setInterval> | undefined;

  connectedCallback(): void {
    this.#show();
    this.#timer = setInterval(() => this.#show(), 1000);
  }

  disconnectedCallback(): void {
    clearInterval(this.#timer);
  }

  #show(): void {
    const place = this.querySelector("time");
    const now = Date.now();
    const words = `${day(now)} · ${clock(now)}`;
    if (place && place.textContent !== words) place.textContent = words;
  }
}

customElements.define("city-clock", CityClock);
