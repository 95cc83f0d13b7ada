/** What each event leaves in the log and in the metrics, as snapshots. */
import { beforeEach, expect, test } from "bun:test";
import { ProviderError } from "../base/error-class.ts";
import type { CallRecord } from "../kms/call-record.ts";
import { ServerError } from "../server/errors.ts";
import { failureLog } from "../telemetry/failure-log.ts";
import { createLogger } from "../telemetry/logger.ts";
import { createMetrics } from "../telemetry/metric-table.ts";
import {
  credentialObserver,
  keyObserver,
  kmsObserver,
  openBaoObserver,
  sessionObserver,
  socketObserver,
  storedCredentialObserver,
  type Telemetry,
} from "./observers.ts";

let lines: string[];
let page: ReturnType<typeof createMetrics>;
let telemetry: Telemetry;
const make = (logRequestIds: boolean): void => {
  lines = [];
  const made = createMetrics();
  page = made;
  const sink = {
    write: (line: string) => void lines.push(line),
    takeDropped: () => 0,
    flush: async () => {},
  };
  const logger = createLogger({ level: "debug", format: "text", sink, wallMs: () => 0 });
  telemetry = { metrics: made.metrics, logger, failures: failureLog(logger, () => 0), logRequestIds };
};
beforeEach(() => make(true));

/** The log, and every series of ours that is not zero. */
async function seen(): Promise<string> {
  const series = page
    .renderPage()
    .split("\n")
    .filter(
      (line) => /^(bao_kms|openbao_kms|kms)_/.test(line) && !line.endsWith(" 0") && !/_bucket/.test(line),
    );
  return [...lines.map((line) => line.trimEnd()), "", ...series].join("\n");
}

const error = new ProviderError({ code: "sealed", errorClass: "openbao_sealed", message: "sealed" });

test("the circuit is closed before the first call", async () => {
  openBaoObserver(telemetry, ["https://a"]);
  expect(page.renderPage()).toMatch(/_circuit_breaker_state 0$/m);
});

test("credentials and sessions", async () => {
  credentialObserver(telemetry)("oauth2_token", 20, undefined);
  credentialObserver(telemetry)("oauth2_token", 20, error);
  storedCredentialObserver(telemetry, "jwt")();
  storedCredentialObserver(telemetry, "jwt")(error);
  const session = sessionObserver(telemetry, "jwt");
  session.onLogin?.({ status: "ok", durationMs: 5, error: undefined });
  session.onLogin?.({ status: "failed", durationMs: 6, error });
  session.onRenewal?.({ status: "ok", durationMs: 7, error: undefined });
  session.onRenewal?.({ status: "failed", durationMs: 8, error });
  expect(await seen()).toMatchSnapshot();
});

test("the key", async () => {
  const active: { version: number; keyIdHash: string }[] = [];
  const observe = keyObserver(telemetry, () => ({
    rotationState: "pending",
    origin: undefined,
    metadataAgeMs: 1500,
    active: active[0],
  }));
  observe({ name: "status.probe", level: "debug", fields: { status: "ok", probeKind: "metadata" } });
  expect(await seen()).toMatchSnapshot();
  active.push({ version: 3, keyIdHash: "hash" });
  observe({
    name: "status.probe",
    level: "warn",
    fields: { status: "error", probeKind: "deep", errorClass: "timeout" },
  });
  observe({
    name: "status.probe",
    level: "warn",
    fields: { status: "error", probeKind: "metadata", errorClass: "timeout" },
  });
  observe({ name: "rotation.lost", level: "error", fields: {} });
  expect(await seen()).toMatchSnapshot();
});

const call: CallRecord = {
  method: "Encrypt",
  status: "OK",
  durationMs: 10,
  waitedMs: 0,
  uid: "uid",
  keyId: "key-a",
  transitKeyVersion: 2,
  openbaoRequestId: "request",
  batchIndex: 1,
  failure: undefined,
};
const failure = {
  errorClass: "timeout",
  code: "x",
  rejection: undefined,
  unexpected: false,
  cause: error,
} as const;

test.each([true, false])("calls, with request ids: %p", async (logRequestIds) => {
  make(logRequestIds);
  const observer = kmsObserver(telemetry, undefined);
  observer.started("Encrypt");
  observer.started("Status");
  observer.ended(call);
  observer.ended({ ...call, keyId: "key-b" });
  observer.ended({ ...call, keyId: undefined, method: "Status" });
  observer.ended({ ...call, status: "CANCELLED", failure: { ...failure, errorClass: "canceled" } });
  observer.ended({ ...call, status: "NONSENSE", failure });
  observer.ended({
    ...call,
    status: "RESOURCE_EXHAUSTED",
    failure: { ...failure, rejection: { check: "concurrency" } },
  });
  observer.ended({ ...call, status: "INTERNAL", failure: { ...failure, unexpected: true, cause: "text" } });
  observer.ended({ ...call, failure: { ...failure, unexpected: true, cause: new TypeError("secret") } });
  expect(await seen()).toMatchSnapshot();
  expect(await seen()).not.toContain("secret");
});

test("OpenBao", async () => {
  const observer = openBaoObserver(telemetry, ["https://a", "https://b"]);
  const answered = { operation: "transit_encrypt", durationMs: 5, requestId: "r" } as const;
  observer.onCall?.({ ...answered, status: "ok", errorClass: undefined });
  observer.onCall?.({ ...answered, status: "sealed", errorClass: "openbao_sealed" });
  observer.onCall?.({ ...answered, status: "canceled", errorClass: "canceled" });
  for (const state of ["half_open", "closed", "open", "half_open", "open", "closed", "closed"] as const) {
    observer.onCircuit?.(state);
  }
  observer.onNode?.(1);
  expect(await seen()).toMatchSnapshot();
});

test("the socket", async () => {
  const observe = socketObserver(telemetry);
  observe({ kind: "stale_removed" });
  observe({ kind: "restarted" });
  observe({
    kind: "not_ready",
    error: new ServerError({ code: "socket_not_verified", errorClass: "socket_unavailable", message: "m" }),
  });
  observe({ kind: "ready" });
  expect(await seen()).toMatchSnapshot();
});
