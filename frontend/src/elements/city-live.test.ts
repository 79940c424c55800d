import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { hear, type Link, type Reset } from "../live/city";

class Source extends EventTarget {
  static CLOSED = 2;
  static last: Source;
  readyState = 1;
  onerror: (() => void) | null = null;
  closed = false;
  constructor() {
    super();
    Source.last = this;
  }
  close(): void {
    this.closed = true;
  }
  say(name: string, data: unknown): void {
    this.dispatchEvent(new MessageEvent(name, { data: JSON.stringify(data), lastEventId: "1-1" }));
  }
}

const off = new AbortController();
let element: HTMLElement;

beforeEach(async () => {
  vi.useFakeTimers();
  Object.assign(globalThis, { EventSource: Source });
  Reflect.deleteProperty(navigator, "locks");
  await import("./city-live");
  element = document.createElement("city-live");
  element.setAttribute("text-live", "En vivo");
  element.setAttribute("text-late", "Datos de hace {age}");
  element.setAttribute("text-offline", "Sin conexión desde {time}");
  document.body.append(element);
});
afterEach(() => {
  element.remove();
  vi.useRealTimers();
});

const picture: Reset = { t: 1000, vehicles: [], alerts: [], counts: {} };

test("says live, then how old the data are, then since when there is no connection", () => {
  Source.last.say("reset", picture);
  expect([element.dataset.state, element.textContent]).toEqual(["live", "En vivo"]);
  vi.advanceTimersByTime(40_000);
  expect([element.dataset.state, element.textContent]).toEqual(["late", "Datos de hace 40\u00a0s"]);
  Source.last.onerror?.();
  expect(element.dataset.state).toBe("offline");
  expect(element.textContent).toMatch(/^Sin conexión desde \d\d:\d\d$/);
});

test("beats do not make old data young", () => {
  Source.last.say("reset", { ...picture, t: 100_000, at: 65_000 });
  Source.last.say("beat", { t: 100_001 });
  expect(element.dataset.state).toBe("late");
});

test("tells the page what it hears and answers who asks", () => {
  const links: Link[] = [];
  const resets: Reset[] = [];
  hear("city:link", (link) => links.push(link), off.signal);
  hear("city:reset", (reset) => resets.push(reset), off.signal);
  Source.last.say("reset", picture);
  expect(resets).toEqual([picture]);
  expect(links.at(-1)!.state).toBe("live");
  const reply = vi.fn();
  document.dispatchEvent(new CustomEvent("city:hello", { detail: { reply } }));
  expect(reply).toHaveBeenCalledOnce();
});

test("releases the connection when it leaves the page", () => {
  const source = Source.last;
  element.remove();
  expect(source.closed).toBe(true);
});
