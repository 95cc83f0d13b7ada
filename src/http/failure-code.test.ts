import { describe, expect, test } from "bun:test";
import { DeadlineError } from "../base/deadline.ts";
import { isLastingTlsCode, transportError } from "./errors.ts";
import { transportCodeOf } from "./failure-code.ts";
import { ServerIdentityError } from "./server-identity.ts";

const never = new AbortController().signal;
const failed = (code: string, message = "x"): Error => Object.assign(new Error(message), { code });
const deadline = new DeadlineError({ code: "deadline_exceeded", errorClass: "timeout", message: "x" });

describe("what the runtime throws", () => {
  test.each([
    ["a code of its own", failed("ECONNREFUSED"), never, "connect_refused"],
    ["a certificate that is not trusted", failed("UNABLE_TO_VERIFY_LEAF_SIGNATURE"), never, "tls_untrusted"],
    [
      "a client that is refused",
      failed("ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED"),
      never,
      "tls_client_refused",
    ],
    ["an unknown CA of the client", failed("ERR_SSL_TLSV1_ALERT_UNKNOWN_CA"), never, "tls_client_refused"],
    ["a code that is none of ours", failed("EWHATEVER"), never, "request_failed"],
    ["a code that is a name of Object", failed("toString"), never, "request_failed"],
    [
      "OpenSSL's text",
      failed("UNSPECIFIED", "permitted subtree violation"),
      never,
      "tls_constraint_violated",
    ],
    ["a code and a text", failed("EPIPE", "excluded subtree violation"), never, "connection_lost"],
    ["an error without a code", new Error("x"), never, "request_failed"],
    ["no error at all", undefined, never, "request_failed"],
    ["our own check", new ServerIdentityError("tls_name_in_cn"), never, "tls_name_in_cn"],
    ["a caller that gave up", failed("ECONNREFUSED"), AbortSignal.abort(), "canceled"],
    ["a deadline", failed("ECONNREFUSED"), AbortSignal.abort(deadline), "timeout"],
  ] as const)("%s", (_, thrown, signal, code) => {
    expect(transportCodeOf(thrown, signal)).toBe(code);
  });
});

test.each([
  ["tls_untrusted", true],
  ["tls_client_refused", true],
  ["tls_handshake_failed", false],
  ["connect_refused", false],
  ["timeout", false],
])("%s lasts: %p", (code, lasts) => {
  expect(isLastingTlsCode(code)).toBe(lasts);
});

describe("the error of a code", () => {
  const NAMES = { what: "OpenBao", addressField: "a", caField: "c", serverNameField: "s" };

  test("names the origin of the URL and nothing else of it", () => {
    const cause = new Error("x");
    const error = transportError("connect_refused", NAMES, "https://user:pw@bao.test:8200/v1/x?y=1", cause);
    expect(error.message).toContain("OpenBao at https://bao.test:8200 ");
    expect(error.message).not.toMatch(/pw|v1|y=1/);
    expect(error).toMatchObject({ code: "connect_refused", errorClass: "openbao_unavailable", cause });
    expect(error.advice).toContain("host and port in a");
    expect(transportError("dns_failed", NAMES, "none").message).toContain("OpenBao at an invalid address ");
  });

  test("without advice has none", () => {
    expect(transportError("canceled", NAMES, "https://x").advice).toBeUndefined();
  });
});
