import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { configFile } from "../../test/fakes/config-file.ts";
import { decodeConfig } from "./decode-config.ts";
import { ConfigError } from "./errors.ts";

function outcome(bytes: Uint8Array): "accepted" | "refused" {
  try {
    decodeConfig(bytes, "test");
    return "accepted";
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return "refused";
  }
}

test("any bytes are refused with a ConfigError or accepted, never anything else", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      outcome(bytes);
    }),
    { numRuns: 300 },
  );
});

test("any JSON in place of any value never escapes the decoder", () => {
  const sections = Object.keys(JSON.parse(configFile()));
  fc.assert(
    fc.property(fc.constantFrom(...sections), fc.string(), fc.jsonValue(), (section, field, value) => {
      const tree = JSON.parse(configFile());
      tree[section] = typeof tree[section] === "object" ? { ...tree[section], [field]: value } : value;
      outcome(Buffer.from(JSON.stringify(tree)));
    }),
    { numRuns: 300 },
  );
});

test("flipping one byte of a good file never escapes the decoder", () => {
  const good = Buffer.from(configFile());
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
      const bytes = Uint8Array.from(good);
      bytes[at] = (bytes[at] ?? 0) ^ mask;
      outcome(bytes);
    }),
    { numRuns: 300 },
  );
});
