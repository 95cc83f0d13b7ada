import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { chart } from "./chart.ts";
import { figure } from "./figure.ts";

const figures = [
  figure("Decrypt at 1: p50 / direct", "", [2, 2.1, 2.4]),
  figure("storm throughput / direct", "", [0.92, 0.96, 1.01]),
];
const textsOf = (svg: string): readonly string[] =>
  [...svg.matchAll(/<text[^>]*>([^<]*)</g)].map(([, text = ""]) => text);
const barsOf = (svg: string): readonly number[] =>
  [...svg.matchAll(/<rect x="280" y="\d+" width="([\d.]+)"/g)].map(([, width]) => Number(width));

describe("the chart", () => {
  test("has a title, each direction, an axis with its name and ticks", () => {
    const texts = textsOf(chart(figures));
    expect(texts[0]).toContain("compared with a direct call");
    expect(texts).toContain("Latency (p50): shorter is better");
    expect(texts).toContain("Throughput: longer is better");
    expect(texts).toContain("ratio to the direct call in the same round");
    expect(texts.filter((text) => /^\d\.\d$/.test(text))).toEqual(["0.0", "0.5", "1.0", "1.5", "2.0", "2.5"]);
  });

  test("a bar is as long as its median on that axis, and the axis holds every range", () => {
    const [latency = 0, throughput = 0] = barsOf(chart(figures));
    expect(latency / throughput).toBeCloseTo(2.1 / 0.96, 2);
    expect(latency).toBeCloseTo((2.1 / 2.5) * (860 - 280 - 50), 1);
  });

  test("leaves out a direction without a figure, and marks 1 also when all are below", () => {
    const svg = chart(figures.slice(1));
    expect(textsOf(svg)).not.toContain("Latency (p50): shorter is better");
    expect(svg.match(/stroke-dasharray/g)).toHaveLength(1);
    expect(chart([figure("slow throughput / direct", "", [0.2])]).match(/stroke-dasharray/g)).toHaveLength(1);
  });

  test("the one in the documentation is of this form", () => {
    const texts = textsOf(readFileSync(join(import.meta.dir, "..", "..", "docs", "performance.svg"), "utf8"));
    expect(texts).toContain("Latency (p50): shorter is better");
    expect(texts).toContain("ratio to the direct call in the same round");
  });
});
