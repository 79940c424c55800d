import { beforeEach, expect, test } from "vitest";
import "./query-form";

function field<T extends keyof HTMLElementTagNameMap>(form: HTMLElement, tag: T, attributes: Record<string, string>) {
  const made = form.appendChild(document.createElement(tag));
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

let select: HTMLSelectElement;
let near: HTMLElement;
let input: HTMLInputElement;
let fault: HTMLElement;

beforeEach(() => {
  const element = document.createElement("query-form");
  const form = element.appendChild(document.createElement("form"));
  select = field(form, "select", { name: "lugar" });
  for (const value of ["", "cerca"]) select.appendChild(document.createElement("option")).value = value;
  near = field(form, "div", { "data-place": "cerca" });
  input = field(form, "input", { "aria-describedby": "h-q fault-q" });
  fault = field(form, "div", { id: "fault-q" });
  document.body.replaceChildren(element);
});

test("only the fields of the chosen kind of place are shown", () => {
  expect(near.hidden).toBe(true);
  select.value = "cerca";
  select.dispatchEvent(new Event("change", { bubbles: true }));
  expect(near.hidden).toBe(false);
});

test("a field with a fault is invalid until the fault is gone", () => {
  expect(input.getAttribute("aria-invalid")).toBeNull();
  fault.textContent = "falta una comilla";
  document.dispatchEvent(new Event("htmx:afterSettle"));
  expect(input.getAttribute("aria-invalid")).toBe("true");
  fault.textContent = " ";
  document.dispatchEvent(new Event("htmx:oobAfterSwap"));
  expect(input.getAttribute("aria-invalid")).toBeNull();
});
