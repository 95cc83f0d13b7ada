import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { ProviderError } from "../base/error-class.ts";
import {
  ConnectionFailure,
  DEVICE_FAILURES,
  HELPER_STAGES,
  isPinRefusal,
  Pkcs11Error,
  pkcs11Error,
} from "./errors.ts";
import type { HelperCall, HelperEnd } from "./helper-process.ts";
import { type HeldRecord, type HoldRecord, LoginRecordError } from "./login-record.ts";
import type { PinLatch } from "./pin-latch.ts";
import { decodePin, type Pkcs11Token, pinOutcome, pkcs11Token } from "./token.ts";

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
  directory = mkdtempSync(join(tmpdir(), "pkcs11-token-"));
  writePin(`${PIN}\n`);
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function writePin(text: string): void {
  writeFileSync(join(directory, "pin.new"), text, { mode: 0o600 });
  renameSync(join(directory, "pin.new"), join(directory, "pin"));
}

/** A service over a helper that ends as told, and a record in memory that shows what was on disk while it ran. */
function setUp(
  ends: HelperEnd[],
  { hold, write, nowMs = () => 0 }: { hold?: HoldRecord; write?: () => void; nowMs?: () => number } = {},
) {
  let releases = 0;
  const calls: HelperCall[] = [];
  const duringCall: (PinLatch | undefined)[] = [];
  let latch: PinLatch | undefined;
  const record: HeldRecord = {
    read: () => latch,
    write: (next) => {
      write?.();
      latch = next;
    },
    release: () => {
      releases += 1;
    },
  };
  const service = pkcs11Token({
    token: { modulePath: "/m.so", tokenLabel: "token", keyLabel: "key", maxSessions: 2 },
    pinFile: join(directory, "pin"),
    serviceUid: process.geteuid?.() ?? 0,
    serverName: "bao.example",
    recordPath: "/record",
    clock: { monotonicMs: nowMs },
    holdRecord: hold ?? (() => Promise.resolve(record)),
    runHelper: (call) => {
      calls.push(call);
      duringCall.push(latch);
      return Promise.resolve(ends.shift() ?? { stage: undefined, outcome: { kind: "timeout" } });
    },
  });
  const prove = (timeoutMs = 1000, signal = new AbortController().signal): Promise<string> =>
    service.prove(CHAIN, { timeoutMs, signal }).then(() => "ok", codeOf);
  return { service, prove, calls, duringCall, latch: () => latch, releases: () => releases };
}

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
      const { prove, calls } = setUp([DONE], { hold: () => Promise.reject(thrown) });
      expect(await prove()).toBe(code);
      expect(calls).toHaveLength(0);
      const unwritten = setUp([DONE], {
        write: () => {
          throw thrown;
        },
      });
      expect([await unwritten.prove(), unwritten.calls.length, unwritten.releases()]).toEqual([code, 0, 1]);
    }
    const untilAborted: HoldRecord = (signal) =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    expect(await setUp([DONE], { hold: untilAborted }).prove(1)).toBe("login_busy");
    const stop = new AbortController();
    const given = setUp([DONE], { hold: untilAborted }).prove(60_000, stop.signal);
    stop.abort();
    expect(await given).toBe("canceled");
    const broken = setUp([DONE], { hold: () => Promise.reject(new RangeError("x")) });
    expect(await broken.prove()).toBe("RangeError: x");
  });

  test("releases the record however it ends", async () => {
    const hung: HelperEnd = { stage: "pin", outcome: { kind: "timeout" } };
    const { prove, releases } = setUp([DONE, hung]);
    await prove();
    await prove();
    expect(releases()).toBe(2);
    writePin("");
    await prove();
    expect(releases()).toBe(3);
  });

  test.each([
    [1000, 500],
    [501, 1],
    [500, 1],
    [100, 1],
  ])("of %d ms that waited 300 ms leaves its helper %d ms", async (timeoutMs, expected) => {
    const reads = [5000, 5300];
    const { prove, calls } = setUp([DONE], { nowMs: () => reads.shift() ?? 0 });
    await prove(timeoutMs);
    expect(calls[0]?.timeoutMs).toBe(expected);
  });

  test("with a PIN file that holds no PIN, or is readable by all, is not tried", async () => {
    writePin("two\nlines");
    expect(await setUp([DONE]).prove()).toBe("pin_invalid");
    writePin(`${"1".repeat(255)}\r\n`);
    expect(await setUp([DONE]).prove()).toBe("ok");
    writePin("1".repeat(256));
    expect(await setUp([DONE]).prove()).toBe("pin_invalid");
    writePin("1".repeat(258));
    expect(await setUp([DONE]).prove()).toBe("file_too_large");
    chmodSync(join(directory, "pin"), 0o644);
    expect(await setUp([DONE]).prove()).toBe("file_readable_by_others");
    rmSync(join(directory, "pin"));
    expect(await setUp([DONE]).prove()).toBe("file_missing");
  });
});

describe("a request", () => {
  const ANSWER: HelperEnd = {
    stage: "connect",
    outcome: { kind: "answer", status: 204, headers: [["x-a", "1"]], body: Uint8Array.of(7) },
  };
  const CA = [Uint8Array.of(9)];
  const ask = (service: Pkcs11Token, url: string, body?: string) =>
    service.request(
      { chain: CHAIN, ca: CA },
      {
        method: "POST",
        url,
        headers: { accept: "x" },
        body,
        maxBytes: 10,
        timeoutMs: 1000,
        signal: new AbortController().signal,
      },
    );

  test.each([
    ["https://bao.test/v1/a?b=c", undefined, "bao.test", 443, "/v1/a?b=c", "bao.test"],
    ["https://bao.test:8200", "{}", "bao.test", 8200, "/", "bao.test:8200"],
    ["https://[::1]:8200/x", "{}", "::1", 8200, "/x", "[::1]:8200"],
  ])("to %s", async (url, body, host, port, path, authority) => {
    const { service, calls } = setUp([ANSWER]);
    const { status, headers, body: answered } = await ask(service, url, body);
    expect([status, headers.get("x-a"), answered]).toEqual([204, "1", Uint8Array.of(7)]);
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
        path,
        headers: [
          ["host", authority],
          ["accept", "x"],
        ],
        body: new TextEncoder().encode(body ?? ""),
        maxBytes: 10,
      },
    });
  });

  test("to anything but https, or without an answer, fails", async () => {
    for (const url of ["http://bao.test/", "none"]) {
      const { service, calls } = setUp([ANSWER]);
      expect(await ask(service, url).catch(codeOf)).toBe("request_invalid");
      expect(calls).toHaveLength(0);
    }
    expect(await ask(setUp([DONE]).service, "https://bao.test").catch(codeOf)).toBe("unexpected");
  });
});

test("an inspection gives the token no PIN, and reports its failure", async () => {
  const { service, calls } = setUp([
    DONE,
    { stage: "token", outcome: { kind: "failure", code: "token_missing" } },
  ]);
  const call = { timeoutMs: 1000, signal: new AbortController().signal };
  await service.inspect(call);
  expect(calls[0]).toMatchObject({ task: { kind: "inspect" }, timeoutMs: 1000 });
  expect(await service.inspect(call).catch(codeOf)).toBe("token_missing");
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
    const said = (["pin_not_initialized", "pin_refused", "pin_expired", "login_failed"] as const).map(
      (code) => pinOutcome({ stage: "pin", outcome: { kind: "failure", code } }),
    );
    expect(said).toEqual(["untried", "refused", "refused", "unknown"]);
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
    pkcs11Error(code, SUBJECT, { detail: "C_Sign CKR_DEVICE_ERROR" }),
  );
  expect(new Set(errors.map(({ message }) => message)).size).toBe(errors.length);
  expect(errors.every((error) => error instanceof Pkcs11Error && !error.message.includes("undefined"))).toBe(
    true,
  );
  const ours = [
    ...(["pin_invalid", "pin_latched", "pin_outcome_unknown", "record_damaged", "record_unusable"] as const),
    ...(["login_busy", "module_hung", "module_crashed", "helper_not_started"] as const),
  ].map((code) => pkcs11Error(code, SUBJECT));
  expect([...errors, ...ours].filter(({ message, advice }) => /[{}]/.test(`${message} ${advice}`))).toEqual(
    [],
  );
  expect(pkcs11Error("sign_failed", SUBJECT, { detail: "C_Sign" }).message).toBe(
    'the key "key" did not sign (C_Sign)',
  );
  expect(pkcs11Error("module_hung", SUBJECT, { stage: "key" }).message).toContain(
    "/m.so did not return in time while using the key",
  );
  expect(pkcs11Error("record_damaged", SUBJECT).advice).toEndWith("rm /record");
  expect(pkcs11Error("pin_refused", SUBJECT)).toMatchObject({
    message: expect.stringContaining('"token" refused the PIN in /pin'),
    advice: "write the correct PIN to /pin",
  });
  expect(errors.filter(isPinRefusal).map(({ code }) => code)).toEqual([
    "pin_locked",
    "pin_final_try",
    "pin_tried_before",
    "pin_refused",
    "pin_expired",
  ]);
});
