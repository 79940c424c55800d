import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { followKeys } from "./shortcuts";

let off = new AbortController();
const press = (key: string, target: EventTarget = document.body) => target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
const make = <K extends keyof HTMLElementTagNameMap>(name: K, attributes: Record<string, string>): HTMLElementTagNameMap[K] => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return document.body.appendChild(element);
};

beforeEach(() => {
  localStorage.clear();
  off = new AbortController();
});
afterEach(() => {
  off.abort();
  document.body.replaceChildren();
});

test("/ gives the focus to the search; letters typed there do nothing", () => {
  const search = make("input", { type: "search", "data-key": "/" });
  const button = make("button", { "data-key": "x" });
  const pressed = vi.fn();
  button.addEventListener("click", pressed);
  followKeys(off.signal);
  press("/");
  expect(document.activeElement).toBe(search);
  press("x", search);
  expect(pressed).not.toHaveBeenCalled();
  press("x");
  expect(pressed).toHaveBeenCalledOnce();
});

test("g m presses what carries g m", () => {
  const pressed = vi.fn();
  make("button", { "data-key": "g m" }).addEventListener("click", pressed);
  followKeys(off.signal);
  press("m");
  expect(pressed).not.toHaveBeenCalled();
  press("g");
  press("m");
  expect(pressed).toHaveBeenCalledOnce();
});

test("j and k walk over the rows and stop at the ends", () => {
  const rows = ["1", "2"].map((id) => make("a", { href: "#", id, "data-row": "" }));
  for (const row of rows) row.scrollIntoView = () => undefined;
  followKeys(off.signal);
  press("j");
  expect(document.activeElement).toBe(rows[0]);
  press("j");
  press("j");
  expect(document.activeElement).toBe(rows[1]);
  press("k");
  expect(document.activeElement).toBe(rows[0]);
});

test("single letters can be turned off", () => {
  const pressed = vi.fn();
  make("button", { "data-key": "x" }).addEventListener("click", pressed);
  localStorage.setItem("letters", "off");
  followKeys(off.signal);
  press("x");
  expect(pressed).not.toHaveBeenCalled();
});
