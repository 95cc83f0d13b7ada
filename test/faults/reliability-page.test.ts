/**
 * docs/reliability.md shows the rows that there are, as they were last recorded.
 */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readReport, reliabilityPage } from "./reliability-page.ts";
import { FAULTS } from "./table.ts";

const root = join(import.meta.dir, "..", "..");
const report = readReport(root);

describe("docs/reliability.md", () => {
  test("is what docs/reliability.json makes it: bun scripts/faults.ts --cluster --record", () => {
    const page = readFileSync(join(root, "docs", "reliability.md"), "utf8");
    expect(reliabilityPage(page, report)).toBe(page);
  });
  test("has every row of the table, under its present title, and no other", () => {
    const named = (id: string, title: string): string => `${id}: ${title}`;
    expect(report.results.map(({ id, title }) => named(id, title))).toEqual(
      FAULTS.map(({ fault }) => named(fault.id, fault.title)),
    );
  });
  test("records no broken row", () => {
    expect(report.results.filter(({ verdict }) => verdict === "broken").map(({ id }) => id)).toEqual([]);
  });
});
