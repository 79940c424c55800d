import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { hear, tell } from "../live/city";

const ajax = vi.hoisted(() => vi.fn(() => Promise.resolve()));
vi.mock("htmx.org/dist/htmx.esm.js", () => ({ default: { ajax } }));

let drawer: HTMLElement;
let list: HTMLElement;
let row: HTMLElement;
let off: AbortController;

beforeEach(async () => {
  await import("./city-drawer");
  off = new AbortController();
  history.replaceState(null, "", "/centro/");
  list = document.body.appendChild(document.createElement("section"));
  row = list.appendChild(document.createElement("a"));
  Object.assign(row, { href: "#", id: "row-1" });
  Object.assign(row.dataset, { thing: "Camera:x:1", lon: "-73.1", lat: "7.1" });
  drawer = document.createElement("city-drawer");
  drawer.hidden = true;
  drawer.setAttribute("src", "/centro/cosa/{id}/");
  drawer.appendChild(document.createElement("div")).dataset.body = "";
  document.body.append(drawer);
});
afterEach(() => {
  off.abort();
  document.body.replaceChildren();
});

test("a row selects its thing: the drawer opens over the list and the address says it", async () => {
  const select = vi.fn();
  hear("city:select", select, off.signal);
  row.click();
  await vi.waitFor(() => expect(drawer.hidden).toBe(false));
  expect(select).toHaveBeenCalledWith({ id: "Camera:x:1", lon: -73.1, lat: 7.1, from: "list" });
  expect(ajax).toHaveBeenCalledWith("get", "/centro/cosa/Camera:x:1/", expect.anything());
  expect(location.search).toBe("?cosa=Camera:x:1");
  expect(list.inert).toBe(true);
});

test("Escape closes it, frees the list and gives the focus back", () => {
  const unselect = vi.fn();
  hear("city:unselect", unselect, off.signal);
  row.click();
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
  expect(drawer.hidden).toBe(true);
  expect(list.inert).toBe(false);
  expect(document.activeElement).toBe(row);
  expect(location.search).toBe("");
  expect(unselect).toHaveBeenCalledOnce();
});

test("the same thing chosen twice is asked for once", () => {
  ajax.mockClear();
  tell("city:select", { id: "Camera:x:2", from: "map" });
  tell("city:select", { id: "Camera:x:2", from: "map" });
  expect(ajax).toHaveBeenCalledOnce();
});
