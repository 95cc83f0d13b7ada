/**
 * @module A suite that needs tools of the operating system. Like test/real's suites: what is missing skips the suite and says
 * so, with REQUIRE_REAL=1 it fails; what takes minutes runs only then.
 */
import { describe, test } from "bun:test";
import { requireReal } from "../harness/real-suite.ts";

export interface ToolSuiteOptions {
  /** Commands that must be on PATH, with the Debian package that has each. */
  readonly needs: Readonly<Record<string, string>>;
  readonly asRoot?: boolean;
  readonly long?: boolean;
  /** Part of the full matrix and not of CI: runs with FULL_MATRIX=1. */
  readonly full?: boolean;
}

export function describeWithTools(title: string, options: ToolSuiteOptions, body: () => void): void {
  const { needs, asRoot = false, long = false, full = false } = options;
  if (full && process.env["FULL_MATRIX"] !== "1") {
    console.log(`skipped: ${title}: it is part of the full matrix; run it with FULL_MATRIX=1`);
    describe.skip(title, body);
    return;
  }
  const missing = Object.entries(needs)
    .filter(([command]) => Bun.which(command) === null)
    .map(([command, from]) => `${command} is missing (Debian package ${from})`);
  if (asRoot && process.getuid?.() !== 0) {
    missing.push("it must run as root");
  }
  if (missing.length > 0 && requireReal()) {
    test(`${title}: tools`, () => {
      throw new Error(`REQUIRE_REAL=1 and ${missing.join(", ")}; packaging/install-ci-tools installs all`);
    });
    return;
  }
  if (missing.length === 0 && long && !requireReal()) {
    missing.push("it takes minutes; run it with REQUIRE_REAL=1");
  }
  if (missing.length > 0) {
    console.log(`skipped: ${title}: ${missing.join(", ")}`);
    describe.skip(title, body);
    return;
  }
  describe(title, body);
}
