/** Every link to the troubleshooting page that a message, a check or the log reference prints has an anchor there. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { contents } from "../../packaging/contents.ts";
import { anchorsIn, linksIn } from "../../scripts/check-links.ts";
import { ERROR_CLASSES } from "../../src/base/error-class.ts";
import { seeCheck, seeClass, TROUBLESHOOTING_PAGE } from "../../src/cli/describe-error.ts";
import { CHECK_IDS } from "../../src/commands/doctor/context.ts";
import { PROBE_IDS } from "../../src/commands/probe/checks.ts";
import { VERIFY_IDS } from "../../src/commands/verify-key/run.ts";
import { LOG_EVENTS } from "../../src/telemetry/log-event.ts";

const root = join(import.meta.dir, "..", "..");
const page = readFileSync(join(root, "docs", "troubleshooting.md"), "utf8");
const anchors = anchorsIn(page);
const anchorOf = (line: string): string => line.replace(`see: ${TROUBLESHOOTING_PAGE}#`, "");

/** The text below a heading, up to the next one. */
function entry(heading: string): string {
  return page.split(`\n${heading}\n`, 2)[1]?.split(/\n#+ /, 1)[0] ?? "";
}

test.each(ERROR_CLASSES.map((each) => [each]))(
  "class %s has an entry with a meaning, an effect and a step, and its link leads there",
  (name) => {
    expect(anchors).toContain(anchorOf(seeClass(name)));
    expect(entry(`### ${name}`)).toMatch(/^\n\S.*\n\nEffect: \S.*\n\n- \S/);
  },
);

test.each([...CHECK_IDS, ...PROBE_IDS, ...VERIFY_IDS].map((each) => [each]))(
  "check %s has an entry, and its link leads there",
  (id) => {
    expect(anchors).toContain(anchorOf(seeCheck(id)));
    expect(entry(`#### ${id}`)).toContain("Proves: ");
  },
);

test("no two entries share an anchor", () => {
  expect([...anchors].filter((anchor) => /-[0-9]+$/.test(anchor))).toEqual([]);
});

test("the packages install the page where the links say", () => {
  const installed = contents.filter(({ from }) => from === "docs/troubleshooting.md");
  expect(installed.map((piece) => piece.installed)).toEqual([TROUBLESHOOTING_PAGE]);
  expect(installed[0]?.in).toContain("package");
});

describe("the log reference", () => {
  const rows = readFileSync(join(root, "docs", "reference", "logs.md"), "utf8").split("\n");

  test.each(LOG_EVENTS.map((each) => [each]))("the row of %s links only to anchors that exist", (event) => {
    const row = rows.find((line) => line.startsWith(`| \`${event}\` |`)) ?? "";
    expect(row).not.toBe("");
    for (const link of linksIn(row)) {
      expect(anchors).toContain(link.replace("../troubleshooting.md#", ""));
    }
  });

  test.each([
    ["rotation.lost", "transit_key_missing"],
    ["registry.write", "registry_invalid"],
    ["socket.unsafe", "socket_unavailable"],
    ["panic.recovered", "unknown"],
    ["openbao.request", "by-error-class"],
  ])("%s leads to %s", (event, anchor) => {
    const row = rows.find((line) => line.startsWith(`| \`${event}\` |`)) ?? "";
    expect(linksIn(row)).toEqual([`../troubleshooting.md#${anchor}`]);
  });
});
