import { describe, expect, test } from "bun:test";
import { manualClock } from "../../test/fakes/manual-clock.ts";
import { type ErrorClass, ProviderError } from "../base/error-class.ts";
import { Secret } from "../base/secret.ts";
import { type TransportCode, transportError } from "../transport/errors.ts";
import type { HttpRequest, HttpTransport } from "../transport/https.ts";
import { answerCodeOf } from "./answer-code.ts";
import type { OpenBaoCall } from "./attempt.ts";
import { type CallReport, createOpenBao } from "./client.ts";
import { type OpenBaoCode, OpenBaoError } from "./errors.ts";

const NAMES = {
  what: "OpenBao",
  addressField: "openbao.address",
  caField: "openbao.caCertFile",
  serverNameField: "openbao.tlsServerName",
};
const A = "https://a:8200";
const B = "https://b:8200";
const C = "https://c:8200";

type Answer =
  | TransportCode
  | { status: number; body?: unknown; headers?: Record<string, string> }
  | ((request: HttpRequest) => Promise<Answer>);

const OK: Answer = { status: 200, body: { request_id: "id-1", data: { x: 1 } } };
const error = (status: number, ...errors: string[]): Answer => ({ status, body: { errors } });
const SEALED = error(503, "Vault is sealed");

/** OpenBao behind a transport that answers by address; `asked` records the requests. */
function setUp(answers: Readonly<Record<string, Answer | Answer[]>>, more: { namespace?: string } = {}) {
  const clock = manualClock();
  const asked: HttpRequest[] = [];
  const reports: CallReport[] = [];
  const nodes: number[] = [];
  const answer = async (request: HttpRequest, each: Answer): ReturnType<HttpTransport["request"]> => {
    if (typeof each === "function") {
      return answer(request, await each(request));
    }
    if (typeof each === "string") {
      throw transportError(each, NAMES, new URL(request.url).origin);
    }
    const body = each.body === undefined ? new Uint8Array(0) : Buffer.from(JSON.stringify(each.body));
    return { status: each.status, headers: new Headers(each.headers), body };
  };
  const transport: HttpTransport = {
    request: (request) => {
      asked.push(request);
      const script = answers[new URL(request.url).origin];
      const each = Array.isArray(script) ? (script.length > 1 ? script.shift() : script[0]) : script;
      return answer(request, each ?? "connect_refused");
    },
    reloadTrust: async () => false,
    close: () => {},
  };
  const [first = A, ...others] = Object.keys(answers);
  const openbao = createOpenBao({
    transport,
    clock,
    addresses: [first, ...others],
    namespace: more.namespace ?? "",
    timeoutMs: 2000,
    observer: { onCall: (report) => reports.push(report), onNode: (index) => nodes.push(index) },
  });
  const ask = (call: Partial<OpenBaoCall> = {}) =>
    openbao.call({
      operation: "transit_decrypt",
      method: "POST",
      path: "transit/decrypt/k",
      body: "{}",
      idempotent: true,
      signal: new AbortController().signal,
      ...call,
    });
  const codeOf = async (call: Partial<OpenBaoCall> = {}): Promise<string> =>
    ask(call).then(
      () => "ok",
      (thrown: unknown) => (thrown instanceof OpenBaoError ? thrown.code : String(thrown)),
    );
  return {
    clock,
    asked,
    reports,
    nodes,
    ask,
    codeOf,
    origins: () => asked.map(({ url }) => new URL(url).origin),
  };
}

describe("one call", () => {
  test("has the headers, the URL and the reply of the API", async () => {
    const { ask, asked, reports } = setUp({ [A]: OK }, { namespace: "team/a" });
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
    const { ask, asked } = setUp({ [A]: { status: 204 } });
    expect(await ask()).toMatchObject({ status: 204, data: undefined });
    expect(asked[0]?.headers).toEqual({ "X-Vault-Request": "true" });
  });

  test("what is offered outside of namespaces only is asked there", async () => {
    const { ask, asked } = setUp({ [A]: OK }, { namespace: "team/a" });
    await ask({ namespace: "none" });
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
    [304, "", "unexpected_status", "openbao_unavailable"],
  ];
  test.each(answers)("%i %s is %s", async (status, text, code, errorClass) => {
    const { ask, reports } = setUp({ [A]: error(status, text) });
    const thrown: unknown = await ask().catch((each: unknown) => each);
    if (!(thrown instanceof OpenBaoError)) {
      throw new TypeError("not an OpenBaoError");
    }
    expect([thrown.code, thrown.errorClass, thrown.status]).toEqual([code, errorClass, status]);
    expect(reports).toMatchObject([{ status: code, errorClass }]);
  });

  test("OpenBao's own text is in no message", async () => {
    for (const status of [400, 403, 404, 429, 500, 503]) {
      const { ask } = setUp({ [A]: error(status, "s.leaked-by-remote") });
      const thrown: unknown = await ask().catch((each: unknown) => each);
      expect(Bun.inspect(thrown)).not.toContain("leaked-by-remote");
    }
  });

  test("a status without a body keeps its meaning", () => {
    expect(answerCodeOf(503, [])).toBe("server_error");
    expect(answerCodeOf(418, [])).toBe("request_refused");
  });
});

describe("retry", () => {
  test("a connection that died under an idempotent call costs one more try, on a fresh connection", async () => {
    const { codeOf, asked, reports } = setUp({ [A]: ["connection_lost", OK] });
    expect(await codeOf()).toBe("ok");
    expect(asked.map(({ freshConnection }) => freshConnection)).toEqual([false, true]);
    expect(reports).toHaveLength(1);
  });

  test("but no third one, and none for a call that must not be made twice", async () => {
    const dead = setUp({ [A]: "connection_lost" });
    expect(await dead.codeOf()).toBe("connection_lost");
    expect(dead.asked).toHaveLength(2);
    const once = setUp({ [A]: "connection_lost" });
    expect(await once.codeOf({ idempotent: false })).toBe("connection_lost");
    expect(once.asked).toHaveLength(1);
  });

  test("answers of a lagging standby are asked for again inside the deadline, the time left shrinking", async () => {
    const lag = error(400, "invalid ciphertext: version is too new");
    const { codeOf, clock, asked } = setUp({ [A]: [lag, lag, OK] });
    const answer = codeOf({ lagCodes: new Set(["version_too_new"]) });
    await clock.advance(2000);
    expect(await answer).toBe("ok");
    expect(asked.map(({ timeoutMs }) => timeoutMs)).toEqual([2000, 1950, 1850]);
    expect(asked.at(-1)?.freshConnection).toBe(true);
  });

  test("lag that lasts ends with its own answer before the deadline", async () => {
    const { codeOf, clock, asked } = setUp({ [A]: error(404) });
    const answer = codeOf({ lagCodes: new Set(["not_found"]), timeoutMs: 300 });
    await clock.advance(300);
    expect(await answer).toBe("not_found");
    expect(asked).toHaveLength(3);
  });

  test("lag that ends in silence is still lag: a denial is not told as a timeout", async () => {
    const { codeOf, clock } = setUp({ [A]: [error(403), "timeout"] });
    const answer = codeOf({ lagCodes: new Set(["permission_denied"]) });
    await clock.advance(2000);
    expect(await answer).toBe("permission_denied");
  });

  test("a caller that gives up during the pause gets the answer that there was", async () => {
    const { codeOf } = setUp({ [A]: error(404) });
    const caller = new AbortController();
    const answer = codeOf({ lagCodes: new Set(["not_found"]), signal: caller.signal });
    setTimeout(() => caller.abort(), 5);
    expect(await answer).toBe("not_found");
  });
});

describe("circuit", () => {
  test("failures open it, refusals never do, and then calls cost nothing", async () => {
    const { codeOf, asked, reports } = setUp({ [A]: "connect_refused" });
    for (let call = 0; call < 7; call += 1) {
      await codeOf();
    }
    expect(asked).toHaveLength(5);
    expect(await codeOf()).toBe("circuit_open");
    expect(reports).toHaveLength(5);
    for (const refusal of [400, 401, 403, 404]) {
      const refused = setUp({ [A]: error(refusal) });
      for (let call = 0; call < 20; call += 1) {
        await refused.codeOf();
      }
      expect(refused.asked).toHaveLength(20);
    }
  });

  test("keeps the class of what opened it", async () => {
    const { ask, codeOf } = setUp({ [A]: SEALED });
    for (let call = 0; call < 5; call += 1) {
      await codeOf();
    }
    expect(await ask().catch((each: unknown) => each)).toMatchObject({
      code: "circuit_open",
      errorClass: "openbao_sealed",
    });
  });

  test("follows Retry-After at once, and recovers by itself", async () => {
    const { codeOf, clock, asked } = setUp({
      [A]: [{ status: 429, headers: { "retry-after": "3" }, body: { errors: [] } }, OK],
    });
    expect(await codeOf()).toBe("rate_limited");
    await clock.advance(2999);
    expect(await codeOf()).toBe("circuit_open");
    await clock.advance(1);
    expect(await codeOf()).toBe("ok");
    expect(asked).toHaveLength(2);
  });

  test("callers that give up early say nothing about OpenBao; after a second of silence they do", async () => {
    const hang = (request: HttpRequest): Promise<Answer> =>
      new Promise((resolve) => request.signal.addEventListener("abort", () => resolve("canceled")));
    const { codeOf, clock, asked } = setUp({ [A]: hang });
    const giveUpAfter = async (ms: number): Promise<void> => {
      const caller = new AbortController();
      const answer = codeOf({ signal: caller.signal });
      await clock.advance(ms);
      caller.abort();
      expect(await answer).toBe("canceled");
    };
    for (let call = 0; call < 10; call += 1) {
      await giveUpAfter(10);
    }
    for (let call = 0; call < 5; call += 1) {
      await giveUpAfter(1000);
    }
    expect(asked).toHaveLength(15);
    expect(await codeOf()).toBe("circuit_open");
  });
});

describe("several addresses", () => {
  const down: readonly [string, Answer][] = [
    ["refused", "connect_refused"],
    ["timed out", "timeout"],
    ["lost", "connection_lost"],
    ["untrusted", "tls_untrusted"],
    ["redirecting", "redirect_refused"],
    ["sealed", SEALED],
    ["not initialized", error(501)],
    ["a standby without its leader", error(500, "local node not active but active cluster node not found")],
  ];
  test.each(down)("when the first is %s the next one answers, and calls stay there", async (_, answer) => {
    const { codeOf, origins, nodes, reports } = setUp({ [A]: answer, [B]: OK, [C]: OK });
    expect(await codeOf()).toBe("ok");
    expect(await codeOf()).toBe("ok");
    expect(origins()).toEqual([A, B, B]);
    expect(nodes).toEqual([1]);
    expect(reports).toHaveLength(2);
  });

  test("refusals are answers and stay where they are", async () => {
    const { codeOf, origins } = setUp({ [A]: error(403, "permission denied"), [B]: OK });
    expect(await codeOf()).toBe("permission_denied");
    expect(origins()).toEqual([A]);
  });

  test("a call that must not be made twice goes on only when it surely was not made", async () => {
    const lost = setUp({ [A]: "connection_lost", [B]: OK });
    expect(await lost.codeOf({ idempotent: false })).toBe("connection_lost");
    const refused = setUp({ [A]: "connect_refused", [B]: OK });
    expect(await refused.codeOf({ idempotent: false })).toBe("ok");
  });

  test("a silent one gets half of the time that is left, the last one all", async () => {
    const { codeOf, asked } = setUp({ [A]: "timeout", [B]: "timeout", [C]: OK });
    expect(await codeOf()).toBe("ok");
    expect(asked.map(({ timeoutMs }) => timeoutMs)).toEqual([1000, 1000, 2000]);
  });

  test("an address that is silent is not where the next call starts, also before another one has answered", async () => {
    const silent = Promise.withResolvers<Answer>();
    const { codeOf, origins } = setUp({ [A]: "timeout", [B]: [() => silent.promise, OK], [C]: OK });
    const first = codeOf();
    await Bun.sleep(0);
    expect(await codeOf()).toBe("ok");
    silent.resolve("timeout");
    expect(await first).toBe("ok");
    expect(origins()).toEqual([A, B, B, C]);
  });

  test("an open circuit is no reason to give up when all others have failed this very call", async () => {
    const refusals = Array.from({ length: 5 }, (): Answer => "connect_refused");
    const answers = Array.from({ length: 5 }, (): Answer => OK);
    const { codeOf, asked, origins } = setUp({ [A]: [...refusals, OK], [B]: [...answers, "timeout"] });
    await Promise.all(refusals.map(() => codeOf()));
    expect(await codeOf()).toBe("ok");
    expect(origins().slice(-2)).toEqual([B, A]);
    // One that failed lately gets a smaller share of the time than one that is known to be well.
    expect(asked.slice(-2).map(({ timeoutMs }) => timeoutMs)).toEqual([1500, 2000]);
  });

  test("lag is asked for on another address", async () => {
    const { codeOf, clock, origins } = setUp({ [A]: error(404), [B]: OK });
    const answer = codeOf({ lagCodes: new Set(["not_found"]) });
    await clock.advance(100);
    expect(await answer).toBe("ok");
    expect(origins()).toEqual([A, B]);
  });

  test("after a minute one call tries the first again, and all return with it", async () => {
    const { codeOf, clock, origins, asked } = setUp({ [A]: ["connect_refused", OK], [B]: OK });
    await codeOf();
    await clock.advance(59_000);
    await codeOf();
    await clock.advance(1000);
    await codeOf();
    await codeOf();
    expect(origins()).toEqual([A, B, B, A, A]);
    expect(asked).toHaveLength(5);
  });

  test("with all of them dead a call ends at once", async () => {
    const { codeOf, asked } = setUp({ [A]: SEALED, [B]: "connect_refused", [C]: "connect_refused" });
    for (let call = 0; call < 6; call += 1) {
      await codeOf();
    }
    const before = asked.length;
    expect(await codeOf()).toBe("circuit_open");
    expect(asked).toHaveLength(before);
  });
});

test("what a transport says of its own credential passes, and is not held against the node", async () => {
  const refusal = new ProviderError({ code: "pin", errorClass: "token_device", message: "the PIN is wrong" });
  let answer: Answer = () => Promise.reject(refusal);
  const { ask, codeOf } = setUp({
    [A]: (request) => (typeof answer === "function" ? answer(request) : Promise.resolve(answer)),
  });
  for (let call = 0; call < 6; call += 1) {
    expect(await ask().catch((thrown: unknown) => thrown)).toBe(refusal);
  }
  answer = OK;
  expect(await codeOf()).toBe("ok");
});
