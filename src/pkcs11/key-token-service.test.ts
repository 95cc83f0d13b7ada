import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { systemClock } from "../base/clock.ts";
import { ProviderError } from "../base/error-class.ts";
import { isPinRefusal, KeyTokenError, keyTokenError } from "./errors.ts";
import { ConnectionFailure, DEVICE_FAILURES, HELPER_STAGES } from "./failure.ts";
import type { HelperCall, HelperEnd } from "./helper-process.ts";
import { decodePin, keyTokenService, pinOutcome } from "./key-token-service.ts";
import { type HeldRecord, LoginRecordError } from "./login-record.ts";
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
function setUp(ends: HelperEnd[], hold?: () => Promise<HeldRecord>) {
  const calls: HelperCall[] = [];
  const duringCall: (PinLatch | undefined)[] = [];
  let latch: PinLatch | undefined;
  const record: HeldRecord = {
    read: () => latch,
    write: (next) => {
      latch = next;
    },
    release: () => {},
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
  const prove = (): Promise<string> =>
    service.prove(CHAIN, { timeoutMs: 1000, signal: new AbortController().signal }).then(
      () => "ok",
      (error: unknown) =>
        error instanceof ProviderError || error instanceof ConnectionFailure ? error.code : String(error),
    );
  return { service, prove, calls, duringCall, latch: () => latch };
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

  test("with a PIN file that holds no PIN, or is readable by all, is not tried", async () => {
    writePin("two\nlines");
    expect(await setUp([DONE]).prove()).toBe("pin_invalid");
    rmSync(join(directory, "pin"));
    expect(await setUp([DONE]).prove()).toBe("file_missing");
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
