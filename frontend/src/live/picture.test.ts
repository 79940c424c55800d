import { expect, test } from "vitest";
import type { Alert } from "./city";
import { Picture } from "./picture";

const alert = (id: string, status: string): Alert => ({
  id, status, severity: "high", category: "traffic", description: "", issued: "2026-11-22T10:00:00Z", lon: -73.1, lat: 7.1,
});

test("frames are merged: changed rows replace, gone rows leave, cleared alerts leave", () => {
  const picture = new Picture();
  expect(picture.empty).toBe(true);
  picture.reset({
    t: 1, cursor: "1-1", counts: {}, alerts: [alert("a", "active"), alert("b", "active")],
    vehicles: [[1, "v1", 0, 0, "ok", 0, ""], [2, "v2", 0, 0, "ok", 0, ""]],
  });
  picture.frame({ t: 5, at: 4, vehicles: [[2, "v2", 1, 1, "stale", 0, ""]], gone: [1], alerts: [alert("a", "cleared")], counts: { vehicle: { stale: 1 } } }, "1-2");
  const whole = picture.whole();
  expect(whole.vehicles).toEqual([[2, "v2", 1, 1, "stale", 0, ""]]);
  expect(whole.alerts.map(({ id }) => id)).toEqual(["b"]);
  expect(whole).toMatchObject({ t: 5, at: 4, cursor: "1-2", counts: { vehicle: { stale: 1 } } });
});

test("a beat moves the clock and nothing else", () => {
  const picture = new Picture();
  picture.reset({ t: 10, counts: {}, alerts: [], vehicles: [] });
  picture.beat(20);
  expect(picture.whole()).toMatchObject({ t: 20, at: 10 });
});
