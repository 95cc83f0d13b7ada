import { expect, test } from "bun:test";
import { Code, ConnectError } from "@connectrpc/connect";
import type { TransportCode } from "../../http/errors.ts";
import { connectionFailure } from "./endpoint.ts";

/** As Connect gives on what Bun's node:http2 throws. */
function thrown(code: string): ConnectError {
  const cause = Object.assign(new Error("remote text"), { code });
  return new ConnectError("remote text", Code.Internal, undefined, undefined, cause);
}

const causes: readonly (readonly [string, TransportCode, boolean])[] = [
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "tls_untrusted", true],
  ["ERR_TLS_CERT_ALTNAME_INVALID", "tls_name_mismatch", true],
  ["CERT_HAS_EXPIRED", "tls_expired", true],
  ["ERR_SSL_TLSV1_ALERT_UNKNOWN_CA", "tls_client_refused", true],
  ["ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE", "tls_client_refused", true],
  ["ECONNREFUSED", "connect_refused", false],
  ["ENOTFOUND", "dns_failed", false],
  ["anything else", "request_failed", false],
];

test.each(causes)("%s is %s", (cause, code, isLasting) => {
  const failure = connectionFailure(thrown(cause), "https://etcd.test:2379", new AbortController().signal);
  expect(failure).toMatchObject({ error: { code }, isLasting });
  expect(failure.error.message).toStartWith("etcd at https://etcd.test:2379 ");
  expect(failure.error.message).not.toContain("remote text");
});

test("a deadline that passed is a timeout", () => {
  const error = new ConnectError("", Code.DeadlineExceeded);
  expect(connectionFailure(error, "https://e:1", new AbortController().signal).error.code).toBe("timeout");
});
