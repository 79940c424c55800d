import { expect, test } from "vitest";
import type { ThingRow } from "../live/city";
import { Store } from "./store";

const lamp = (key: number, state: ThingRow[4]): ThingRow => [key, `Streetlight:x:${key}`, -73, 7, state, null, "streetlight"];

function city(): Store {
  const store = new Store();
  store.layers({
    cursor: "1-1", t: 1, counts: {},
    layers: { camera: [[5, "Camera:x:5", -73, 7, "ok", null]] },
    abnormal: [lamp(1, "fault"), lamp(2, "offline")],
  });
  store.reset({ t: 1, counts: {}, alerts: [], vehicles: [[9, "Vehicle:x:9", -73, 7, "ok", null, "P9"]] });
  return store;
}

test("a lamp that is well again leaves the abnormal ones, a new fault joins them", () => {
  const store = city();
  const changed = store.frame({ t: 2, things: [lamp(1, "ok"), lamp(3, "fault")] });
  expect([...changed]).toEqual(["abnormal"]);
  expect(store.draw("abnormal").features.map(({ id }) => id)).toEqual([2, 3]);
});

test("a frame tells which sources it changed", () => {
  const store = city();
  expect([...store.frame({ t: 2, gone: [9], things: [[5, "Camera:x:5", -73, 7, "fault", null, "camera"]] })]).toEqual(["vehicle", "camera"]);
  expect(store.draw("vehicle").features).toHaveLength(0);
  expect(store.draw("camera").features[0]!.properties).toMatchObject({ state: "fault" });
});

test("only things in the chosen state are drawn", () => {
  const store = city();
  store.state = "abnormal";
  expect(store.draw("camera").features).toHaveLength(0);
  expect(store.draw("abnormal").features).toHaveLength(2);
  store.state = "offline";
  expect(store.draw("abnormal").features.map(({ id }) => id)).toEqual([2]);
});

test("a bus without bearing is drawn as one that stands", () => {
  expect(city().draw("vehicle").features[0]!.properties).not.toHaveProperty("bearing");
});

test("things are found by their id, whatever their kind", () => {
  expect(city().find("Camera:x:5")).toMatchObject({ lon: -73, lat: 7 });
  expect(city().find("Camera:x:6")).toBeNull();
});

test("in a replay the faults of that moment stay when the standing things are loaded", () => {
  const store = new Store();
  store.reset({ t: 1, counts: {}, alerts: [], vehicles: [], abnormal: [lamp(7, "fault")] });
  store.layers({ cursor: "1-1", t: 1, counts: {}, layers: {}, abnormal: [lamp(1, "fault")] }, true);
  expect(store.draw("abnormal").features.map(({ id }) => id)).toEqual([7]);
});
