// The things on the map, by key, and the GeoJSON that MapLibre draws from them.
import type { Feature, FeatureCollection, Point } from "geojson";
import type { Alert, Frame, Layers, Reset, State, ThingRow, VehicleRow } from "../live/city";
import { POINTS, PRIORITY } from "./things";

export interface Spot {
  id: string;
  lon: number;
  lat: number;
}

const point = (key: number, lon: number, lat: number, properties: object): Feature<Point> => ({
  type: "Feature", id: key, geometry: { type: "Point", coordinates: [lon, lat] }, properties: { ...properties },
});
const collection = (features: Feature<Point>[]): FeatureCollection<Point> => ({ type: "FeatureCollection", features });

export class Store {
  /** Only things in this state are drawn; empty means all. "abnormal" means all that are not ok. */
  state = "";
  vehicles = new Map<number, VehicleRow>();
  alerts = new Map<string, Alert>();
  things = new Map<string, Map<number, ThingRow>>(POINTS.map((name) => [name, new Map()]));
  /** Street lamps that are not ok. */
  abnormal = new Map<number, ThingRow>();

  /** In a replay the faults of that moment stay; what stands in the city is as now. */
  layers(layers: Layers, past = false): void {
    for (const name of POINTS) this.things.set(name, new Map((layers.layers[name] ?? []).map((row) => [row[0], row])));
    if (!past) this.#abnormal(layers.abnormal);
  }

  reset(picture: Reset): void {
    this.vehicles = new Map(picture.vehicles.map((row) => [row[0], row]));
    this.alerts = new Map(picture.alerts.filter((a) => a.status === "active").map((alert) => [alert.id, alert]));
    if (picture.abnormal) this.#abnormal(picture.abnormal);
  }

  /** Takes a frame in and tells which sources it changed. */
  frame(frame: Frame): Set<string> {
    const changed = new Set<string>();
    for (const row of frame.vehicles ?? []) this.vehicles.set(row[0], row);
    for (const key of frame.gone ?? []) this.vehicles.delete(key);
    if (frame.vehicles?.length || frame.gone?.length) changed.add("vehicle");
    for (const alert of frame.alerts ?? []) {
      if (alert.status === "active") this.alerts.set(alert.id, alert);
      else this.alerts.delete(alert.id);
      changed.add("alert");
    }
    for (const row of frame.things ?? []) {
      const layer = row[6] ?? "streetlight";
      if (layer === "streetlight") {
        if (row[4] === "ok") this.abnormal.delete(row[0]);
        else this.abnormal.set(row[0], row);
        changed.add("abnormal");
      } else if (this.things.has(layer)) {
        this.things.get(layer)!.set(row[0], row);
        changed.add(layer);
      }
    }
    return changed;
  }

  draw(source: string): FeatureCollection<Point> {
    if (source === "vehicle") return this.#vehicles();
    if (source === "alert") return this.#alerts();
    const rows = source === "abnormal" ? this.abnormal : (this.things.get(source) ?? new Map<number, ThingRow>());
    const features: Feature<Point>[] = [];
    for (const [key, id, lon, lat, state] of rows.values())
      if (this.shows(state)) features.push(point(key, lon, lat, { id, state }));
    return collection(features);
  }

  shows(state: State): boolean {
    return !this.state || this.state === state || (this.state === "abnormal" && state !== "ok");
  }

  find(id: string): Spot | null {
    for (const rows of [this.vehicles, this.abnormal, ...this.things.values()])
      for (const row of rows.values()) if (row[1] === id) return { id, lon: row[2], lat: row[3] };
    const alert = this.alerts.get(id);
    return alert && alert.lon !== null && alert.lat !== null ? { id, lon: alert.lon, lat: alert.lat } : null;
  }

  #abnormal(rows: ThingRow[]): void {
    this.abnormal = new Map(rows.filter((row) => (row[6] ?? "streetlight") === "streetlight").map((row) => [row[0], row]));
  }

  #vehicles(): FeatureCollection<Point> {
    const features: Feature<Point>[] = [];
    for (const [key, id, lon, lat, state, bearing, label] of this.vehicles.values())
      if (this.shows(state)) features.push(point(key, lon, lat, bearing === null ? { id, state, label } : { id, state, bearing, label }));
    return collection(features);
  }

  #alerts(): FeatureCollection<Point> {
    const features: Feature<Point>[] = [];
    let key = 0;
    for (const { id, lon, lat, severity } of this.alerts.values())
      if (lon !== null && lat !== null) features.push(point(++key, lon, lat, { id, severity, priority: PRIORITY[severity] ?? 5 }));
    return collection(features);
  }
}
