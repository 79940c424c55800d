// The layers of the city's things. Normal is quiet: one muted colour; colour and a shape of its own say "look here".
import type { ExpressionSpecification, LayerSpecification, SourceSpecification } from "maplibre-gl";
import { FONT } from "./base";
import type { Palette } from "./palette";

/** The kinds of things that come as rows in capas.json; each has a source and a layer of its own name. */
export const POINTS = ["stop", "accesspoint", "camera", "station"] as const;

/** Which map layers belong to a box of the legend. */
export const BELONGS: Record<string, string[]> = {
  streetlight: ["lamps", "abnormal", "cluster", "cluster-count"],
  vehicle: ["vehicle"],
  alert: ["alert", "alert-number"],
  route: ["route"],
  ...Object.fromEntries(POINTS.map((name) => [name, [name, `${name}-quiet`]])),
};

/** What answers a click, the most important first. */
export const ANSWERS = ["alert", "cluster", "abnormal", "vehicle", "station", "camera", "accesspoint", "stop", "lamps"];

/** Alerts stand beside their place, so that a count there stays readable. */
const BESIDE: [number, number] = [15, -15];

const empty = { type: "FeatureCollection" as const, features: [] };

export function sources(tiles: string): Record<string, SourceSpecification> {
  return {
    lamps: { type: "vector", tiles: [tiles], minzoom: 9, maxzoom: 15 },
    abnormal: {
      type: "geojson", data: empty, cluster: true, clusterRadius: 44, clusterMaxZoom: 13, clusterMinPoints: 4,
      clusterProperties: {
        offline: ["+", ["case", ["==", ["get", "state"], "offline"], 1, 0]],
      },
    },
    vehicle: { type: "geojson", data: empty },
    alert: { type: "geojson", data: empty },
    chosen: { type: "geojson", data: empty },
    ...Object.fromEntries(POINTS.map((name) => [name, { type: "geojson", data: empty } as SourceSpecification])),
  };
}

const state: ExpressionSpecification = ["get", "state"];
const byState = (colours: Palette, usual: string): ExpressionSpecification => [
  "match", state, "fault", colours.fault, "offline", colours.offline, "maintenance", colours.maintenance,
  "stale", colours.stale, usual,
];
const size = (far: number, near: number): ExpressionSpecification => [
  "interpolate", ["linear"], ["zoom"], 10, far, 15, near,
];

export function things(colours: Palette): LayerSpecification[] {
  const halo = { "icon-halo-color": colours.halo, "icon-halo-width": 1 };
  const many: ExpressionSpecification = [">=", ["get", "point_count"], 100];
  return [
    {
      // The tiles carry every lamp; those that are not as usual are drawn by `abnormal`, so here they are left out.
      id: "lamps", type: "circle", source: "lamps", "source-layer": "streetlights",
      paint: {
        "circle-radius": ["interpolate", ["exponential", 1.6], ["zoom"], 10, 0.5, 13, 1, 16, 3, 19, 7],
        "circle-color": ["case", ["==", ["get", "p"], 0], colours["lamp-off"], colours.lamp],
        "circle-opacity": ["case", ["boolean", ["feature-state", "abnormal"], false], 0, 0.42],
      },
    },
    ...POINTS.flatMap((name): LayerSpecification[] => [
      {
        id: `${name}-quiet`, type: "symbol", source: name, filter: ["==", state, "ok"],
        minzoom: name === "stop" ? 13 : name === "camera" ? 12.5 : 10.5,
        layout: {
          "icon-image": `${name}-ok`, "icon-size": size(0.35, 0.72), "icon-allow-overlap": true, "icon-padding": 0,
        },
        paint: { "icon-color": colours.quiet, "icon-opacity": size(0.6, 0.9), ...halo },
      },
      {
        id: name, type: "symbol", source: name, filter: ["!=", state, "ok"],
        layout: {
          "icon-image": ["match", state, "offline", `${name}-offline`, `${name}-fault`],
          "icon-size": size(0.5, 0.85), "icon-allow-overlap": true,
        },
        paint: { "icon-color": byState(colours, colours.fault), ...halo },
      },
    ]),
    {
      id: "abnormal", type: "symbol", source: "abnormal", filter: ["!", ["has", "point_count"]],
      layout: {
        "icon-image": ["match", state, "offline", "lamp-offline", "maintenance", "lamp-maintenance", "stale", "lamp-stale",
          "lamp-fault"],
        "icon-size": size(0.28, 0.5), "icon-allow-overlap": true, "icon-padding": 0,
      },
      paint: { "icon-color": byState(colours, colours.fault), ...halo },
    },
    {
      id: "vehicle", type: "symbol", source: "vehicle",
      layout: {
        "icon-image": ["case", ["==", state, "fault"], "bus-fault", ["==", state, "stale"], "bus-stale",
          ["has", "bearing"], "bus-ok", "bus-still"],
        "icon-rotate": ["case", ["==", state, "fault"], 0, ["coalesce", ["get", "bearing"], 0]],
        "icon-rotation-alignment": "map", "icon-allow-overlap": true, "icon-ignore-placement": true,
        "icon-size": ["interpolate", ["linear"], ["zoom"], 10, 0.3, 12.5, 0.46, 15, 0.95],
        "text-field": ["step", ["zoom"], "", 14, ["coalesce", ["get", "label"], ""]],
        "text-font": FONT, "text-size": 11, "text-offset": [0, 1.3], "text-optional": true,
      },
      paint: {
        "icon-color": byState(colours, colours.bus), ...halo,
        "icon-opacity": ["interpolate", ["linear"], ["zoom"], 11, ["case", ["==", state, "ok"], 0.6, 1], 13.5, 1],
        "text-color": colours.text, "text-halo-color": colours.halo, "text-halo-width": 1.4,
      },
    },
    {
      // Counts, never "the worst wins": a city that is 97 % well must not look ill.
      id: "cluster", type: "circle", source: "abnormal", filter: ["has", "point_count"],
      paint: {
        "circle-radius": ["interpolate", ["linear"], ["sqrt", ["get", "point_count"]], 2, 9, 16, 21],
        "circle-color": ["case", many, colours["cluster-many"], colours.cluster],
        "circle-opacity": 0.94,
        "circle-stroke-color": ["case", [">", ["*", 2, ["get", "offline"]], ["get", "point_count"]], colours.offline, colours.fault],
        "circle-stroke-width": 1.25,
      },
    },
    {
      id: "cluster-count", type: "symbol", source: "abnormal", filter: ["has", "point_count"],
      layout: {
        "text-field": ["get", "point_count_abbreviated"], "text-font": FONT, "text-size": 11,
        "text-allow-overlap": true, "text-padding": 6, // names give way to the counts, so they are not "ignored"
      },
      paint: { "text-color": ["case", many, colours["cluster-many-text"], colours["cluster-text"]] },
    },
  ];
}

/** Over the names: what must not be missed. */
export function foremost(colours: Palette): LayerSpecification[] {
  return [
    {
      id: "chosen", type: "circle", source: "chosen",
      paint: {
        "circle-radius": size(11, 17), "circle-color": "rgba(0,0,0,0)",
        "circle-stroke-color": colours.selected, "circle-stroke-width": 2.5,
      },
    },
    {
      id: "alert", type: "symbol", source: "alert",
      layout: {
        "icon-image": ["concat", "alert-", ["get", "severity"]], "icon-size": size(0.75, 0.95), "icon-allow-overlap": true,
        "symbol-sort-key": ["-", 10, ["get", "priority"]],
      },
      paint: {
        "icon-color": ["match", ["get", "severity"],
          ...(["critical", "high", "medium", "low"] as const).flatMap((name) => [name, colours[`alert-${name}`]]),
          colours["alert-informational"]] as unknown as ExpressionSpecification,
        "icon-halo-color": colours.halo, "icon-halo-width": 1.5, "icon-translate": BESIDE,
      },
    },
    {
      id: "alert-number", type: "symbol", source: "alert",
      layout: {
        "text-field": ["to-string", ["get", "priority"]], "text-font": FONT, "text-size": 11, "text-allow-overlap": true,
        "text-ignore-placement": true,
        "text-offset": ["match", ["get", "severity"], "high", ["literal", [0, 0.25]], "medium", ["literal", [0, -0.25]],
          ["literal", [0, 0]]],
      },
      paint: {
        "text-translate": BESIDE,
        "text-color": ["case", ["==", ["get", "priority"], 5], colours["alert-informational"], colours["alert-text"]],
      },
    },
  ];
}

/** Priority 1 to 5, the same on the map, in lists and in print. */
export const PRIORITY: Record<string, number> = { critical: 1, high: 2, medium: 3, low: 4, informational: 5 };
