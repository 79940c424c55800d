import { expect, test } from "vitest";
import { box, circle } from "./circle";

test("a circle closes and reaches as far as asked", () => {
  const ring = circle(-73.12, 7.12, 1000).geometry.coordinates[0]!;
  expect(ring[0]).toEqual(ring.at(-1));
  const north = Math.max(...ring.map((point) => point[1]!));
  expect((north - 7.12) * 111_195).toBeCloseTo(1000, -1);
});

test("a box needs four numbers in order", () => {
  expect(box("-73.2,7,-73,7.2")?.geometry.coordinates[0]).toHaveLength(5);
  for (const text of ["", "1,2,3", "-73,7,-73.2,7.2", "a,b,c,d", "1,2,3,4,5"]) expect(box(text)).toBeNull();
});
