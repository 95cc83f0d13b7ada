import { expect, test } from "bun:test";
import fc from "fast-check";
import { renderPage, type Sample } from "./text-format.ts";

const page = (...samples: readonly Sample[]): readonly string[] =>
  renderPage([{ name: "m", type: "gauge", help: "h", samples: () => samples }]).split("\n");

test("families have their help and type, and an empty line between them", () => {
  const family = (name: string, help: string) => ({
    name,
    type: "counter" as const,
    help,
    samples: () => [],
  });
  expect(renderPage([family("a", "x \\ \n y"), family("b", '"')])).toBe(
    '# HELP a x \\\\ \\n y\n# TYPE a counter\n\n# HELP b "\n# TYPE b counter\n',
  );
});

test.each([
  [1, "1"],
  [-0.5, "-0.5"],
  [1e21, "1e+21"],
  [Number.POSITIVE_INFINITY, "+Inf"],
  [Number.NEGATIVE_INFINITY, "-Inf"],
  [Number.NaN, "NaN"],
])("%p is written as %s", (value, text) => {
  expect(page({ labels: {}, value })[2]).toBe(`m ${text}`);
});

test("a sample may have a name of its own", () => {
  expect(page({ labels: { le: "1", a: "b" }, value: 2, metricName: "m_bucket" })[2]).toBe(
    'm_bucket{le="1",a="b"} 2',
  );
});

test("any label value stays on its line and inside its quotes", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary-ascii" }), (value) => {
      const lines = page({ labels: { a: value }, value: 1 });
      expect(lines).toHaveLength(4);
      const quoted = /^m\{a="((?:[^"\\\n]|\\["\\n])*)"\} 1$/.exec(lines[2] ?? "")?.[1];
      expect(quoted?.replaceAll(/\\(.)/g, (_, each: string) => (each === "n" ? "\n" : each))).toBe(value);
    }),
  );
});
