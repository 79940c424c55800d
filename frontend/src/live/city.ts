// What the server says about the living city, and the events that carry it inside a page.

export type State = "ok" | "stale" | "fault" | "offline" | "maintenance";
export type Counts = Record<string, Record<string, number>>;
/** [key, id, lon, lat, state, bearing or null, label] */
export type VehicleRow = [number, string, number, number, State, number | null, string];
/** [key, id, lon, lat, state, extra, layer] */
export type ThingRow = [number, string, number, number, State, unknown, string?];

export interface Alert {
  id: string;
  severity: string;
  category: string;
  subCategory?: string;
  description: string;
  status: string;
  issued: string;
  lon: number | null;
  lat: number | null;
  source?: string;
  affected?: number;
}

export interface Reset {
  t: number;
  cursor?: string;
  vehicles: VehicleRow[];
  alerts: Alert[];
  counts: Counts;
  /** Only in the picture of a past moment. */
  abnormal?: ThingRow[];
  /** Newest change of the data, in server milliseconds. */
  at?: number;
}

export interface Frame {
  t: number;
  at?: number;
  vehicles?: VehicleRow[];
  gone?: number[];
  things?: ThingRow[];
  alerts?: Alert[];
  counts?: Counts;
  tiles?: string;
}

export interface Layers {
  cursor: string;
  t: number;
  counts: Counts;
  layers: Record<string, ThingRow[]>;
  abnormal: ThingRow[];
}

/** "live": data flow; "late": connected, old data; "offline": no connection; "wait": not yet; "past": a replay. */
export type LinkState = "wait" | "live" | "late" | "offline" | "past";

export interface Link {
  state: LinkState;
  /** Seconds since the newest data, or null when none came yet. */
  age: number | null;
  /** When the connection was lost (browser milliseconds), or null. */
  since: number | null;
}

/** What the legend, the filters and the address bar agree on. */
export interface Filter {
  layers: string[] | null;
  state: string;
  commune: string;
  q: string;
}

export interface CityEvents {
  "city:reset": Reset;
  "city:frame": Frame;
  "city:beat": { t: number };
  "city:link": Link;
  /** Asks for the picture so far; whoever has one calls `reply`. */
  "city:hello": { reply: (picture: Reset) => void };
  "city:filter": Filter;
  "city:select": { id: string; lon?: number; lat?: number; from: "map" | "list" | "url" };
  "city:unselect": null;
  /** The pages show the past (a picture) or, with null, return to the present. */
  "city:moment": { t: string; picture: Reset } | null;
  "theme:change": { theme: string };
}

export function tell<K extends keyof CityEvents>(name: K, detail: CityEvents[K]): void {
  document.dispatchEvent(new CustomEvent(name, { detail }));
}

export function hear<K extends keyof CityEvents>(
  name: K,
  listener: (detail: CityEvents[K]) => void,
  signal: AbortSignal,
): void {
  document.addEventListener(name, (event) => listener((event as CustomEvent<CityEvents[K]>).detail), { signal });
}
