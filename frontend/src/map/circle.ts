// Shapes of the asked place, as the query means them.
import type { Feature, Polygon } from "geojson";

const EARTH_M = 6_371_008.8;

/** All points at a distance from another: a circle on the globe, near enough for a picture. */
export function circle(lon: number, lat: number, metres: number, steps = 72): Feature<Polygon> {
  const tall = (metres / EARTH_M) * (180 / Math.PI);
  const wide = tall / Math.max(0.01, Math.cos((lat * Math.PI) / 180));
  const ring = Array.from({ length: steps + 1 }, (_, i) => {
    const angle = (2 * Math.PI * (i % steps)) / steps;
    return [lon + wide * Math.cos(angle), lat + tall * Math.sin(angle)];
  });
  return { type: "Feature", properties: {}, geometry: { type: "Polygon", coordinates: [ring] } };
}

/** The box of "west,south,east,north"; null when it is none. */
export function box(text: string): Feature<Polygon> | null {
  const [west, south, east, north, ...more] = text.split(",").map(Number);
  if (more.length || ![west, south, east, north].every(Number.isFinite) || west! >= east! || south! >= north!) return null;
  const ring = [[west!, south!], [east!, south!], [east!, north!], [west!, north!], [west!, south!]];
  return { type: "Feature", properties: {}, geometry: { type: "Polygon", coordinates: [ring] } };
}
