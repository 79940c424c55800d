import { afterEach, expect, test, vi } from "vitest";

vi.mock("uplot", () => ({ default: class { setSize() {} destroy() {} } }));
vi.mock("uplot/dist/uPlot.min.css", () => ({}));
Object.assign(globalThis, { ResizeObserver: class { observe() {} disconnect() {} } });

async function chart(answer: () => Promise<unknown>): Promise<HTMLElement> {
  await import("./time-chart");
  vi.stubGlobal("fetch", answer);
  const element = document.createElement("time-chart");
  for (const [name, words] of Object.entries({ src: "/x", "text-empty": "Sin datos", "text-error": "Falló", "text-table": "Tabla", "text-time": "Hora" }))
    element.setAttribute(name, words);
  document.body.append(element);
  await vi.waitFor(() => expect(element.dataset.state).not.toBe("loading"));
  return element;
}
const series = (v: (number | null)[]) => () => Promise.resolve(new Response(JSON.stringify({ label: "Velocidad", unit: "km/h", t: v.map((_, i) => 1000 + i * 60), v })));

afterEach(() => document.body.replaceChildren());

test("the table says what the drawing shows, newest first, with its unit", async () => {
  const element = await chart(series([1.5, null, 30]));
  expect(element.dataset.state).toBe("ready");
  expect([...element.querySelectorAll("th")].map((cell) => cell.textContent)).toEqual(["Hora", "Velocidad (km/h)"]);
  expect([...element.querySelectorAll("td.num")].map((cell) => cell.textContent)).toEqual(["30", "–", "1,5"]);
});

test("nothing measured is said, not drawn", async () => {
  const element = await chart(series([null, null]));
  expect([element.dataset.state, element.textContent]).toEqual(["empty", "Sin datos"]);
});

test("a failure is said", async () => {
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  const element = await chart(() => Promise.resolve(new Response("", { status: 500 })));
  expect([element.dataset.state, element.textContent]).toEqual(["error", "Falló"]);
});
