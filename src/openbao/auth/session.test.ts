import { describe, expect, test } from "bun:test";
import { codeOf } from "../../../test/fakes/code-of.ts";
import { inProcessOpenBao } from "../../../test/fakes/in-process-openbao.ts";
import { faults } from "../../../test/fakes/openbao/faults.ts";
import { Secret } from "../../base/secret.ts";
import { createAuthenticatedClient } from "./authenticated-client.ts";
import { jwtLoginMethod } from "./jwt-method.ts";
import { type SessionReport, TokenSession } from "./session.ts";

const MINUTE = 60_000;
const never = (): AbortSignal => new AbortController().signal;

async function setUp(role: Record<string, unknown> = {}) {
  const bao = await inProcessOpenBao();
  const { clock, operator, openbao, names, fake, jwt } = bao;
  const rolePath = `auth/${names.jwtMount}/role/${names.role}`;
  await operator.must("POST", rolePath, {
    role_type: "jwt",
    user_claim: "sub",
    bound_audiences: [names.audience],
    token_policies: [names.policyName],
    token_no_default_policy: true,
    token_ttl: "20m",
    token_max_ttl: "1h",
    ...role,
  });
  let credential: () => Secret = () => new Secret(jwt());
  const logins: SessionReport[] = [];
  const renewals: SessionReport[] = [];
  const session = new TokenSession({
    openbao,
    clock,
    random: () => 0,
    method: jwtLoginMethod({
      mountPath: `auth/${names.jwtMount}`,
      role: names.role,
      source: { what: "the JWT", isStored: false, fix: "write one", get: async () => credential() },
      expected: { minRemainingTtlMs: 1000, leewayMs: 30_000, issuer: "", audience: [], subject: "" },
      clock,
    }),
    loginBeforeExpiryMs: 5 * MINUTE,
    renewalIncrementMs: 60 * MINUTE,
    loginTimeoutMs: 5000,
    callTimeoutMs: 2000,
    observer: { onLogin: (each) => logins.push(each), onRenewal: (each) => renewals.push(each) },
  });
  const stop = new AbortController();
  const client = createAuthenticatedClient(openbao, session);
  const readKey = (signal = never()) =>
    client.call({
      operation: "transit_metadata_read",
      method: "GET",
      path: `${names.mount}/keys/${names.keyName}`,
      idempotent: true,
      signal,
    });
  return {
    ...bao,
    session,
    client,
    readKey,
    logins,
    renewals,
    stop,
    rolePath,
    running: () => session.run(stop.signal),
    setCredential: (next: () => Secret) => {
      credential = next;
    },
    tokens: () => [...fake.state.tokens.keys()].filter((id) => id !== fake.rootToken),
    calls: (path: RegExp) => fake.calls.filter((call) => path.test(call.path)).length,
  };
}

describe("keeping a token", () => {
  test("one login serves all who ask at once", async () => {
    const { session, logins, calls } = await setUp();
    expect(session.health().state).toBe("starting");
    const tokens = await Promise.all(Array.from({ length: 20 }, () => session.token(never())));
    expect(new Set(tokens).size).toBe(1);
    expect(calls(/login$/)).toBe(1);
    expect(logins).toMatchObject([{ status: "ok" }]);
    expect(session.health()).toMatchObject({ state: "ok", ttlSeconds: 1200 });
  });

  test("it is renewed ahead of its end, and logged in anew when renewal is capped; calls never fail for a day", async () => {
    const { session, clock, running, stop, readKey, calls, tokens, logins } = await setUp();
    const run = running();
    for (let minute = 0; minute < 24 * 60; minute += 5) {
      await clock.advance(5 * MINUTE);
      expect((await readKey()).status).toBe(200);
      expect(session.health().ttlSeconds).toBeGreaterThan(60);
    }
    expect(logins.length).toBeGreaterThan(20);
    expect(logins.length).toBeLessThan(30);
    expect(calls(/renew-self$/)).toBeLessThan(120);
    // Those replaced were revoked: no heap of live tokens.
    expect(tokens().length).toBeLessThanOrEqual(1);
    stop.abort();
    await run;
  }, 20_000);

  test.each([
    ["batch", { token_type: "batch", token_ttl: "30m" }],
    ["capped at once", { token_ttl: "30m", token_max_ttl: "30m" }],
  ])(
    "a token that cannot be renewed (%s) is used until shortly before its end, then replaced",
    async (_, role) => {
      const { clock, running, stop, logins, readKey } = await setUp(role);
      const run = running();
      await clock.advance(24 * MINUTE);
      expect(logins).toHaveLength(1);
      await clock.advance(2 * MINUTE);
      expect(logins).toHaveLength(2);
      expect((await readKey()).status).toBe(200);
      stop.abort();
      await run;
    },
  );

  test("a renewal that comes too late for the maximum is a new login at once, and no failure of OpenBao", async () => {
    const { clock, running, stop, readKey, logins, renewals } = await setUp({
      token_ttl: "4s",
      token_max_ttl: "6s",
    });
    const run = running();
    await clock.advance(4320);
    expect(renewals).toMatchObject([{ status: "ok" }]);
    clock.suspend(1270);
    await clock.advance(20);
    expect(renewals).toMatchObject([
      { status: "ok" },
      { status: "failed", error: { code: "not_renewable" } },
    ]);
    await clock.advance(200);
    expect((await readKey()).status).toBe(200);
    expect(logins).toMatchObject([{ status: "ok" }, { status: "ok" }]);
    stop.abort();
    await run;
  });

  test("time asleep counts: after a suspend the next call logs in first", async () => {
    const { clock, readKey, logins } = await setUp();
    await readKey();
    clock.suspend(2 * 60 * MINUTE);
    expect((await readKey()).status).toBe(200);
    expect(logins).toHaveLength(2);
  });

  test("renewals that fail leave the token in use and end in a login", async () => {
    const { clock, fake, running, stop, readKey, renewals, logins, session } = await setUp();
    const run = running();
    await clock.advance(MINUTE);
    const recover = fake.inject(faults.internalError, { path: /renew-self$/ });
    await clock.advance(14.2 * MINUTE);
    expect(session.health()).toMatchObject({ state: "failing", errorClass: "openbao_unavailable" });
    expect(renewals.every(({ status }) => status === "failed")).toBe(true);
    await clock.advance(5 * MINUTE);
    recover();
    expect(logins.at(-1)).toMatchObject({ status: "ok" });
    expect(session.health().state).toBe("ok");
    expect((await readKey()).status).toBe(200);
    stop.abort();
    await run;
  });
});

describe("tokens that will not do", () => {
  test("a use limit is named, and the token is revoked", async () => {
    const { session, tokens } = await setUp({ token_num_uses: 5 });
    expect(await codeOf(session.token(never()))).toBe("token_use_limit");
    expect(tokens()).toHaveLength(0);
    expect(session.health()).toMatchObject({ state: "lost", errorClass: "auth_failed" });
  });
});

describe("logins that fail", () => {
  test("are refused at once until the pause is over, then tried again", async () => {
    const { session, clock, calls, setCredential, jwt } = await setUp();
    setCredential(() => new Secret(`${jwt().split(".").slice(0, 2).join(".")}.AAAA`));
    expect(await codeOf(session.token(never()))).toBe("login_jwt_untrusted");
    for (let call = 0; call < 10; call += 1) {
      expect(await codeOf(session.token(never()))).toBe("login_jwt_untrusted");
    }
    expect(calls(/login$/)).toBe(1);
    setCredential(() => new Secret(jwt()));
    await clock.advance(5000);
    expect(await codeOf(session.token(never()))).toBe("ok");
    expect(calls(/login$/)).toBe(2);
  });

  test("in the background they are repeated until one succeeds", async () => {
    const { session, clock, fake, running, stop } = await setUp();
    const recover = fake.inject(faults.sealed);
    const run = running();
    await clock.advance(10 * MINUTE);
    expect(session.health()).toMatchObject({ state: "lost", errorClass: "openbao_sealed" });
    recover();
    await clock.advance(6000);
    expect(session.health().state).toBe("ok");
    stop.abort();
    await run;
  });

  test("a caller that gives up alone ends its own login and leaves no trouble behind", async () => {
    const { session, fake } = await setUp();
    const recover = fake.inject(faults.hang);
    const caller = new AbortController();
    const answer = codeOf(session.token(caller.signal));
    setTimeout(() => caller.abort(), 5);
    expect(await answer).toBe("canceled");
    recover();
    expect(await codeOf(session.token(never()))).toBe("ok");
  });
});

describe("denied calls", () => {
  test("a token revoked elsewhere costs one new login, and no failed call", async () => {
    const { readKey, clock, operator, tokens, logins } = await setUp();
    await readKey();
    await clock.advance(11_000);
    const [token = ""] = tokens();
    await operator.must("POST", "auth/token/revoke-self", {}, { token });
    const answers = await Promise.all(Array.from({ length: 8 }, () => readKey()));
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    expect(logins).toHaveLength(2);
  });

  test("a policy that denies causes few logins, and the calls fail with the denial", async () => {
    const { readKey, clock, operator, names, logins, tokens } = await setUp();
    await readKey();
    await operator.must("POST", `sys/policies/acl/${names.policyName}`, {
      policy: 'path "auth/token/revoke-self" { capabilities = ["update"] }',
    });
    await clock.advance(10_000);
    for (let second = 0; second < 60; second += 1) {
      const answer = codeOf(readKey());
      await clock.advance(2000);
      expect(await answer).toBe("permission_denied");
    }
    expect(logins.length).toBeLessThanOrEqual(6);
    expect(tokens().length).toBeLessThanOrEqual(2);
  });

  test("a young token is not replaced: the call is repeated until the standby knows it", async () => {
    const { readKey, fake, clock, logins, session } = await setUp();
    await session.token(never());
    fake.inject(faults.denied, { path: /keys\//, times: 2 });
    const answer = readKey();
    await clock.advance(500);
    expect((await answer).status).toBe(200);
    expect(logins).toHaveLength(1);
  });
});

describe("the end", () => {
  test("revokes the token and those replaced a moment ago, and gives none any more", async () => {
    const { session, clock, tokens, readKey, operator, running, stop } = await setUp();
    const run = running();
    await readKey();
    await clock.advance(16 * MINUTE);
    await operator.must("POST", "sys/policies/acl/none", { policy: "" });
    expect(tokens()).toHaveLength(1);
    await session.close(1000);
    await run;
    expect(tokens()).toHaveLength(0);
    expect(await codeOf(session.token(never()))).toBe("session_closed");
    expect(session.health().state).toBe("closed");
    stop.abort();
  });

  test("revokes a replaced token that calls may still use", async () => {
    const { session, clock, tokens, running } = await setUp({ token_ttl: "30m", token_max_ttl: "30m" });
    const run = running();
    await clock.advance(25 * MINUTE + 500);
    expect(tokens()).toHaveLength(2);
    await session.close(1000);
    await run;
    expect(tokens()).toHaveLength(0);
  });

  test("is bounded when OpenBao hangs", async () => {
    const { session, fake } = await setUp();
    await session.token(never());
    fake.inject(faults.hang);
    const startedMs = performance.now();
    await session.close(20);
    expect(performance.now() - startedMs).toBeLessThan(500);
  });

  test("a login in progress when it comes leaves no token behind", async () => {
    const { session, tokens, running } = await setUp();
    const run = running();
    await session.close(1000);
    await run;
    expect(tokens()).toHaveLength(0);
  });
});
