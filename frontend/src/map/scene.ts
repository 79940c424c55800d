// Everything of MapLibre in one place: the element above it knows only about the city.
import {
  AttributionControl, Map as GlMap, NavigationControl, ScaleControl, setWorkerUrl,
  type GeoJSONSource, type MapMouseEvent, type StyleSpecification, type VectorTileSource,
} from "maplibre-gl";
import workerUrl from "maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url";
import "maplibre-gl/dist/maplibre-gl.css";
import type { FeatureCollection } from "geojson";
import { ground, names } from "./base";
import { addIcons } from "./icons";
import { palette, type Palette } from "./palette";
import type { Spot } from "./store";
import { ANSWERS, BELONGS, foremost, sources, things } from "./things";

setWorkerUrl(workerUrl);

export type Bounds = [number, number, number, number];

export interface Setting {
  box: HTMLElement;
  base: FeatureCollection;
  tiles: string;
  bounds: Bounds;
  texts: Record<string, string>;
  attribution: string;
  styleUrl: string | null;
}

export class Scene {
  readonly map: GlMap;
  #lampMarks = new Set<number>();
  #tiles: string;
  #foreign: boolean;

  constructor(setting: Setting, onFallback: () => void) {
    this.#tiles = new URL(setting.tiles, location.href).href.replaceAll("%7B", "{").replaceAll("%7D", "}");
    this.#foreign = Boolean(setting.styleUrl);
    const own = builtIn(setting, palette());
    this.map = new GlMap({
      container: setting.box,
      style: setting.styleUrl ?? own,
      bounds: setting.bounds,
      fitBoundsOptions: { padding: room(setting.box) },
      attributionControl: false,
      dragRotate: false,
      pitchWithRotate: false,
      maxZoom: 19,
      minZoom: 8,
      fadeDuration: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 150,
      canvasContextAttributes: { preserveDrawingBuffer: true }, // so that the map can be printed
      locale: setting.texts,
    });
    this.map.touchZoomRotate.disableRotation();
    this.map.addControl(new NavigationControl({ showCompass: false }), "top-right");
    this.map.addControl(new ScaleControl({ unit: "metric" }), "bottom-left");
    this.map.addControl(new AttributionControl({ compact: false }), "bottom-right");
    if (setting.styleUrl) {
      const fall = () => {
        if (this.map.isStyleLoaded() || !this.#foreign) return;
        this.#foreign = false;
        this.map.setStyle(own);
        onFallback();
      };
      this.map.on("error", fall);
      this.map.once("style.load", () => this.map.off("error", fall));
    }
  }

  /** Resolves when the style is there and our layers are on it. */
  async ready(): Promise<void> {
    // Listening comes before asking: the event may fire at once.
    await new Promise<void>((done) => (this.map.loaded() ? done() : void this.map.once("load", () => done())));
    addIcons(this.map);
    const colours = palette();
    for (const [id, source] of Object.entries(sources(this.#tiles))) this.map.addSource(id, source);
    const under = ["place-2", "place-1"].find((id) => this.map.getLayer(id));
    for (const layer of things(colours)) this.map.addLayer(layer, layer.id === "cluster-count" ? undefined : under);
    for (const layer of foremost(colours)) this.map.addLayer(layer);
  }

  /** Resolves after the next time that everything is drawn, or after `limit` ms at the latest. */
  settled(limit = 15_000): Promise<void> {
    return new Promise((done) => {
      const timer = setTimeout(done, limit);
      this.map.once("idle", () => {
        clearTimeout(timer);
        done();
      });
      this.map.triggerRepaint();
    });
  }

  /** A picture of the map in light colours, made at once: whoever prints does not wait. */
  image(): string {
    this.paint("light");
    this.map.redraw();
    const image = this.map.getCanvas().toDataURL();
    this.paint();
    return image;
  }

  /** Gives each layer the colours of the page's theme, or of another one. */
  paint(theme?: string): void {
    const colours = palette(theme);
    const all = [...(this.#foreign ? [] : [...ground(colours), ...names(colours)]), ...things(colours), ...foremost(colours)];
    for (const layer of all)
      if (this.map.getLayer(layer.id))
        for (const [name, value] of Object.entries(layer.paint ?? {})) this.map.setPaintProperty(layer.id, name as never, value as never);
  }

  draw(source: string, data: FeatureCollection): void {
    this.map.getSource<GeoJSONSource>(source)?.setData(data);
  }

  /** Leaves the lamps that `abnormal` draws out of the quiet layer. */
  mark(keys: Iterable<number>): void {
    if (!this.map.getSource("lamps")) return;
    const now = new Set(keys);
    const set = (id: number, abnormal: boolean) =>
      this.map.setFeatureState({ source: "lamps", sourceLayer: "streetlights", id }, { abnormal });
    for (const key of this.#lampMarks) if (!now.has(key)) set(key, false);
    for (const key of now) if (!this.#lampMarks.has(key)) set(key, true);
    this.#lampMarks = now;
  }

  reloadTiles(version: string): void {
    const address = `${this.#tiles}${this.#tiles.includes("?") ? "&" : "?"}v=${encodeURIComponent(version)}`;
    this.map.getSource<VectorTileSource>("lamps")?.setTiles([address]);
  }

  show(legendLayer: string, visible: boolean): void {
    for (const id of BELONGS[legendLayer] ?? [])
      if (this.map.getLayer(id)) this.map.setLayoutProperty(id, "visibility", visible ? "visible" : "none");
  }

  choose(spot: Spot | null): void {
    const features = spot
      ? [{ type: "Feature" as const, properties: {}, geometry: { type: "Point" as const, coordinates: [spot.lon, spot.lat] } }]
      : [];
    this.draw("chosen", { type: "FeatureCollection", features });
  }

  goTo(spot: Spot): void {
    const inside = this.map.getBounds().contains([spot.lon, spot.lat]);
    if (inside && this.map.getZoom() >= 13) return;
    this.map.easeTo({ center: [spot.lon, spot.lat], zoom: Math.max(this.map.getZoom(), 14.5), duration: calm(600) });
  }

  fit(bounds: Bounds): void {
    this.map.fitBounds(bounds, { padding: room(this.map.getContainer()), duration: calm(600) });
  }

  outline(code: string): void {
    if (this.map.getLayer("commune-chosen")) this.map.setFilter("commune-chosen", ["==", ["get", "code"], code]);
  }

  /** What lies under the pointer, or null; a cluster is opened instead. */
  async pick(event: MapMouseEvent): Promise<Spot | null> {
    const { x, y } = event.point;
    const layers = ANSWERS.filter((id) => this.map.getLayer(id)).flatMap((id) => (this.map.getLayer(`${id}-quiet`) ? [id, `${id}-quiet`] : [id]));
    const found = this.map.queryRenderedFeatures([[x - 6, y - 6], [x + 6, y + 6]], { layers });
    const rank = (id: string) => ANSWERS.indexOf(id.replace("-quiet", ""));
    const best = found.sort((a, b) => rank(a.layer.id) - rank(b.layer.id))[0];
    if (!best || best.geometry.type !== "Point") return null;
    const [lon, lat] = best.geometry.coordinates as [number, number];
    if (best.layer.id === "cluster") {
      const zoom = await this.map.getSource<GeoJSONSource>("abnormal")!.getClusterExpansionZoom(best.properties.cluster_id);
      this.map.easeTo({ center: [lon, lat], zoom: zoom + 0.3, duration: calm(500) });
      return null;
    }
    // A tile carries no names, only keys: the server finds the lamp by its key.
    return { id: String(best.properties.id ?? `streetlight/${best.id}`), lon, lat };
  }

  remove(): void {
    this.map.remove();
  }
}

/** Leaves the legend's place free where there is enough of it. */
const room = (box: HTMLElement) => ({ top: 24, right: 24, bottom: 32, left: box.clientWidth > 560 ? 240 : 24 });

const calm = (ms: number): number => (matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : ms);

function builtIn(setting: Setting, colours: Palette): StyleSpecification {
  return {
    version: 8,
    transition: { duration: 0, delay: 0 }, // a new theme is there at once, also on paper
    sources: { base: { type: "geojson", data: setting.base, attribution: setting.attribution, tolerance: 0.4 } },
    layers: [...ground(colours), ...names(colours)],
  };
}
