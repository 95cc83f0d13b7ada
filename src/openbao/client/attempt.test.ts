/** What one exchange says of the node, and what it leaves in memory. */
import { describe, expect, test } from "bun:test";
import { manualClock } from "../../../test/fakes/manual-clock.ts";
import { A, type Answer, error, scriptedOpenBao } from "../../../test/fakes/scripted-openbao.ts";
import type { HttpRequest } from "../../http/https.ts";
import { FAILURES_TO_OPEN } from "./circuit.ts";
import { createOpenBaoClient } from "./client.ts";

const json = { "content-type": "application/json" };
const CALL = {
  operation: "transit_decrypt",
  method: "POST",
  path: "transit/decrypt/k",
  idempotent: false,
  signal: new AbortController().signal,
} as const;

describe("an answer", () => {
  test("is bounded, and its bytes are zeroed once they are decoded", async () => {
    const bodies = ['{"request_id":"r","data":{"plaintext":"c2VjcmV0"}}', '{"errors":["x"]}', "<html>"].map(
      (text) => new TextEncoder().encode(text),
    );
    const requests: HttpRequest[] = [];
    const openbao = createOpenBaoClient({
      transport: {
        request: async (request) => {
          requests.push(request);
          const body = bodies[requests.length - 1] ?? new Uint8Array(0);
          return { status: requests.length === 1 ? 200 : 400, headers: new Headers(), body };
        },
        reloadTrust: async () => false,
        close: () => {},
      },
      clock: manualClock(),
      addresses: [A],
      namespace: "",
      timeoutMs: 1000,
    });
    for (const { length } of bodies) {
      await openbao.call(CALL).catch(() => length);
    }
    expect(requests.map(({ maxBytes }) => maxBytes)).toEqual([1_048_576, 1_048_576, 1_048_576]);
    expect(bodies.map((body) => body.every((byte) => byte === 0))).toEqual([true, true, true]);
  });

  test.each([
    [199, "unexpected_status"],
    [200, "ok"],
    [204, "ok"],
    [299, "ok"],
    [300, "unexpected_status"],
  ])("of status %i is: %s", async (status, code) => {
    const { codeOf } = scriptedOpenBao({ [A]: { status, body: { request_id: "r", errors: [] } } });
    expect(await codeOf()).toBe(code);
  });

  test("of a status that says failure is a reply where the call says so, and only there", async () => {
    const answer: Answer = { status: 400, body: { request_id: "r", data: { batch_results: [] } } };
    const { codeOf } = scriptedOpenBao({ [A]: answer });
    expect(await codeOf({ isReply: () => true })).toBe("ok");
    expect(await codeOf({ isReply: () => false })).toBe("request_refused");
    expect(await codeOf()).toBe("request_refused");
  });

  test("that asks to be left alone says for how long", async () => {
    const retryAfter = async (headers: Record<string, string>): Promise<unknown> =>
      scriptedOpenBao({ [A]: { status: 429, headers, body: { errors: [] } } })
        .ask()
        .catch((thrown: unknown) => thrown);
    expect(await retryAfter({ "retry-after": "2" })).toMatchObject({
      code: "rate_limited",
      retryAfterMs: 2000,
    });
    expect(await retryAfter({})).toMatchObject({ code: "rate_limited", retryAfterMs: undefined });
  });
});

describe("a failed call", () => {
  const cases: readonly [string, Answer, boolean][] = [
    ["a timeout", "timeout", true],
    ["a refused connection", "connect_refused", true],
    ["an error of OpenBao's own", error(500), true],
    ["a proxy's 502", error(502), true],
    ["too many requests", error(429), true],
    ["a status that OpenBao does not use", error(304), true],
    ["a standby of disaster recovery", error(472), true],
    ["a standby without its leader", error(500, "active cluster node not found"), true],
    ["a firewall's page", { status: 403, headers: { "content-type": "text/html" }, body: "<html>" }, true],
    ["an empty page", { status: 403, headers: { "content-type": "text/html" } }, true],
    ["an answer that is no JSON", { status: 200, headers: json, body: "[" }, true],
    ["a bad request", error(400), false],
    ["a denial", error(403), false],
    ["a denial without a body", { status: 403, headers: json }, false],
    ["nothing there", error(404), false],
    ["a token that is not renewed any more", error(500, "past the max TTL"), false],
  ];
  test.each(cases)("with %s speaks against the node, or not", async (_, answer, opens) => {
    const { codeOf, asked } = scriptedOpenBao({ [A]: answer });
    for (let call = 0; call < FAILURES_TO_OPEN; call += 1) {
      await codeOf({ idempotent: false });
    }
    const before = asked.length;
    expect((await codeOf({ idempotent: false })) === "circuit_open").toBe(opens);
    expect(asked.length - before).toBe(opens ? 0 : 1);
  });

  test.each([
    [999, false],
    [1000, true],
  ])("whose caller gives up after %i ms of silence speaks against the node: %p", async (silenceMs, opens) => {
    const hang = ({ signal }: HttpRequest): Promise<Answer> =>
      new Promise((resolve) => signal.addEventListener("abort", () => resolve("canceled")));
    const { codeOf, clock } = scriptedOpenBao({ [A]: hang });
    for (let call = 0; call < FAILURES_TO_OPEN; call += 1) {
      const caller = new AbortController();
      const answer = codeOf({ signal: caller.signal });
      clock.pass(silenceMs);
      caller.abort();
      expect(await answer).toBe("canceled");
    }
    const stop = new AbortController();
    const next = codeOf({ signal: stop.signal });
    stop.abort();
    expect(await next).toBe(opens ? "circuit_open" : "canceled");
  });
});
