import { afterEach, expect, test } from "vitest";
import { tell } from "./city";
import { countsOf, followCounts, valueOf } from "./counts";

const counts = { camera: { ok: 90, fault: 7, offline: 3 } };
let off = new AbortController();

afterEach(() => {
  off.abort();
  off = new AbortController();
  document.body.replaceChildren();
});

test.each([
  ["camera.fault", 7], ["camera.*", 100], ["camera.!ok", 10], ["camera.%ok", 90], ["camera.fault+offline", 10],
  ["camera.stale", 0], ["bus.ok", null],
])("%s is %s", (name, value) => expect(valueOf(counts, name)).toBe(value));

test("active alerts are counted here when the server does not", () => {
  const alert = (severity: string, status: string) => ({ id: severity + status, severity, status, category: "", description: "", issued: "", lon: null, lat: null });
  const picture = { t: 1, vehicles: [], counts: {}, alerts: [alert("critical", "active"), alert("low", "cleared")] };
  expect(countsOf(picture).alert).toEqual({ critical: 1 });
});

test("figures follow the city, stand still in the past and return", () => {
  document.documentElement.lang = "es";
  document.documentElement.dataset.thousand = "1.000";
  const figure = Object.assign(document.createElement("b"), { textContent: "–" });
  figure.dataset.count = "vehicle.ok";
  document.body.append(figure);
  followCounts(off.signal);
  const picture = (n: number) => ({ t: 1, vehicles: [], alerts: [], counts: { vehicle: { ok: n } } });
  tell("city:reset", picture(1234));
  expect(figure.textContent).toBe("1.234");
  tell("city:moment", { t: "2026-11-22T10:00:00Z", picture: picture(9) });
  tell("city:frame", { t: 2, counts: { vehicle: { ok: 1235 } } });
  expect(figure.textContent).toBe("9");
  tell("city:moment", null);
  expect(figure.textContent).toBe("1.235");
});
