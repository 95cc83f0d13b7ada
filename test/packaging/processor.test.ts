/** What the packages' install script says of a processor that cannot run the executable. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const script = join(import.meta.dir, "..", "..", "packaging", "linux", "installed.sh");

test.each([
  ["x86_64", "flags\t\t: fpu sse4_1 sse4_2 avx", false],
  ["x86_64", "flags\t\t: fpu sse4_1 ssse3", true],
  ["x86_64", "flags\t\t: fpu sse4_2_other", true],
  ["aarch64", "Features\t: fp asimd", false],
  ["x86_64", undefined, false],
])("on %s with %p it warns: %p", (machine, cpuinfo, warns) => {
  const dir = mkdtempSync(join(tmpdir(), "processor-"));
  const path = join(dir, "cpuinfo");
  if (cpuinfo !== undefined) {
    writeFileSync(path, `${cpuinfo}\n`);
  }
  const { exitCode, stderr } = Bun.spawnSync([
    "/bin/sh",
    "-euc",
    `. "$0"; check_processor "$1" "$2"`,
    script,
    machine,
    path,
  ]);
  rmSync(dir, { recursive: true });
  expect([exitCode, stderr.toString().includes("SSE4.2")]).toEqual([0, warns]);
});
