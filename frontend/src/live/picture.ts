// The last reset with every later frame merged in: what a tab that arrives late is given.
import type { Alert, Counts, Frame, Reset, VehicleRow } from "./city";

export class Picture {
  #vehicles = new Map<number, VehicleRow>();
  #alerts = new Map<string, Alert>();
  #counts: Counts = {};
  #cursor = "";
  #t = 0;
  #at = 0;

  get empty(): boolean {
    return this.#t === 0;
  }

  reset(picture: Reset): void {
    this.#vehicles = new Map(picture.vehicles.map((row) => [row[0], row]));
    this.#alerts = new Map(picture.alerts.map((alert) => [alert.id, alert]));
    this.#counts = picture.counts;
    this.#cursor = picture.cursor ?? "";
    this.#t = picture.t;
    this.#at = picture.at ?? picture.t;
  }

  frame(frame: Frame, cursor = ""): void {
    for (const row of frame.vehicles ?? []) this.#vehicles.set(row[0], row);
    for (const key of frame.gone ?? []) this.#vehicles.delete(key);
    for (const alert of frame.alerts ?? []) {
      if (alert.status === "active") this.#alerts.set(alert.id, alert);
      else this.#alerts.delete(alert.id);
    }
    if (frame.counts) this.#counts = frame.counts;
    if (cursor) this.#cursor = cursor;
    this.#t = Math.max(this.#t, frame.t);
    this.#at = Math.max(this.#at, frame.at ?? 0);
  }

  beat(t: number): void {
    this.#t = Math.max(this.#t, t);
  }

  /** A copy in the shape of the server's own `reset`. */
  whole(): Reset {
    return {
      t: this.#t,
      at: this.#at,
      cursor: this.#cursor,
      vehicles: [...this.#vehicles.values()],
      alerts: [...this.#alerts.values()],
      counts: this.#counts,
    };
  }
}
