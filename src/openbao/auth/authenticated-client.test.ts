import { describe, expect, test } from "bun:test";
import { Secret } from "../../base/secret.ts";
import type { OpenBaoCall, OpenBaoReply } from "../client/attempt.ts";
import { answerError, type OpenBaoCode, OpenBaoError } from "../client/errors.ts";
import { createAuthenticatedClient } from "./authenticated-client.ts";
import type { Token } from "./token.ts";

const tokenOf = (text: string): Token => ({
  secret: new Secret(text),
  kind: "service",
  renewable: true,
  issuedAtMs: 0,
  expiresAtMs: 1,
  roleName: undefined,
});
const [FIRST, NEXT] = [tokenOf("first"), tokenOf("next")];
const REPLY: OpenBaoReply = { status: 200, data: 1, auth: undefined, requestId: "r", date: null };
const CALL = {
  operation: "transit_decrypt",
  method: "POST",
  path: "transit/decrypt/k",
  idempotent: true,
  signal: new AbortController().signal,
} as const;
const failing = (code: "permission_denied" | "sealed" | "not_found") =>
  answerError(code, { operation: "transit_decrypt", path: "p" });

/** A client whose calls end as told, one after the other. */
function setUp(
  ends: (OpenBaoError | TypeError | undefined)[],
  {
    isYoung = false,
    isLoggedIn = true,
    next,
  }: { readonly isYoung?: boolean; readonly isLoggedIn?: boolean; readonly next?: Token } = {},
) {
  const calls: OpenBaoCall[] = [];
  const accepted: Token[] = [];
  const replaced: Token[] = [];
  const client = createAuthenticatedClient(
    {
      call: async (call) => {
        calls.push(call);
        const end = ends.shift();
        if (end !== undefined) {
          throw end;
        }
        return REPLY;
      },
    },
    {
      present: () => (isLoggedIn ? FIRST : undefined),
      token: async () => FIRST,
      replace: async (denied) => {
        replaced.push(denied);
        return next;
      },
      isYoung: () => isYoung,
      accepted: (token) => {
        accepted.push(token);
      },
    },
  );
  return { client, calls, accepted, replaced };
}

const codeOf = (answer: Promise<unknown>): Promise<OpenBaoCode | "ok" | "other"> =>
  answer.then(
    () => "ok" as const,
    (error: unknown) => (error instanceof OpenBaoError ? error.code : "other"),
  );

describe("a call with the session's token", () => {
  test("that succeeds tells the session so", async () => {
    const { client, calls, accepted, replaced } = setUp([undefined]);
    expect(await client.call(CALL)).toBe(REPLY);
    expect(calls.map(({ token }) => token)).toEqual([FIRST.secret]);
    expect([accepted, replaced]).toEqual([[FIRST], []]);
  });

  test("that is denied is made once more with the next token", async () => {
    const { client, calls, accepted, replaced } = setUp([failing("permission_denied"), undefined], {
      next: NEXT,
    });
    expect(await codeOf(client.call(CALL))).toBe("ok");
    expect(calls.map(({ token }) => token)).toEqual([FIRST.secret, NEXT.secret]);
    expect([accepted, replaced]).toEqual([[NEXT], [FIRST]]);
  });

  test("that is denied twice, or without a next token, fails with the denial", async () => {
    const twice = setUp([failing("permission_denied"), failing("permission_denied")], { next: NEXT });
    expect(await codeOf(twice.client.call(CALL))).toBe("permission_denied");
    expect([twice.calls.length, twice.accepted]).toEqual([2, []]);
    const alone = setUp([failing("permission_denied")]);
    expect(await codeOf(alone.client.call(CALL))).toBe("permission_denied");
    expect(alone.calls).toHaveLength(1);
  });

  test.each(["sealed", "not_found"] as const)("that fails with %s replaces no token", async (code) => {
    const { client, replaced, accepted } = setUp([failing(code)], { next: NEXT });
    expect(await codeOf(client.call(CALL))).toBe(code);
    expect([replaced, accepted]).toEqual([[], []]);
  });

  test("that fails with a foreign error replaces no token", async () => {
    const { client, replaced } = setUp([new TypeError("bug")], { next: NEXT });
    expect(await codeOf(client.call(CALL))).toBe("other");
    expect(replaced).toEqual([]);
  });

  test("waits for the login when there is no token", async () => {
    const { client, calls } = setUp([undefined], { isLoggedIn: false });
    expect(await client.call(CALL)).toBe(REPLY);
    expect(calls.map(({ token }) => token)).toEqual([FIRST.secret]);
  });

  test("waits for a standby that does not know a young token yet, besides what the call itself waits for", async () => {
    const codes = ["permission_denied", "key_missing", "sealed"];
    const lagOf = async (isYoung: boolean, lagCodes: ReadonlySet<string> | undefined) => {
      const { client, calls } = setUp([undefined], { isYoung });
      await client.call({ ...CALL, lagCodes });
      return codes.filter((code) => calls[0]?.lagCodes?.has(code) === true);
    };
    const own = new Set(["key_missing"]);
    expect(await lagOf(true, own)).toEqual(["permission_denied", "key_missing"]);
    expect(await lagOf(true, undefined)).toEqual(["permission_denied"]);
    expect(await lagOf(false, own)).toEqual(["key_missing"]);
    expect(await lagOf(false, undefined)).toEqual([]);
  });
});
