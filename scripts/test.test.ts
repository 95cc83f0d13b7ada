/** The front of the tests, as a contributor types it. */
import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { join } from "node:path";

const run = (...args: readonly string[]) => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(import.meta.dir, "test.ts"), ...args],
    {
      encoding: "utf8",
      timeout: 60_000,
    },
  );
  return { status, stdout, stderr };
};

test("--help names the options and the suites", () => {
  const { status, stdout } = run("--help");
  expect(status).toBe(0);
  for (const word of ["--fail-on-flakes", "-t, --test-name-pattern", "unit, ", "real"]) {
    expect(stdout).toContain(word);
  }
});

test("one file, and of it only the tests of that name", () => {
  const { status, stdout } = run("src/cli/exit-code.test.ts", "-t", "internal failure");
  expect(status).toBe(0);
  expect(stdout).toEndWith("1 passed, 0 failed, 0 skipped\n");
});

test("what is no suite and no path is refused", () => {
  expect(run("nonsense")).toMatchObject({ status: 2, stdout: "" });
  expect(run("--nonsense").status).not.toBe(0);
});
