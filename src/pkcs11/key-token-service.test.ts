import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { systemClock } from "../base/clock.ts";
import { ProviderError } from "../base/error-class.ts";
import { isPinRefusal, KeyTokenError, keyTokenError } from "./errors.ts";
import { ConnectionFailure, DEVICE_FAILURES, HELPER_STAGES } from "./failure.ts";
import type { HelperCall, HelperEnd } from "./helper-process.ts";
import { decodePin, keyTokenService, pinOutcome } from "./key-token-service.ts";
import { type HeldRecord, type HoldRecord, LoginRecordError } from "./login-record.ts";
import type { PinLatch } from "./pin-latch.ts";

const PIN = "482913";
const CHAIN = [Uint8Array.of(1, 2, 3)];
const SUBJECT = {
  modulePath: "/m.so",
  tokenLabel: "token",
  keyLabel: "key",
  pinFile: "/pin",
  recordPath: "/record",
};

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "key-token-"));
  writePin(`${PIN}\n`);
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function writePin(text: string): void {
  writeFileSync(join(directory, "pin.new"), text, { mode: 0o600 });
  renameSync(join(directory, "pin.new"), join(directory, "pin"));
}

/** A service over a helper that ends as told, and a record in memory that shows what was on disk while it ran. */
function setUp(ends: HelperEnd[], hold?: HoldRecord) {
  const calls: HelperCall[] = [];
  const duringCall: (PinLatch | undefined)[] = [];
  let latch: PinLatch | undefined;
  let releases = 0;
  const record: HeldRecord = {
    read: () => latch,
    write: (next) => {
      latch = next;
    },
    release: () => {
      releases += 1;
    },
  };
  const service = keyTokenService({
    token: { modulePath: "/m.so", tokenLabel: "token", keyLabel: "key", maxSessions: 2 },
    pinFile: join(directory, "pin"),
    serviceUid: process.geteuid?.() ?? 0,
    serverName: "bao.example",
    recordPath: "/record",
    clock: systemClock,
    holdRecord: hold ?? (() => Promise.resolve(record)),
    runHelper: (call) => {
      calls.push(call);
      duringCall.push(latch);
      return Promise.resolve(ends.shift() ?? { stage: undefined, outcome: { kind: "timeout" } });
    },
  });
  const prove = (signal: AbortSignal = never, timeoutMs = 1000): Promise<string> =>
    service.prove(CHAIN, { timeoutMs, signal }).then(() => "ok", codeOf);
  return { service, prove, calls, duringCall, latch: () => latch, releases: () => releases };
}

const never = new AbortController().signal;

function codeOf(error: unknown): string {
  return error instanceof ProviderError || error instanceof ConnectionFailure ? error.code : String(error);
}

const DONE: HelperEnd = { stage: "key", outcome: { kind: "done" } };

describe("a login", () => {
  test("gives the helper the PIN without its line end, once the try is on record", async () => {
    const { prove, calls, duringCall, latch } = setUp([DONE]);
    expect(await prove()).toBe("ok");
    expect(calls[0]?.task).toMatchObject({ kind: "prove", pin: PIN, refuseAfterFailedTry: false });
    expect(duringCall[0]?.state).toBe("trying");
    expect(latch()?.state).toBe("accepted");
    expect(JSON.stringify([duringCall, latch()])).not.toContain(PIN);
  });

  test("with a PIN that was refused starts no helper until the file is a new one", async () => {
    const refused: HelperEnd = { stage: "pin", outcome: { kind: "failure", code: "pin_refused" } };
    const { prove, calls } = setUp([refused, DONE]);
    expect([await prove(), await prove(), await prove()]).toEqual([
      "pin_refused",
      "pin_latched",
      "pin_latched",
    ]);
    expect(calls).toHaveLength(1);
    writePin("another");
    expect(await prove()).toBe("ok");
  });

  test("after a try that was cut short asks the token's own count, and in the end a person", async () => {
    const hung: HelperEnd = { stage: "pin", outcome: { kind: "timeout" } };
    const { prove, calls } = setUp([hung, hung]);
    expect([await prove(), await prove(), await prove()]).toEqual([
      "module_hung",
      "module_hung",
      "pin_outcome_unknown",
    ]);
    expect(calls.map(({ task }) => "refuseAfterFailedTry" in task && task.refuseAfterFailedTry)).toEqual([
      false,
      true,
    ]);
  });

  test.each<[HelperEnd, string]>([
    [{ stage: "token", outcome: { kind: "timeout" } }, "module_hung"],
    [{ stage: "connect", outcome: { kind: "timeout" } }, "timeout"],
    [{ stage: "key", outcome: { kind: "vanished", exitCode: null, signal: "SIGSEGV" } }, "module_crashed"],
    [{ stage: undefined, outcome: { kind: "not_started", cause: undefined } }, "helper_not_started"],
    [{ stage: "connect", outcome: { kind: "aborted" } }, "canceled"],
    [{ stage: "connect", outcome: { kind: "failure", code: "server_name" } }, "server_name"],
    [{ stage: "key", outcome: { kind: "failure", code: "key_missing" } }, "key_missing"],
  ])("that ends with %j", async (end, code) => {
    expect(await setUp([end]).prove()).toBe(code);
  });

  test("without a usable record, or with another login in progress, gives no PIN to anyone", async () => {
    for (const [thrown, code] of [
      [new LoginRecordError("damaged"), "record_damaged"],
      [new LoginRecordError("unusable"), "record_unusable"],
    ] as const) {
      const { prove, calls } = setUp([DONE], () => Promise.reject(thrown));
      expect(await prove()).toBe(code);
      expect(calls).toHaveLength(0);
    }
  });

  test("lets go of the record, however it ends", async () => {
    const { prove, releases } = setUp([DONE, { stage: "key", outcome: { kind: "timeout" } }]);
    expect([await prove(), releases()]).toEqual(["ok", 1]);
    expect([await prove(), releases()]).toEqual(["module_hung", 2]);
  });

  test("takes the longest PIN from a file of any editor", async () => {
    const longest = "9".repeat(255);
    writePin(`${longest}\r\n`);
    const { prove, calls } = setUp([DONE]);
    expect(await prove()).toBe("ok");
    expect(calls[0]?.task).toMatchObject({ pin: longest });
    writePin(`9${longest}`);
    expect(await setUp([DONE]).prove()).toBe("pin_invalid");
  });

  test("that waits for another one ends with its time or its caller, and a fault of the wait is no failure of the token", async () => {
    const waiting: HoldRecord = (signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
      });
    expect(await setUp([DONE], waiting).prove(never, 1)).toBe("login_busy");
    const stop = new AbortController();
    const { prove, calls } = setUp([DONE], waiting);
    const given = prove(stop.signal);
    stop.abort(new Error("the caller is gone"));
    expect(await given).toBe("canceled");
    expect(calls).toHaveLength(0);
    const broken = () => Promise.reject(new TypeError("broken"));
    expect(await setUp([DONE], broken).prove()).toBe("TypeError: broken");
  });

  test("with a PIN file that holds no PIN, or is readable by all, is not tried", async () => {
    chmodSync(join(directory, "pin"), 0o644);
    const { prove, calls } = setUp([DONE]);
    expect(await prove()).toBe("file_readable_by_others");
    expect(calls).toHaveLength(0);
    writePin("two\nlines");
    expect(await setUp([DONE]).prove()).toBe("pin_invalid");
    rmSync(join(directory, "pin"));
    expect(await setUp([DONE]).prove()).toBe("file_missing");
  });
});

test("a look at the token fails with what the helper found", async () => {
  const inspect = (end: HelperEnd): Promise<string> =>
    setUp([end])
      .service.inspect({ timeoutMs: 1000, signal: never })
      .then(() => "ok", codeOf);
  expect(await inspect(DONE)).toBe("ok");
  expect(await inspect({ stage: "token", outcome: { kind: "failure", code: "key_missing" } })).toBe(
    "key_missing",
  );
});

describe("a request", () => {
  const CA = [Uint8Array.of(9)];
  const requestOf = (url: string) => ({
    method: "POST" as const,
    url,
    headers: { "x-a": "1" },
    body: "{}",
    maxBytes: 100,
    timeoutMs: 1000,
    signal: never,
  });
  const answer: HelperEnd = {
    stage: "connect",
    outcome: { kind: "answer", status: 200, headers: [["date", "today"]], body: Uint8Array.of(7) },
  };

  test.each([
    ["https://bao.example:8200/v1/a?b=c", "bao.example", 8200, "bao.example:8200"],
    ["https://bao.example/v1/a?b=c", "bao.example", 443, "bao.example"],
    ["https://[::1]:8200/v1/a?b=c", "::1", 8200, "[::1]:8200"],
  ])("to %s is what the helper sends, and its answer comes back", async (url, host, port, authority) => {
    const { service, calls } = setUp([answer]);
    const response = await service.request({ chain: CHAIN, ca: CA }, requestOf(url));
    expect([response.status, response.headers.get("date"), [...response.body]]).toEqual([200, "today", [7]]);
    expect(calls[0]?.task).toEqual({
      kind: "exchange",
      pin: PIN,
      refuseAfterFailedTry: false,
      chain: CHAIN,
      exchange: {
        host,
        port,
        serverName: "bao.example",
        ca: CA,
        method: "POST",
        path: "/v1/a?b=c",
        headers: [
          ["host", authority],
          ["x-a", "1"],
        ],
        body: Buffer.from("{}"),
        maxBytes: 100,
      },
    });
  });

  test.each(["http://bao.example/v1/a", "bao.example", ""])("to %j gives no PIN to anyone", async (url) => {
    const { service, calls } = setUp([answer]);
    const given = service.request({ chain: CHAIN, ca: CA }, requestOf(url));
    expect(await given.then(() => "ok", codeOf)).toBe("request_invalid");
    expect(calls).toHaveLength(0);
  });

  test("that the helper ends without an answer is not one", async () => {
    const { service } = setUp([DONE]);
    const given = service.request({ chain: CHAIN, ca: CA }, requestOf("https://bao.example/"));
    expect(await given.then(() => "ok", codeOf)).toBe("unexpected");
  });
});

describe("what a helper's end says of the PIN", () => {
  test("nothing before it was given, acceptance after it, and in between only what the token said", () => {
    const outcomes = HELPER_STAGES.map((stage) => [
      stage,
      pinOutcome({ stage, outcome: { kind: "timeout" } }),
      pinOutcome({ stage, outcome: { kind: "failure", code: "pin_locked" } }),
    ]);
    expect(outcomes).toEqual([
      ["module", "untried", "untried"],
      ["token", "untried", "untried"],
      ["pin", "unknown", "refused"],
      ["key", "accepted", "untried"],
      ["connect", "accepted", "untried"],
    ]);
  });
});

test("a PIN is one line of text: any bytes give one without control characters and of bounded length, or none", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const pin = decodePin(bytes);
      expect(pin === undefined || (/^\P{Cc}+$/u.test(pin) && Buffer.byteLength(pin) <= 255)).toBe(true);
    }),
  );
  expect(decodePin(Buffer.from(" spaces count \r\n"))).toBe(" spaces count ");
  expect(decodePin(Uint8Array.of(0x39, 0xff))).toBeUndefined();
});

test("every failure of the device has words of its own, and those of the PIN end with exit code 6", () => {
  const errors = DEVICE_FAILURES.map((code) =>
    keyTokenError(code, SUBJECT, { detail: "C_Sign CKR_DEVICE_ERROR" }),
  );
  expect(new Set(errors.map(({ message }) => message)).size).toBe(errors.length);
  expect(
    errors.every((error) => error instanceof KeyTokenError && !error.message.includes("undefined")),
  ).toBe(true);
  expect(errors.filter(isPinRefusal).map(({ code }) => code)).toEqual([
    "pin_locked",
    "pin_final_try",
    "pin_tried_before",
    "pin_refused",
    "pin_expired",
  ]);
});
