import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { hear, type CityEvents } from "../live/city";
import "./time-slider";

let heard: CityEvents["city:moment"][] = [];
let off: AbortController;
let slider: HTMLElement;

function part(name: string, attributes: Record<string, string>): HTMLElement {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return slider.appendChild(element);
}

beforeEach(() => {
  heard = [];
  off = new AbortController();
  hear("city:moment", (moment) => heard.push(moment), off.signal);
  vi.stubGlobal("fetch", vi.fn(() => Promise.resolve(new Response(JSON.stringify({ t: 5, vehicles: [], alerts: [], counts: {} })))));
  slider = document.createElement("time-slider");
  part("input", { type: "range" });
  part("button", { "data-live": "" });
  part("span", { "data-message": "" });
  document.body.append(slider);
});
afterEach(() => {
  off.abort();
  document.body.replaceChildren();
});

const range = () => slider.querySelector("input")!;
const move = (seconds: number): void => {
  range().value = String(Number(range().max) - seconds);
  range().dispatchEvent(new Event("input", { bubbles: true }));
};

test("six hours back, in whole minutes", () => {
  expect(Number(range().max) - Number(range().min)).toBe(6 * 3600);
  expect(Number(range().max) % 60).toBe(0);
});

test("moving it shows the past, the button returns to the present", async () => {
  move(3600);
  await vi.waitFor(() => expect(heard).toHaveLength(1));
  expect(heard[0]!.t).toBe(new Date((Number(range().max) - 3600) * 1000).toISOString().replace(".000Z", "Z"));
  expect(slider.dataset.mode).toBe("past");
  slider.querySelector("button")!.click();
  expect(heard.at(-1)).toBeNull();
  expect(slider.dataset.mode).toBe("live");
});

test("a moment that cannot be had is said, and nothing changes on the map", async () => {
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  vi.stubGlobal("fetch", () => Promise.resolve(new Response("", { status: 404 })));
  slider.setAttribute("text-error", "No hay datos");
  move(3600);
  await vi.waitFor(() => expect(slider.querySelector("[data-message]")!.textContent).toBe("No hay datos"));
  expect(heard).toEqual([]);
});
