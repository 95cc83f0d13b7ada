/** @module The tests of one mutant, in a process group of their own, with a bound of time and of memory. */
import { spawn } from "node:child_process";

/** A mutant that hangs the tests is seen. */
const TESTS_MS = 120_000;
/** Of each process; a mutant that allocates without end is seen before the machine has no memory left. */
const DATA_KIB = 4 * 1024 * 1024;

/** Whether the tests fail; when it resolves, every process of theirs was killed. */
export async function testsFail(
  directory: string,
  tests: readonly string[],
  timeoutMs = TESTS_MS,
): Promise<boolean> {
  const command = [
    process.execPath,
    "test",
    "--bail=1",
    "--timeout=30000",
    ...tests.map((test) => `./${test}`),
  ];
  // RLIMIT_DATA. JavaScriptCore reserves more than half of it at its start, and less where there is less.
  const child = spawn("sh", ["-c", `ulimit -d ${DATA_KIB} && exec "$@"`, "sh", ...command], {
    cwd: directory,
    stdio: "ignore",
    detached: true,
  });
  const kill = (): void => {
    try {
      process.kill(-(child.pid ?? 0), "SIGKILL");
    } catch {
      // It has ended.
    }
  };
  const timer = setTimeout(kill, timeoutMs);
  const code = await new Promise<number | null>((resolve) => child.once("exit", resolve));
  clearTimeout(timer);
  kill();
  return code !== 0;
}
