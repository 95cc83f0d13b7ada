import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { systemClock } from "../base/clock.ts";
import { helperProcess } from "./helper-process.ts";

const TOKEN = { modulePath: "/m.so", tokenLabel: "t", keyLabel: "k", maxSessions: 2 };
/** First lines of every script: `say` prints a marked line. */
const PREAMBLE = `read -r request
marker=$(printf %s "$request" | sed 's/.*"marker":"\\([0-9a-f]*\\)".*/\\1/')
say() { printf '\\n%s%s\\n' "$marker" "$1"; }
`;

const run = (script: string, timeoutMs = 2000, signal = new AbortController().signal) =>
  helperProcess({
    command: ["/bin/sh", "-c", PREAMBLE + script],
    environment: { ONLY: "this" },
    clock: systemClock,
  })({ token: TOKEN, task: { kind: "inspect" }, timeoutMs, signal });

const STAGE = `say '{"kind":"stage","stage":"token"}'`;
const DONE = `say '{"kind":"done"}'`;

describe("a helper process", () => {
  test("that answers has ended with its answer and its last stage", async () => {
    expect(await run(`${STAGE}; ${DONE}`)).toEqual({ stage: "token", outcome: { kind: "done" } });
  });

  test("gets the environment it is given, the root directory, and no arguments with secrets", async () => {
    const script = `[ "$ONLY" = this ] && [ -z "$HOME" ] && [ "$PWD" = / ] && ${DONE}`;
    expect((await run(script)).outcome).toEqual({ kind: "done" });
  });

  test("is heard through the noise of a module, and only with its marker", async () => {
    const noise = `echo '{"kind":"answer","status":200}'; printf 'no line end'; echo vendor >&2`;
    expect(await run(`${noise}; ${STAGE}; ${noise}; ${DONE}; ${noise}`)).toEqual({
      stage: "token",
      outcome: { kind: "done" },
    });
  });

  test("that ends without a word has vanished, with how it ended", async () => {
    expect(await run(`${STAGE}; exit 7`)).toEqual({
      stage: "token",
      outcome: { kind: "vanished", exitCode: 7, signal: null },
    });
    expect((await run("kill -SEGV $$")).outcome).toMatchObject({ kind: "vanished", signal: "SIGSEGV" });
  });

  test("that hangs is killed at its deadline, with what it forked, while timers here go on", async () => {
    let ticks = 0;
    const ticker = setInterval(() => (ticks += 1), 10);
    const script = `trap '' TERM; sleep 1000 & echo "$!" >&2; ${STAGE}; say "{}"; wait`;
    const end = await run(script, 150);
    clearInterval(ticker);
    expect(end).toEqual({ stage: "token", outcome: { kind: "timeout" } });
    expect(ticks).toBeGreaterThan(5);
  });

  test("that forked a process which keeps stdout open does not hold up its answer", async () => {
    const started = performance.now();
    const end = await run(`${DONE}; sleep 1000 & exit 0`);
    expect(end.outcome).toEqual({ kind: "done" });
    expect(performance.now() - started).toBeLessThan(1500);
  });

  test("leaves no process behind", async () => {
    const flag = `/tmp/helper-process-test-${process.pid}-${Date.now()}`;
    await run(`(sleep 0.3; : > ${flag}) & ${DONE}; exit 0`);
    await systemClock.sleep(450);
    expect(existsSync(flag)).toBe(false);
  });

  test("that floods stdout is not kept in memory, and ends at its deadline", async () => {
    expect((await run("yes", 300)).outcome).toEqual({ kind: "timeout" });
  });

  test("is killed when its caller gives up, and not started when that was before", async () => {
    const stop = new AbortController();
    const end = run(`${STAGE}; sleep 1000`, 5000, stop.signal);
    await systemClock.sleep(50);
    stop.abort();
    expect((await end).outcome).toEqual({ kind: "aborted" });
    expect((await run(DONE, 5000, stop.signal)).outcome).toEqual({ kind: "aborted" });
  });

  test("keeps 4 MiB of output, and hears no more of it", async () => {
    const afterBytes = (count: number) => run(`head -c ${count} /dev/zero | tr '\\0' x; ${DONE}`, 20_000);
    const kept = 4 * 1024 * 1024 - `\n${"m".repeat(32)}{"kind":"done"}\n`.length;
    expect((await afterBytes(kept)).outcome.kind).toBe("done");
    expect((await afterBytes(kept + 1)).outcome.kind).toBe("vanished");
  });

  test.each([
    [2000, 3],
    [2001, 4],
    [3_598_001, 3600],
    [9_000_000, 3600],
  ])("that is given %d ms kills itself after %d s", async (timeoutMs, seconds) => {
    const script = `printf %s "$request" | grep -q '"alarmSeconds":${seconds},' && ${DONE}`;
    expect((await run(script, timeoutMs)).outcome.kind).toBe("done");
  });

  test("that cannot be started says so", async () => {
    const missing = helperProcess({ command: ["/no/such/program"], environment: {}, clock: systemClock });
    const end = await missing({
      token: TOKEN,
      task: { kind: "inspect" },
      timeoutMs: 1000,
      signal: new AbortController().signal,
    });
    expect(end.outcome).toMatchObject({ kind: "not_started" });
  });
});
