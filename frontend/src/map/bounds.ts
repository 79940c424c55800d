// Where to look: the box around the given features.
import type { Feature, FeatureCollection, Position } from "geojson";
import type { Bounds } from "./scene";

export function boundsOf(features: Feature[]): Bounds | null {
  let [west, south, east, north] = [Infinity, Infinity, -Infinity, -Infinity];
  const walk = (value: unknown): void => {
    if (!Array.isArray(value)) return;
    if (typeof value[0] === "number") {
      const [lon, lat] = value as Position as [number, number];
      west = Math.min(west, lon);
      east = Math.max(east, lon);
      south = Math.min(south, lat);
      north = Math.max(north, lat);
    } else value.forEach(walk);
  };
  for (const { geometry } of features) if (geometry && "coordinates" in geometry) walk(geometry.coordinates);
  return west <= east ? [west, south, east, north] : null;
}

/** The built-up part: municipalities reach far into the mountains, the city's things do not. */
export function cityBounds(base: FeatureCollection): Bounds | null {
  for (const kinds of [["road"], ["commune"], ["municipality"]]) {
    const bounds = boundsOf(base.features.filter((feature) => kinds.includes(feature.properties?.kind as string)));
    if (bounds) return bounds;
  }
  return boundsOf(base.features);
}
