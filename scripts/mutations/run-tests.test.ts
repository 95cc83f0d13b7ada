import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "../../test/harness/eventually.ts";
import { testsFail } from "./run-tests.ts";

// Each test starts a test run.
setDefaultTimeout(60_000);

const home = mkdtempSync(join(tmpdir(), "run-tests-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** A test file whose only test has this body. */
function file(name: string, body: string): string {
  const path = `${name}.test.ts`;
  writeFileSync(
    join(home, path),
    `import { expect, test } from "bun:test";\ntest("it", async () => {\n${body}\n});\n`,
  );
  return path;
}
/** Memory that is had and not touched, so that a missing bound costs the machine nothing. */
const allocates = (gibibytes: number): string =>
  `const had = [];\nfor (let each = 0; each < ${gibibytes}; each += 1) had.push(new Uint8Array(2 ** 30));\nexpect(had.length).toBe(${gibibytes});`;

const good = file("good", "expect(1).toBe(1);");
const bad = file("bad", "expect(1).toBe(2);");
test.each([
  ["good ones", [good], false],
  ["a bad one", [bad], true],
  ["a bad one after a good one", [good, bad], true],
  ["one within the bound of memory", [file("small", allocates(1))], false],
  ["one that allocates too much", [file("large", allocates(8))], true],
])("%s: %p fails: %p", async (_, tests, expected) => {
  expect(await testsFail(home, tests)).toBe(expected);
});

test("tests that hang fail, and nothing that they started is left", async () => {
  const pidFile = join(home, "pid");
  const hanging = file(
    "hanging",
    `const child = Bun.spawn(["sleep", "300"]);\nawait Bun.write(${JSON.stringify(pidFile)}, String(child.pid));\nfor (;;) {}`,
  );
  expect(await testsFail(home, [hanging], 3000)).toBe(true);
  const pid = Number(readFileSync(pidFile, "utf8"));
  expect(pid).toBeGreaterThan(1);
  const stat = `/proc/${pid}/stat`;
  // It was killed, and ends a moment later; until someone has waited for it, it is a zombie.
  const hasEnded = (): boolean => !existsSync(stat) || readFileSync(stat, "utf8").includes(") Z ");
  await eventually("the child of the tests has ended", hasEnded, { timeoutMs: 10_000, everyMs: 10 });
});
