import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { jsonLine, textLine } from "./logger.ts";

const anyText = fc.string({ unit: "binary", maxLength: 200 });

test("any text gives one visible line, and JSON reads back as it was", () => {
  fc.assert(
    fc.property(anyText, anyText, (reason, path) => {
      const record = { wallMs: 0, level: "info", event: "auth.login", fields: { reason, path } } as const;
      const json = jsonLine(record);
      expect(json).toMatch(/^[^\p{Cc}\p{Cf}\p{Cs}]*\n$/u);
      expect(textLine(record)).toMatch(/^[^\p{Cc}\p{Cf}\p{Cs}]*\n$/u);
      expect(JSON.parse(json)).toMatchObject({ reason, path });
    }),
    { numRuns: 500 },
  );
});
