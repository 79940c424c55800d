import type { FeatureCollection } from "geojson";
import { expect, test } from "vitest";
import { boundsOf, cityBounds } from "./bounds";

const base: FeatureCollection = {
  type: "FeatureCollection",
  features: [
    { type: "Feature", properties: { kind: "municipality" }, geometry: { type: "Polygon", coordinates: [[[-74, 6], [-72, 6], [-72, 8], [-74, 6]]] } },
    { type: "Feature", properties: { kind: "road" }, geometry: { type: "LineString", coordinates: [[-73.2, 7], [-73, 7.2]] } },
  ],
};

test("the picture is around the streets, not around the mountains", () => expect(cityBounds(base)).toEqual([-73.2, 7, -73, 7.2]));
test("without streets it is around what there is", () => expect(cityBounds({ ...base, features: base.features.slice(0, 1) })).toEqual([-74, 6, -72, 8]));
test("nothing has no bounds", () => expect(boundsOf([])).toBeNull());
