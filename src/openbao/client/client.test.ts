/** One call to one OpenBao, and what its answers are called. */
import { describe, expect, test } from "bun:test";
import { A, type Answer, error, OK, scriptedOpenBao } from "../../../test/fakes/scripted-openbao.ts";
import { type ErrorClass, ProviderError } from "../../base/error-class.ts";
import { Secret } from "../../base/secret.ts";
import { answerCodeOf } from "./answer.ts";
import { inNamespace } from "./client.ts";
import { type OpenBaoCode, OpenBaoError } from "./errors.ts";

describe("one call", () => {
  test("has the headers, the URL and the reply of the API", async () => {
    const { ask, asked, reports } = scriptedOpenBao({ [A]: OK }, { namespace: "team/a" });
    const reply = await ask({ token: new Secret("s.token") });
    expect(asked[0]?.url).toBe(`${A}/v1/transit/decrypt/k`);
    expect(asked[0]?.headers).toEqual({
      "X-Vault-Request": "true",
      "X-Vault-Namespace": "team/a",
      "X-Vault-Token": "s.token",
    });
    expect(reply).toMatchObject({ status: 200, data: { x: 1 }, requestId: "id-1" });
    expect(reports).toMatchObject([{ operation: "transit_decrypt", status: "ok", requestId: "id-1" }]);
  });

  test("without token or namespace sends neither header; no content is a reply", async () => {
    const { ask, asked } = scriptedOpenBao({ [A]: { status: 204 } });
    expect(await ask()).toMatchObject({ status: 204, data: undefined });
    expect(asked[0]?.headers).toEqual({ "X-Vault-Request": "true" });
  });

  test("a call in another namespace names it, the others do not", async () => {
    const { openbao, ask, asked } = scriptedOpenBao({ [A]: OK }, { namespace: "team/a" });
    const call = {
      operation: "jwt_login",
      method: "POST",
      path: "auth/jwt/login",
      idempotent: true,
    } as const;
    await inNamespace(openbao, "team").call({ ...call, signal: new AbortController().signal });
    await ask();
    expect(asked.map(({ headers }) => headers["X-Vault-Namespace"])).toEqual(["team", "team/a"]);
  });

  test("what is offered outside of namespaces only is asked there", async () => {
    const { ask, asked } = scriptedOpenBao({ [A]: OK }, { namespace: "team/a" });
    await ask({ namespace: "" });
    expect(asked[0]?.headers).toEqual({ "X-Vault-Request": "true" });
  });

  const answers: readonly [number, string, OpenBaoCode, ErrorClass][] = [
    [400, "cipher: message authentication failed", "decrypt_failed", "aad_mismatch"],
    [400, "encryption key not found", "key_missing", "transit_key_missing"],
    [400, "invalid ciphertext: version is too new", "version_too_new", "transit_key_missing"],
    [
      400,
      "requested version for encryption is higher than the latest key version",
      "version_too_new",
      "transit_key_missing",
    ],
    [400, "no such key version", "version_missing", "transit_key_missing"],
    [
      400,
      "ciphertext or signature version is disallowed by policy (too old)",
      "version_too_old",
      "transit_key_missing",
    ],
    [
      400,
      "requested version for encryption is less than the minimum encryption key version",
      "version_too_old",
      "transit_key_missing",
    ],
    [400, "invalid ciphertext: no prefix", "ciphertext_refused", "protocol_limit"],
    [400, "something new", "request_refused", "unknown"],
    [403, "permission denied", "permission_denied", "transit_policy_denied"],
    [404, "", "not_found", "transit_key_missing"],
    [404, "no handler for route x", "mount_missing", "transit_key_missing"],
    [404, "namespace not found", "namespace_missing", "config_invalid"],
    [429, "rate limit quota exceeded", "rate_limited", "openbao_rate_limited"],
    [500, "internal error", "server_error", "openbao_unavailable"],
    [502, "", "server_error", "openbao_unavailable"],
    [503, "Vault is sealed", "sealed", "openbao_sealed"],
    [503, "namespace is sealed", "namespace_sealed", "openbao_sealed"],
    [
      503,
      'API access to this namespace has been locked by an administrator - "a/" must be unlocked to gain access.',
      "namespace_locked",
      "openbao_unavailable",
    ],
    [304, "", "unexpected_status", "openbao_unavailable"],
  ];
  test.each(answers)("%i %s is %s", async (status, text, code, errorClass) => {
    const { ask, reports } = scriptedOpenBao({ [A]: error(status, text) });
    const thrown: unknown = await ask().catch((each: unknown) => each);
    if (!(thrown instanceof OpenBaoError)) {
      throw new TypeError("not an OpenBaoError");
    }
    expect([thrown.code, thrown.errorClass, thrown.status]).toEqual([code, errorClass, status]);
    expect(reports).toMatchObject([{ status: code, errorClass }]);
  });

  const HTML = { "content-type": "text/html; charset=utf-8" };
  const page = "<html>canary of a firewall</html>";
  const foreign: readonly [number, string, Record<string, string>, OpenBaoCode, string][] = [
    [403, page, HTML, "foreign_answer", "HTTP 403 with content type text/html"],
    [404, "404 page canary", { "content-type": "text/plain" }, "foreign_answer", "content type text/plain"],
    [503, page, HTML, "foreign_answer", "HTTP 503"],
    [200, page, HTML, "foreign_answer", "HTTP 200"],
    [200, "[1]", { "content-type": "application/json" }, "foreign_answer", "content type application/json"],
    [403, page, { "content-type": "canary/x" }, "foreign_answer", "another content type"],
    [403, page, {}, "foreign_answer", "no content type"],
    [403, "", HTML, "foreign_answer", "content type text/html"],
    [403, '{"message":"canary"}', { "content-type": "application/json" }, "foreign_answer", "HTTP 403"],
    [403, '{"errors":["canary"]}', HTML, "permission_denied", "may not use"],
    [403, "", { "content-type": "application/json" }, "permission_denied", "may not use"],
    [404, "", {}, "not_found", "nothing at"],
    [429, page, HTML, "rate_limited", "too many requests"],
    [503, '{"initialized":true,"sealed":true,"standby":true}', HTML, "sealed", "sealed"],
  ];
  test.each(foreign)("%i %s with %j is %s", async (status, body, headers, code, words) => {
    const { ask } = scriptedOpenBao({ [A]: { status, headers, body } });
    const thrown: unknown = await ask().catch((each: unknown) => each);
    expect(thrown).toMatchObject({ code, status });
    expect(thrown instanceof Error ? thrown.message : "").toContain(words);
    expect(Bun.inspect(thrown)).not.toContain("canary");
  });

  test("a firewall's refusal counts against its address, a policy's does not", async () => {
    const wall = scriptedOpenBao({ [A]: { status: 403, headers: HTML, body: page } });
    const policy = scriptedOpenBao({ [A]: error(403, "permission denied") });
    for (let call = 0; call < 5; call += 1) {
      await wall.codeOf();
      await policy.codeOf();
    }
    expect(await wall.codeOf()).toBe("circuit_open");
    expect(await policy.codeOf()).toBe("permission_denied");
  });

  test("OpenBao's own text is in no message", async () => {
    for (const status of [400, 403, 404, 429, 500, 503]) {
      const { ask } = scriptedOpenBao({ [A]: error(status, "s.leaked-by-remote") });
      const thrown: unknown = await ask().catch((each: unknown) => each);
      expect(Bun.inspect(thrown)).not.toContain("leaked-by-remote");
    }
  });

  test("a status without a body keeps its meaning", () => {
    expect(answerCodeOf(503, [])).toBe("server_error");
    expect(answerCodeOf(418, [])).toBe("request_refused");
  });
});

test("what a transport says of its own credential passes, and does not count against the node", async () => {
  const refusal = new ProviderError({ code: "pin", errorClass: "token_device", message: "the PIN is wrong" });
  let answer: Answer = () => Promise.reject(refusal);
  const { ask, codeOf } = scriptedOpenBao({
    [A]: (request) => (typeof answer === "function" ? answer(request) : Promise.resolve(answer)),
  });
  for (let call = 0; call < 6; call += 1) {
    expect(await ask().catch((thrown: unknown) => thrown)).toBe(refusal);
  }
  answer = OK;
  expect(await codeOf()).toBe("ok");
});
