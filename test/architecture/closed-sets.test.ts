/** The closed tables of logs and metrics contain no name that the code does not use. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Glob } from "bun";
import { LOG_EVENTS, LOG_FIELD_NAMES } from "../../src/telemetry/log-event.ts";
import { createMetrics } from "../../src/telemetry/metric-table.ts";

const src = join(import.meta.dir, "..", "..", "src");
const code = [...new Glob("**/*.ts").scanSync(src)]
  .filter((file) => !file.includes(".test.") && !/^telemetry\/(log-event|metric-table)\.ts$/.test(file))
  .map((file) => readFileSync(join(src, file), "utf8"))
  .join("\n");

describe("every name of a closed set is used", () => {
  test.each([...LOG_EVENTS])("event %s", (event) => {
    expect(code.includes(`"${event}"`)).toBe(true);
  });

  test.each(Object.keys(LOG_FIELD_NAMES))("field %s", (field) => {
    expect(new RegExp(`\\b${field}\\b`).test(code)).toBe(true);
  });

  test.each(Object.keys(createMetrics().metrics))("metric %s", (metric) => {
    expect(new RegExp(`\\bmetrics\\.${metric}\\.`).test(code)).toBe(true);
  });
});
