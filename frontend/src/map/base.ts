// The built-in base map: the city's own GeoJSON, about fifteen layers, no tile server and no glyphs from outside.
import type { ExpressionSpecification, LayerSpecification } from "maplibre-gl";
import type { Palette } from "./palette";

export const FONT = ["Noto Sans"];

/** Width in pixels at zoom 10, 14 and 18. */
const width = (at10: number, at14: number, at18: number): ExpressionSpecification => [
  "interpolate", ["exponential", 1.5], ["zoom"], 10, at10, 14, at14, 18, at18,
];
const kind = (value: string): ExpressionSpecification => ["==", ["get", "kind"], value];
const road = (value: string): ExpressionSpecification => ["all", kind("road"), ["==", ["get", "class"], value]];

const ROADS = [
  ["street", 0.15, 1, 9, 12.2],
  ["secondary", 0.4, 2, 13, 10.5],
  ["arterial", 0.9, 3.4, 20, 0],
] as const;

/** Layers under the city's things. */
export function ground(colours: Palette): LayerSpecification[] {
  const fill = (id: string, colour: string): LayerSpecification => ({
    id, type: "fill", source: "base", filter: ["all", kind(id), ["==", ["geometry-type"], "Polygon"]], paint: { "fill-color": colour },
  });
  const line = (layer: object): LayerSpecification =>
    ({ type: "line", source: "base", layout: { "line-cap": "round", "line-join": "round" }, ...layer }) as never;
  return [
    { id: "land", type: "background", paint: { "background-color": colours.land } },
    { ...fill("commune", colours.urban), id: "urban" } as LayerSpecification,
    fill("wood", colours.wood),
    fill("park", colours.park),
    fill("water", colours.water),
    line({
      id: "stream", filter: ["all", kind("water"), ["==", ["geometry-type"], "LineString"]],
      paint: { "line-color": colours.water, "line-width": width(1.2, 4, 14) },
    }),
    line({
      id: "neighbourhood-line", minzoom: 13, filter: kind("neighbourhood"),
      paint: { "line-color": colours.commune, "line-width": 0.75, "line-dasharray": [2, 3], "line-opacity": 0.7 },
    }),
    line({
      id: "commune-line", filter: kind("commune"),
      paint: { "line-color": colours.commune, "line-width": width(0.5, 1.2, 2), "line-dasharray": [4, 3] },
    }),
    line({
      id: "municipality-line", filter: kind("municipality"),
      paint: { "line-color": colours.border, "line-width": width(0.8, 1.6, 3) },
    }),
    ...ROADS.map(([name, a, b, c, minzoom]) => line({
      id: `${name}-casing`, minzoom: Math.max(minzoom, 12.5), filter: road(name),
      paint: { "line-color": colours.casing, "line-width": width(a + 1, b + 1.6, c + 3) },
    })),
    ...ROADS.map(([name, a, b, c, minzoom]) => line({
      id: name, minzoom, filter: road(name),
      paint: { "line-color": colours[name], "line-width": width(a, b, c) },
    })),
    line({
      id: "route", filter: kind("route"),
      paint: { "line-color": colours.route, "line-width": width(0.8, 1.6, 4), "line-opacity": 0.5 },
    }),
    line({
      id: "commune-chosen", filter: ["==", ["get", "code"], ""],
      paint: { "line-color": colours.selected, "line-width": 2 },
    }),
  ];
}

/** Names: those of roads lie under the things, those of places over them. */
export function names(colours: Palette): LayerSpecification[] {
  const halo = { "text-halo-color": colours.halo, "text-halo-width": 1.6 };
  const place = (rank: number, minzoom: number, maxzoom: number, size: [number, number]): LayerSpecification => ({
    id: `place-${rank}`, type: "symbol", source: "base", minzoom, maxzoom,
    filter: ["all", kind("place"), ["==", ["coalesce", ["get", "rank"], 2], rank]],
    layout: {
      "text-field": ["get", "name"], "text-font": FONT, "text-max-width": 8, "text-padding": 4,
      "text-variable-anchor": ["center", "bottom", "top", "left", "right"], "text-radial-offset": 1.4,
      "text-size": ["interpolate", ["linear"], ["zoom"], 10, size[0], 15, size[1]],
      "text-letter-spacing": rank === 1 ? 0.06 : 0.02,
    },
    paint: { "text-color": rank === 1 ? colours.place : colours.text, ...halo },
  });
  return [
    {
      id: "road-name", type: "symbol", source: "base", minzoom: 14, filter: kind("road"),
      layout: {
        "symbol-placement": "line", "text-field": ["coalesce", ["get", "name"], ""], "text-size": 11, "text-font": FONT,
        "symbol-spacing": 380,
      },
      paint: { "text-color": colours.text, ...halo },
    },
    {
      id: "arterial-name", type: "symbol", source: "base", minzoom: 12, maxzoom: 14, filter: road("arterial"),
      layout: {
        "symbol-placement": "line", "text-field": ["coalesce", ["get", "name"], ""], "text-size": 11, "text-font": FONT,
        "symbol-spacing": 460,
      },
      paint: { "text-color": colours.text, ...halo },
    },
    place(2, 11.8, 15.5, [11, 14]),
    place(1, 8, 14.5, [13, 17]),
  ];
}
