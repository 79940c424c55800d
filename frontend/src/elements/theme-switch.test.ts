import { beforeEach, expect, test } from "vitest";
import { hear } from "../live/city";
import "./theme-switch";

beforeEach(() => {
  localStorage.clear();
  document.documentElement.dataset.themeDefault = "dark";
  const element = document.createElement("theme-switch");
  const select = element.appendChild(document.createElement("select"));
  for (const value of ["", "dark", "light", "grey"]) select.appendChild(document.createElement("option")).value = value;
  document.body.replaceChildren(element);
});

test("the choice is kept and told; without a choice the page decides", () => {
  const told: string[] = [];
  const off = new AbortController();
  hear("theme:change", ({ theme }) => told.push(theme), off.signal);
  const select = document.querySelector("select")!;
  for (const value of ["grey", ""]) {
    select.value = value;
    select.dispatchEvent(new Event("change"));
  }
  off.abort();
  expect(told).toEqual(["grey", "dark"]);
  expect(document.documentElement.dataset.theme).toBe("dark");
  expect(localStorage.getItem("theme")).toBeNull();
});
