import { describe, expect, test } from "bun:test";
import { ProviderError } from "../base/error-class.ts";
import { Secret } from "../base/secret.ts";
import { failureLog } from "./failure-log.ts";
import { type LineStream, logSink } from "./log-sink.ts";
import { createLogger, errorFields } from "./logger.ts";

function recorded(options: { level?: "debug" | "info"; format?: "json" | "text" } = {}) {
  const lines: string[] = [];
  const logger = createLogger({
    level: options.level ?? "debug",
    format: options.format ?? "json",
    sink: { write: (line) => lines.push(line), takeDropped: () => 0, flush: async () => {} },
    wallMs: () => Date.UTC(2026, 0, 2, 3, 4, 5, 6),
  });
  return { lines, logger };
}

describe("lines", () => {
  test("JSON has the contract's names", () => {
    const { lines, logger } = recorded();
    logger.warn("openbao.request", {
      operation: "transit_decrypt",
      status: "error",
      durationMs: 1.23456,
      errorClass: "timeout",
      keyIdHash: undefined,
    });
    expect(lines).toEqual([
      '{"ts":"2026-01-02T03:04:05.006Z","level":"warn","message":"openbao.request","operation":"transit_decrypt","status":"error","duration_ms":1.235,"error_class":"timeout"}\n',
    ]);
  });

  test("text is aligned and quotes what holds blanks", () => {
    const { lines, logger } = recorded({ format: "text" });
    logger.info("auth.login", { status: "ok", reason: "two words" });
    expect(lines).toEqual([
      '2026-01-02T03:04:05.006Z INFO  auth.login           status=ok reason="two words"\n',
    ]);
  });

  test.each(["json", "text"] as const)("hostile text cannot forge a line (%s)", (format) => {
    const { lines, logger } = recorded({ format });
    logger.info("auth.login", { reason: 'a\n{"level":"error"}\u001b[2J\u202e\u0085\ud800"' });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^[^\p{Cc}\p{Cf}\p{Cs}]*\n$/u);
  });

  test("long text is cut", () => {
    const { lines, logger } = recorded();
    logger.info("auth.login", { reason: "x".repeat(1_000_000) });
    expect(lines[0]?.length).toBeLessThan(3000);
  });

  test("of 2048 characters is kept, and of longer ones so many", () => {
    const { lines, logger } = recorded();
    logger.info("auth.login", { reason: "x".repeat(2048) });
    logger.info("auth.login", { reason: "x".repeat(2049) });
    expect(lines.map((line) => JSON.parse(line).reason)).toEqual(["x".repeat(2048), `${"x".repeat(2048)}…`]);
  });
});

describe("levels", () => {
  test("below the level nothing is written, and the level can change", () => {
    const { lines, logger } = recorded({ level: "info" });
    logger.debug("kms.request");
    expect(lines).toHaveLength(0);
    logger.setLevel("debug");
    logger.debug("kms.request");
    expect(lines).toHaveLength(1);
    expect(logger.level()).toBe("debug");
  });
});

describe("errors", () => {
  test("a ProviderError's own words are logged, its cause never", () => {
    const error = new ProviderError({
      code: "c",
      errorClass: "auth_failed",
      message: "m",
      advice: "a",
      cause: new Error("remote text"),
    });
    expect(errorFields(error)).toEqual({ errorClass: "auth_failed", code: "c", reason: "m", advice: "a" });
    expect(errorFields(new Error("remote text"))).toEqual({ errorClass: "unknown" });
  });

  test("a Secret in a message prints as such", () => {
    const { lines, logger } = recorded();
    logger.info("auth.login", { reason: `token ${String(new Secret("hvs.CANARY"))}` });
    expect(lines.join()).not.toContain("CANARY");
  });
});

describe("repeated failures", () => {
  test("are logged at the start, once a minute with a count, and at the end", () => {
    const { lines, logger } = recorded({ level: "info" });
    let now = 0;
    const failures = failureLog(logger, () => now);
    const fail = () => failures.failed("status.probe", { operation: "metadata", errorClass: "timeout" });
    for (let second = 0; second <= 150; second += 10) {
      now = second * 1000;
      fail();
    }
    failures.succeeded("status.probe", { operation: "metadata" });
    failures.succeeded("status.probe", { operation: "metadata" });
    const seen = lines
      .map((line) => JSON.parse(line))
      .map(({ level, status, repeated }) => ({ level, status, repeated }));
    expect(seen).toEqual([
      { level: "warn", status: "error", repeated: undefined },
      { level: "warn", status: "error", repeated: 6 },
      { level: "warn", status: "error", repeated: 6 },
      { level: "info", status: "recovered", repeated: 16 },
    ]);
  });

  test("of more operations than there are is logged each time", () => {
    const { lines, logger } = recorded();
    const failures = failureLog(logger, () => 0);
    for (const round of [1, 2]) {
      for (let index = 0; index < 513; index += 1) {
        failures.failed("status.probe", { operation: `operation ${index}`, errorClass: "timeout" });
      }
      expect(lines).toHaveLength(round === 1 ? 513 : 514);
    }
  });

  test("another class is another failure", () => {
    const { lines, logger } = recorded();
    const failures = failureLog(logger, () => 0);
    failures.failed("auth.login", { errorClass: "timeout" });
    failures.failed("auth.login", { errorClass: "auth_failed" });
    expect(lines).toHaveLength(2);
  });

  test("classes that alternate are counted each on its own, and end together", () => {
    const { lines, logger } = recorded({ level: "info" });
    const failures = failureLog(logger, () => 0);
    for (let round = 0; round < 100; round += 1) {
      failures.failed("kms.request", { operation: "decrypt", errorClass: "key_id_malformed" });
      failures.failed("kms.request", { operation: "decrypt", errorClass: "aad_missing" });
    }
    failures.succeeded("kms.request", { operation: "decrypt" });
    expect(lines).toHaveLength(3);
    expect(JSON.parse(lines[2] ?? "")).toMatchObject({ level: "info", repeated: 200 });
  });

  test("failures between successes cost a few lines a minute, and none is left out of the counts", () => {
    const { lines, logger } = recorded({ level: "info" });
    let now = 0;
    const failures = failureLog(logger, () => now);
    for (let call = 0; call < 600; call += 1) {
      now = call * 200;
      failures.failed("kms.request", { operation: "decrypt", errorClass: "aad_missing" });
      failures.succeeded("kms.request", { operation: "decrypt" });
    }
    const warnings = lines.map((line) => JSON.parse(line)).filter(({ level }) => level === "warn");
    expect(lines.length).toBeLessThan(20);
    const counted = warnings.reduce((sum, { repeated }) => sum + (repeated ?? 1), 0);
    expect(counted).toBeGreaterThan(250);
  });
});

describe("the sink", () => {
  /** How many of the promises have settled by the time it is called, without waiting for a timer. */
  function settledCount(promises: readonly Promise<void>[]) {
    let count = 0;
    for (const promise of promises) {
      void promise.finally(() => {
        count += 1;
      });
    }
    return async (): Promise<number> => {
      await Promise.resolve();
      return count;
    };
  }

  function stalledStream() {
    const written: string[] = [];
    let drain = () => {};
    let fail = () => {};
    let open = true;
    const stream: LineStream = {
      write: (line) => {
        written.push(line);
        return open;
      },
      once: (_, listener) => {
        drain = listener;
      },
      on: (_, listener) => {
        fail = listener;
      },
    };
    return {
      stream,
      written,
      stall: () => {
        open = false;
      },
      /** `isReading`: whether it takes all that waits, or stalls again. */
      resume: (isReading = true) => {
        open = isReading;
        drain();
      },
      fail: () => fail(),
    };
  }

  test("a stalled reader costs a bounded queue and a count of what was dropped", () => {
    const { stream, written, stall, resume } = stalledStream();
    const sink = logSink(stream, 25);
    stall();
    for (let line = 0; line < 6; line += 1) {
      sink.write(`line ${line}....\n`);
    }
    expect(written).toEqual(["line 0....\n"]);
    resume();
    expect(written.join("")).toBe("line 0....\nline 1....\nline 2....\n");
    expect(sink.takeDropped()).toBe(3);
    expect(sink.takeDropped()).toBe(0);
  });

  test("a queue has at most 1 MiB", () => {
    const { stream, stall } = stalledStream();
    const sink = logSink(stream);
    stall();
    sink.write("first");
    sink.write("x".repeat(1_048_576));
    expect(sink.takeDropped()).toBe(0);
    sink.write("y");
    expect(sink.takeDropped()).toBe(1);
  });

  test("a reader that is gone makes it quiet", async () => {
    const { stream, written, stall, fail } = stalledStream();
    const sink = logSink(stream);
    stall();
    sink.write("a\n");
    const flushed = settledCount([sink.flush(1000), sink.flush(1000)]);
    fail();
    expect(await flushed()).toBe(2);
    sink.write("b\n");
    expect(await settledCount([sink.flush(1000)])()).toBe(1);
    expect(written).toEqual(["a\n"]);
  });

  test("flush ends with the last line of the queue", async () => {
    const { stream, stall, resume } = stalledStream();
    const sink = logSink(stream);
    stall();
    sink.write("a\n");
    sink.write("b\n");
    const flushed = settledCount([sink.flush(1000)]);
    resume();
    expect(await flushed()).toBe(1);
  });

  test("flush waits for the queue, however often the reader stalls", async () => {
    const { stream, written, stall, resume } = stalledStream();
    const sink = logSink(stream);
    expect(await settledCount([sink.flush(1000)])()).toBe(1);
    stall();
    sink.write("a\n");
    sink.write("b\n");
    const flushed = settledCount([sink.flush(1000), sink.flush(1000)]);
    expect(await flushed()).toBe(0);
    resume(false);
    expect(await flushed()).toBe(0);
    resume();
    expect(await flushed()).toBe(2);
    sink.write("c\n");
    expect(written).toEqual(["a\n", "b\n", "c\n"]);
  });

  test("flush ends by itself when no process reads", async () => {
    const { stream, stall } = stalledStream();
    const sink = logSink(stream);
    stall();
    sink.write("a\n");
    await sink.flush(1);
    expect(sink.takeDropped()).toBe(0);
  });
});
