// The map's symbols, drawn here and turned into distance fields, so that any colour and outline can be given.
// Shape carries the meaning that colour repeats: disc = as usual, diamond = fault, cross = no communication,
// ring = old data; alerts: square 1, triangle 2, inverted triangle 3, disc 4, ring 5.
import type { Map as GlMap } from "maplibre-gl";

const SIZE = 48; // pixels of the drawing; shown at half
const REACH = 8; // MapLibre's shader expects this many pixels between edge and nothing

type Draw = (g: CanvasRenderingContext2D) => void;

const path = (...points: [number, number][]): Draw => (g) => {
  g.beginPath();
  points.forEach(([x, y], i) => (i ? g.lineTo(x, y) : g.moveTo(x, y)));
  g.closePath();
  g.fill();
};
const disc = (radius: number): Draw => (g) => {
  g.beginPath();
  g.arc(24, 24, radius, 0, 2 * Math.PI);
  g.fill();
};
const without = (shape: Draw, hole: Draw): Draw => (g) => {
  shape(g);
  g.globalCompositeOperation = "destination-out";
  hole(g);
  g.globalCompositeOperation = "source-over";
};
const both = (...shapes: Draw[]): Draw => (g) => shapes.forEach((shape) => shape(g));
const strokes = (wide: number, ...arcs: ((g: CanvasRenderingContext2D) => void)[]): Draw => (g) => {
  g.lineWidth = wide;
  g.lineCap = "round";
  for (const arc of arcs) {
    g.beginPath();
    arc(g);
    g.stroke();
  }
};

const diamond = path([24, 7], [41, 24], [24, 41], [7, 24]);
const cross = strokes(7, (g) => { g.moveTo(13, 13); g.lineTo(35, 35); }, (g) => { g.moveTo(35, 13); g.lineTo(13, 35); });
const arrow = path([24, 6], [38, 40], [24, 32], [10, 40]);
const smallArrow = path([24, 17], [31, 34], [24, 30], [17, 34]);

const GLYPHS: Record<string, Draw> = {
  accesspoint: both(
    strokes(3.2,
      (g) => g.arc(24, 31, 6.5, -2.36, -0.78),
      (g) => g.arc(24, 31, 12.5, -2.36, -0.78)),
    (g) => { g.beginPath(); g.arc(24, 30, 2.6, 0, 7); g.fill(); }),
  camera: both(
    (g) => g.fillRect(14, 19, 13, 10.5),
    path([28.5, 24.2], [34.5, 19.5], [34.5, 29], [28.5, 24.6])),
  station: both(
    strokes(3.2,
      (g) => { g.moveTo(15, 20); g.lineTo(29, 20); },
      (g) => { g.moveTo(15, 25); g.lineTo(33, 25); },
      (g) => { g.moveTo(15, 30); g.lineTo(26, 30); })),
  stop: both((g) => g.fillRect(17, 16, 14, 13), (g) => g.fillRect(18, 30, 3, 3), (g) => g.fillRect(27, 30, 3, 3)),
};

const backing: Record<string, Draw> = {
  ok: disc(15),
  fault: path([24, 3], [45, 24], [24, 45], [3, 24]),
  offline: (g) => g.fillRect(8, 8, 32, 32),
};

export const ICONS: Record<string, Draw> = {
  "bus-ok": arrow,
  "bus-stale": without(arrow, smallArrow),
  "bus-fault": both(without(diamond, path([24, 14], [34, 24], [24, 34], [14, 24])), path([24, 18], [30, 24], [24, 30], [18, 24])),
  "bus-still": disc(10),
  "lamp-fault": diamond,
  "lamp-offline": cross,
  "lamp-maintenance": (g) => g.fillRect(12, 12, 24, 24),
  "lamp-stale": without(disc(15), disc(9)),
  "alert-critical": (g) => g.fillRect(7, 7, 34, 34),
  "alert-high": path([24, 4], [45, 41], [3, 41]),
  "alert-medium": path([24, 44], [45, 7], [3, 7]),
  "alert-low": disc(18),
  "alert-informational": without(disc(18), disc(13)),
};
for (const [name, glyph] of Object.entries(GLYPHS))
  for (const [state, shape] of Object.entries(backing)) ICONS[`${name}-${state}`] = without(shape, glyph);

/** Alpha = 0.75 at the edge, 1/8 less for each pixel outside: what the symbol shader reads. */
function distanceField(image: ImageData): ImageData {
  const inside = new Uint8Array(SIZE * SIZE);
  for (let i = 0; i < inside.length; i++) inside[i] = image.data[4 * i + 3]! > 127 ? 1 : 0;
  const field = new ImageData(SIZE, SIZE);
  for (let y = 0; y < SIZE; y++)
    for (let x = 0; x < SIZE; x++) {
      const here = inside[y * SIZE + x]!;
      let nearest = REACH * REACH;
      for (let dy = -REACH; dy <= REACH; dy++)
        for (let dx = -REACH; dx <= REACH; dx++) {
          const square = dx * dx + dy * dy;
          if (square >= nearest) continue;
          const v = y + dy, u = x + dx;
          const there = v < 0 || u < 0 || v >= SIZE || u >= SIZE ? 0 : inside[v * SIZE + u]!;
          if (there !== here) nearest = square;
        }
      // Half a pixel: the edge lies between two pixel centres. The coverage smooths it.
      const at = 4 * (y * SIZE + x);
      const cover = image.data[at + 3]! / 255;
      const distance = nearest === 1 ? cover - 0.5 : (here ? 1 : -1) * (Math.sqrt(nearest) - 0.5);
      field.data[at + 3] = Math.max(0, Math.min(255, Math.round(255 * (0.75 + distance / REACH))));
    }
  return field;
}

export function addIcons(map: GlMap): void {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SIZE;
  const g = canvas.getContext("2d", { willReadFrequently: true });
  if (!g) return;
  for (const [name, draw] of Object.entries(ICONS)) {
    if (map.hasImage(name)) continue;
    g.clearRect(0, 0, SIZE, SIZE);
    g.fillStyle = g.strokeStyle = "#fff";
    draw(g);
    map.addImage(name, distanceField(g.getImageData(0, 0, SIZE, SIZE)), { sdf: true, pixelRatio: 2 });
  }
}
