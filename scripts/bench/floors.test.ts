import { expect, test } from "bun:test";
import { figure } from "./figure.ts";
import { FLOORS, type Floor, worsened } from "./floors.ts";

const floors: readonly Floor[] = [
  { figure: "latency", value: 1.5, better: "lower" },
  { figure: "throughput", value: 1.5, better: "higher" },
];
const measured = (latency: number, throughput: number) => [
  figure("latency", "x", [latency]),
  figure("throughput", "x", [throughput]),
  figure("without a floor", "x", [99]),
];
const names = (lines: readonly string[]): string[] => lines.map((line) => line.slice(0, line.indexOf(":")));

test.each([
  [1.5, 1.5, []],
  [0.5, 3, []],
  [2, 1, []],
  [2.01, 1, ["latency"]],
  [2, 0.99, ["throughput"]],
  [2.01, 0.99, ["latency", "throughput"]],
] as const)("a latency of %d and a throughput of %d beside 1.5", (latency, throughput, expected) => {
  expect(names(worsened(measured(latency, throughput), floors))).toEqual([...expected]);
});

test("the median counts", () => {
  const figures = [figure("latency", "x", [9, 1.5, 1]), figure("throughput", "x", [0.1, 1.5, 1])];
  expect(worsened(figures, floors)).toEqual([]);
});

test("a floor without a figure is not met", () => {
  expect(names(worsened([figure("latency", "x", [1])], floors))).toEqual(["throughput"]);
});

test("a figure without a value is not met", () => {
  expect(names(worsened(measured(Number.NaN, Number.NaN), floors))).toEqual(["latency", "throughput"]);
});

test("the bench is judged by its own floors", () => {
  expect(worsened(FLOORS.map(({ figure: name, value }) => figure(name, "x", [value])))).toEqual([]);
  expect(worsened([])).toHaveLength(FLOORS.length);
});
