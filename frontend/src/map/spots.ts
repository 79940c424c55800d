// A plain map of a few hundred places over the built-in base map: what the explorer shows of a query or an entity.
import { AttributionControl, Map as GlMap, NavigationControl, ScaleControl, setWorkerUrl, type GeoJSONSource, type LayerSpecification } from "maplibre-gl";
import workerUrl from "maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url";
import "maplibre-gl/dist/maplibre-gl.css";
import type { Feature, FeatureCollection } from "geojson";
import { ground, names } from "./base";
import { boundsOf } from "./bounds";
import { palette, type Palette } from "./palette";
import type { Bounds } from "./scene";

setWorkerUrl(workerUrl);

const NOTHING: FeatureCollection = { type: "FeatureCollection", features: [] };
const SOURCES = ["area", "spots", "mark"] as const;

export class Spots {
  readonly map: GlMap;

  constructor(box: HTMLElement, base: FeatureCollection, bounds: Bounds, texts: Record<string, string>) {
    const colours = palette();
    this.map = new GlMap({
      container: box,
      style: {
        version: 8,
        transition: { duration: 0, delay: 0 },
        sources: {
          base: { type: "geojson", data: base, tolerance: 0.4 },
          ...Object.fromEntries(SOURCES.map((id) => [id, { type: "geojson", data: NOTHING }])),
        },
        layers: [...ground(colours), ...layers(colours), ...names(colours)],
      },
      bounds,
      fitBoundsOptions: { padding: 24 },
      attributionControl: false,
      dragRotate: false,
      pitchWithRotate: false,
      cooperativeGestures: false,
      maxZoom: 19,
      minZoom: 3,
      fadeDuration: 0,
      canvasContextAttributes: { preserveDrawingBuffer: true }, // so that the map can be printed
      locale: texts,
    });
    this.map.touchZoomRotate.disableRotation();
    this.map.scrollZoom.disable(); // the page scrolls over it; the buttons zoom, and so do two fingers
    this.map.addControl(new NavigationControl({ showCompass: false }), "top-right");
    this.map.addControl(new ScaleControl({ unit: "metric" }), "bottom-left");
    this.map.addControl(new AttributionControl({ compact: false }), "bottom-right");
  }

  async ready(): Promise<void> {
    await new Promise<void>((done) => (this.map.loaded() ? done() : void this.map.once("load", () => done())));
  }

  draw(source: (typeof SOURCES)[number], features: Feature[]): void {
    this.map.getSource<GeoJSONSource>(source)?.setData({ type: "FeatureCollection", features });
  }

  fit(features: Feature[]): void {
    const bounds = boundsOf(features);
    if (bounds) this.map.fitBounds(bounds, { padding: 40, maxZoom: 16, animate: false });
  }

  paint(theme?: string): void {
    const colours = palette(theme);
    for (const layer of [...ground(colours), ...layers(colours), ...names(colours)])
      for (const [name, value] of Object.entries(layer.paint ?? {})) this.map.setPaintProperty(layer.id, name as never, value as never);
  }

  /** A picture in light colours, made at once: whoever prints does not wait. */
  image(): string {
    this.paint("light");
    this.map.redraw();
    const image = this.map.getCanvas().toDataURL();
    this.paint();
    return image;
  }

  /** Address of the entity under the pointer. */
  at(x: number, y: number): string | null {
    const found = this.map.queryRenderedFeatures([[x - 6, y - 6], [x + 6, y + 6]], { layers: ["spot-point", "spot-line", "spot-fill"] });
    const url: unknown = found[0]?.properties.url;
    return typeof url === "string" ? url : null;
  }

  remove(): void {
    this.map.remove();
  }
}

function layers(colours: Palette): LayerSpecification[] {
  const geometry = (...kinds: string[]) => ["in", ["geometry-type"], ["literal", kinds]] as never;
  return [
    { id: "area-fill", type: "fill", source: "area", paint: { "fill-color": colours.maintenance, "fill-opacity": 0.12 } },
    { id: "area-line", type: "line", source: "area", paint: { "line-color": colours.maintenance, "line-width": 1.5, "line-dasharray": [3, 2] } },
    { id: "spot-fill", type: "fill", source: "spots", filter: geometry("Polygon", "MultiPolygon"), paint: { "fill-color": colours.bus, "fill-opacity": 0.25 } },
    {
      id: "spot-line", type: "line", source: "spots", filter: geometry("LineString", "MultiLineString", "Polygon", "MultiPolygon"),
      layout: { "line-cap": "round", "line-join": "round" }, paint: { "line-color": colours.bus, "line-width": 2.5 },
    },
    {
      id: "spot-point", type: "circle", source: "spots", filter: geometry("Point", "MultiPoint"),
      paint: { "circle-radius": ["interpolate", ["linear"], ["zoom"], 10, 3, 15, 6], "circle-color": colours.bus, "circle-stroke-color": colours.halo, "circle-stroke-width": 1.2 },
    },
    { id: "mark-point", type: "circle", source: "mark", paint: { "circle-radius": 8, "circle-opacity": 0, "circle-stroke-color": colours.selected, "circle-stroke-width": 2.5 } },
  ];
}
