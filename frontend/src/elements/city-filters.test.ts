import { afterEach, beforeEach, expect, test } from "vitest";
import { hear, type Filter } from "../live/city";
import "./city-filters";

let heard: Filter[] = [];
let off: AbortController;

function add(name: string, attributes: Record<string, string>, parent: Element): HTMLElement {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return parent.appendChild(element);
}

beforeEach(() => {
  heard = [];
  off = new AbortController();
  hear("city:filter", (filter) => heard.push(filter), off.signal);
  for (const layer of ["vehicle", "streetlight"]) add("input", { type: "checkbox", name: "capas", value: layer, "data-layer": layer, checked: "", form: "filters" }, document.body);
  const place = document.createElement("city-filters");
  const form = add("form", { id: "filters" }, place);
  const select = add("select", { name: "estado" }, form);
  add("option", { value: "" }, select);
  add("option", { value: "fault" }, select);
  document.body.append(place);
});
afterEach(() => {
  off.abort();
  document.body.replaceChildren();
});

test("tells at the start what is filtered: all boxes on means no filter", () => {
  expect(heard).toEqual([{ layers: null, state: "", commune: "", q: "" }]);
});

test("a change of a field is told", () => {
  const select = document.querySelector("select")!;
  select.value = "fault";
  select.dispatchEvent(new Event("change", { bubbles: true }));
  expect(heard.at(-1)).toMatchObject({ state: "fault" });
});
