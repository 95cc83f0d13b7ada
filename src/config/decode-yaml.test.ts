import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { stringify } from "yaml";
import { decodeYaml } from "./decode-yaml.ts";

const MEGABYTE = 1 << 20;
const decode = (text: string, maxBytes = MEGABYTE) => decodeYaml(new TextEncoder().encode(text), maxBytes);

describe("decoding YAML", () => {
  test("any JSON value comes out as it went in, from JSON and from YAML", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (made) => {
        // JSON has no -0.
        const value: unknown = JSON.parse(JSON.stringify(made));
        for (const text of [JSON.stringify(value), stringify(value, { version: "1.2" })]) {
          expect(decode(text)).toEqual({ ok: true, value });
        }
      }),
    );
  });

  test("any bytes are a value or a refusal, and never throw", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.string().map((text) => new TextEncoder().encode(text)),
        ),
        (bytes) => {
          expect(typeof decodeYaml(bytes, 100).ok).toBe("boolean");
        },
      ),
    );
  });

  test.each([
    ["a key twice", "a: 1\nb: 2\na: 3\n", "line 3"],
    ["a key twice, far below", "x:\n  - {a: 1, 'a': 2}\n", "line 2"],
    ["a number and its text as keys", '1: a\n"1": b\n', "line 2"],
    ["a mapping as a key", "{a}}: b\n", "line 1"],
    ["a mapping in the place of a key", "? {canary: 1}\n: b\n", "line 1"],
    ["a list in the place of a key", "? [canary]\n: b\n", "line 1"],
    ["an alias", "a: &x 1\nb: *x\n", "line 2"],
    ["an alias as a key", "a: &x 1\n*x : 2\n", "line 1"],
  ])("%s is refused with its line", (_, text, line) => {
    const decoded = decode(text);
    expect(decoded.ok).toBe(false);
    expect(JSON.stringify(decoded)).toContain(line);
    expect(JSON.stringify(decoded)).not.toContain("canary");
  });

  test("the same key in two mappings is no repetition", () => {
    expect(decode("x: {a: 1}\ny: {a: 1}\n")).toEqual({ ok: true, value: { x: { a: 1 }, y: { a: 1 } } });
  });

  test("the bound is exact", () => {
    expect(decode("abc", 3)).toEqual({ ok: true, value: "abc" });
    expect(decode("abcd", 3).ok).toBe(false);
  });

  test.each([
    ["keys", (count: number) => Array.from({ length: count }, (_, index) => `k${index}: 1`).join("\n")],
    [
      "keys in braces",
      (count: number) => `{${Array.from({ length: count }, (_, i) => `k${i}: 1`).join(",")}}`,
    ],
    ["entries", (count: number) => "- 1\n".repeat(count)],
    ["brackets", (count: number) => "[".repeat(count)],
  ])(
    "60,000 %s take seconds, not minutes",
    (_, make) => {
      const startedMs = performance.now();
      decode(make(60_000));
      expect(performance.now() - startedMs).toBeLessThan(15_000);
    },
    60_000,
  );
});
