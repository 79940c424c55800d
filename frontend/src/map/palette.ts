// The map's colours are the page's: CSS variables named --map-*, one set for each theme (styles/tokens.css).

const NAMES = [
  "land", "urban", "wood", "park", "water", "street", "secondary", "arterial", "casing", "border", "commune",
  "route", "text", "halo", "place", "lamp", "lamp-off", "quiet", "bus", "fault", "stale", "offline", "maintenance",
  "cluster", "cluster-many", "cluster-text", "cluster-many-text", "selected",
  "alert-critical", "alert-high", "alert-medium", "alert-low", "alert-informational", "alert-text",
] as const;

export type Palette = Record<(typeof NAMES)[number], string>;

/** The colours of the page's theme, or of another one. */
export function palette(theme?: string): Palette {
  const root = document.documentElement;
  const now = root.dataset.theme;
  if (theme) root.dataset.theme = theme;
  const css = getComputedStyle(document.documentElement);
  const colours = Object.fromEntries(
    NAMES.map((name) => [name, css.getPropertyValue(`--map-${name}`).trim() || "#888"]),
  ) as Palette; // read before the theme is put back: `css` is live
  if (theme) root.dataset.theme = now;
  return colours;
}
