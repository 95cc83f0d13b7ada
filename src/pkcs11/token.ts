/** @module The PKCS#11 token as the provider sees it: look at it, prove its key, or make one HTTPS request with it. */
import { assertNever } from "../base/assert-never.ts";
import type { Clock } from "../base/clock.ts";
import { stopReason, withDeadline } from "../base/deadline.ts";
import { type FileIdentity, readSafeFile } from "../base/safe-file.ts";
import {
  ConnectionFailure,
  type HelperStage,
  isConnectionFailure,
  type Pkcs11Code,
  type Pkcs11Error,
  type Pkcs11Subject,
  pkcs11Error,
} from "./errors.ts";
import type { HelperEnd, RunHelper } from "./helper-process.ts";
import type { Exchange, HelperResult, TokenNames } from "./helper-protocol.ts";
import { type HeldRecord, type HoldRecord, LoginRecordError } from "./login-record.ts";
import { afterPinTry, decidePinTry, type PinOutcome } from "./pin-latch.ts";

interface Pkcs11TokenOptions {
  readonly token: TokenNames;
  readonly pinFile: string;
  readonly serviceUid: number;
  readonly serverName: string;
  readonly recordPath: string;
  readonly holdRecord: HoldRecord;
  readonly runHelper: RunHelper;
  readonly clock: Pick<Clock, "monotonicMs">;
}

interface TokenCall {
  readonly signal: AbortSignal;
  /** For everything, waiting for another login included. */
  readonly timeoutMs: number;
}

/** An HTTPS request as src/http makes it, with its body as text. */
interface TokenRequest extends TokenCall {
  readonly method: "GET" | "POST" | "PATCH";
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  readonly maxBytes: number;
}

export interface TokenResponse {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

/** Certificates as DER: the client's chain, leaf first, and the CAs that OpenBao is verified against. */
export interface TokenCertificates {
  readonly chain: readonly Uint8Array[];
  readonly ca: readonly Uint8Array[];
}

export type Pkcs11Token = ReturnType<typeof pkcs11Token>;

type Done = Exclude<HelperResult, { kind: "failure" }>;
/** What to do once the token is logged in to. */
type LoginTask = { readonly kind: "prove" } | { readonly kind: "exchange"; readonly exchange: Exchange };

/** Left of the caller's time, so that it hears what a killed helper was doing instead of its own timeout. */
const REPORT_MS = 200;
/** A PIN is at most so long in every token; PKCS#11 itself sets no bound. */
const MAX_PIN_BYTES = 255;

export function pkcs11Token(options: Pkcs11TokenOptions) {
  const { token, pinFile, recordPath, serverName, clock } = options;
  const subject: Pkcs11Subject = { ...token, pinFile, recordPath };
  const fail: Fail = (code, more) => pkcs11Error(code, subject, more);

  const login = async (task: LoginTask, chain: readonly Uint8Array[], call: TokenCall): Promise<Done> => {
    const startedMs = clock.monotonicMs();
    using deadline = withDeadline(call.signal, call.timeoutMs);
    let record: HeldRecord | undefined;
    try {
      record = await options.holdRecord(deadline.signal);
      const pin = await readPin(options, fail);
      const before = record.read();
      const decision = decidePinTry(before, pin.identity);
      if (decision.kind === "refused") {
        throw fail("pin_latched");
      }
      if (decision.kind === "unknown") {
        throw fail("pin_outcome_unknown");
      }
      // On disk before the token hears the PIN: whatever happens from here on, the try is not forgotten.
      record.write(decision.record);
      const end = await options.runHelper({
        token,
        task: { ...task, pin: pin.text, refuseAfterFailedTry: decision.afterUnknown, chain: [...chain] },
        signal: call.signal,
        timeoutMs: Math.max(call.timeoutMs - REPORT_MS - (clock.monotonicMs() - startedMs), 1),
      });
      record.write(afterPinTry(before, decision.record, pinOutcome(end)));
      return settle(end, fail);
    } catch (error) {
      if (error instanceof LoginRecordError) {
        throw fail(`record_${error.reason}`, { cause: error });
      }
      if (record === undefined && deadline.signal.aborted) {
        throw stopReason(deadline.signal) === "timeout"
          ? fail("login_busy")
          : new ConnectionFailure("canceled");
      }
      throw error;
    } finally {
      record?.release();
    }
  };

  return {
    /** Loads the module and finds the token; gives it no PIN. @throws Pkcs11Error, ConnectionFailure */
    inspect: async (call: TokenCall): Promise<void> => {
      settle(await options.runHelper({ token, task: { kind: "inspect" }, ...call }), fail);
    },
    /** Logs in and proves that the key is the certificate's. @throws Pkcs11Error, ConnectionFailure, SafeFileError */
    prove: async (chain: readonly Uint8Array[], call: TokenCall): Promise<void> => {
      await login({ kind: "prove" }, chain, call);
    },
    /** One request over TLS with the certificate. @throws Pkcs11Error, ConnectionFailure, SafeFileError */
    request: async ({ chain, ca }: TokenCertificates, request: TokenRequest): Promise<TokenResponse> => {
      const exchange = exchangeOf(request, serverName, ca);
      if (exchange === undefined) {
        throw fail("request_invalid");
      }
      const done = await login({ kind: "exchange", exchange }, chain, request);
      if (done.kind !== "answer") {
        throw fail("unexpected");
      }
      return {
        status: done.status,
        headers: new Headers(done.headers),
        body: done.body,
      };
    },
  };
}

type Fail = (code: Pkcs11Code, more?: Parameters<typeof pkcs11Error>[2]) => Pkcs11Error;
/** The PIN file, read anew for each login, without the line end that editors add. */
async function readPin(
  { pinFile, serviceUid }: Pkcs11TokenOptions,
  fail: Fail,
): Promise<{ readonly text: string; readonly identity: FileIdentity }> {
  const { bytes, identity } = await readSafeFile(pinFile, {
    what: "the PIN file",
    field: "auth.cert.pkcs11.pinFile",
    maxBytes: MAX_PIN_BYTES + 2,
    secret: true,
    serviceUid,
    errorClass: "token_device",
  });
  const text = decodePin(bytes);
  if (text === undefined) {
    throw fail("pin_invalid");
  }
  return { text, identity };
}

/** One line of UTF-8 (PKCS#11 2.40, section 5.6) without control characters; `undefined` for anything else. */
export function decodePin(bytes: Uint8Array): string | undefined {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes).replace(/\r?\n$/, "");
  } catch {
    return undefined;
  }
  const isPin = text.length > 0 && Buffer.byteLength(text) <= MAX_PIN_BYTES && !/\p{Cc}/u.test(text);
  return isPin ? text : undefined;
}

/** What the helper is to ask, from what src/http would be asked; `undefined` when the URL is not https. */
function exchangeOf(
  request: TokenRequest,
  serverName: string,
  ca: readonly Uint8Array[],
): Exchange | undefined {
  const url = URL.parse(request.url);
  if (url === null || url.protocol !== "https:") {
    return undefined;
  }
  return {
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port === "" ? 443 : Number(url.port),
    serverName,
    ca: [...ca],
    method: request.method,
    path: `${url.pathname}${url.search}`,
    headers: [["host", url.host], ...Object.entries(request.headers)],
    body: new TextEncoder().encode(request.body ?? ""),
    maxBytes: request.maxBytes,
  };
}

/** What became of the PIN when nothing is known but how far the helper came. */
const OUTCOME_AT: Readonly<Record<HelperStage, PinOutcome>> = {
  module: "untried",
  token: "untried",
  pin: "unknown",
  key: "accepted",
  connect: "accepted",
};

export function pinOutcome({ stage, outcome }: HelperEnd): PinOutcome {
  const code = outcome.kind === "failure" ? outcome.code : undefined;
  if (code === "pin_refused" || code === "pin_expired") {
    return "refused";
  }
  if (code === "pin_locked") {
    // Said by a flag before the try, or by the token in answer to it.
    return stage === "pin" ? "refused" : "untried";
  }
  return stage === undefined || code === "pin_not_initialized" ? "untried" : OUTCOME_AT[stage];
}

function settle({ stage, outcome }: HelperEnd, fail: Fail): Done {
  switch (outcome.kind) {
    case "done":
    case "answer":
      return outcome;
    case "failure":
      throw isConnectionFailure(outcome.code)
        ? new ConnectionFailure(outcome.code)
        : fail(outcome.code, { detail: outcome.detail, stage });
    case "timeout":
      throw stage === "connect" ? new ConnectionFailure("timeout") : fail("module_hung", { stage });
    case "aborted":
      throw new ConnectionFailure("canceled");
    case "vanished":
      throw fail("module_crashed", { stage });
    case "not_started":
      throw fail("helper_not_started", { cause: outcome.cause });
    default:
      return assertNever(outcome);
  }
}
