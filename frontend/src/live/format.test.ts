import { beforeEach, expect, test } from "vitest";
import { age, clock, fill, number } from "./format";

beforeEach(() => {
  document.documentElement.lang = "es";
  document.documentElement.dataset.locale = "es-CO";
  document.documentElement.dataset.tz = "America/Bogota";
  document.documentElement.dataset.thousand = "1\u00a0000";
});

test("numbers have a decimal comma and the server's thousands mark", () => {
  expect(number(1234567.84)).toBe("1\u00a0234\u00a0567,8");
  expect(number(1000, 0)).toBe("1\u00a0000");
});

test("the clock has 24 hours and is Bogota's", () => expect(clock(Date.parse("2026-11-22T22:05:00Z"))).toBe("17:05"));

test.each([[40, "40\u00a0s"], [720, "12\u00a0min"], [10_800, "3\u00a0h"]])("%s s reads %s", (seconds, words) => expect(age(seconds)).toBe(words));

test("names in braces are filled in, unknown ones stay", () => expect(fill("Datos de hace {age} {x}", { age: "40 s" })).toBe("Datos de hace 40 s {x}"));
