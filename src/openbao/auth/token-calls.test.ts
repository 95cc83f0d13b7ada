import { describe, expect, test } from "bun:test";
import { codeOf } from "../../../test/fakes/code-of.ts";
import { A, type Answer, B, scriptedOpenBao } from "../../../test/fakes/scripted-openbao.ts";
import { Secret } from "../../base/secret.ts";
import type { LoginMethod } from "./login-method.ts";
import { decodeGrant, type Token } from "./token.ts";
import { logIn, renewSelf, revokeSelf } from "./token-calls.ts";

const never = new AbortController().signal;
const AUTH = { client_token: "s.new", lease_duration: 60, renewable: true, token_type: "service" };
const granting = (auth: unknown): Answer => ({ status: 200, body: { request_id: "r", auth } });
const pathsOf = ({ asked }: ReturnType<typeof scriptedOpenBao>): readonly string[] =>
  asked.map(({ url }) => new URL(url).pathname.slice("/v1/".length));

function login(bao: ReturnType<typeof scriptedOpenBao>, more: Partial<LoginMethod> = {}) {
  const method: LoginMethod = {
    name: "jwt",
    operation: "jwt_login",
    mountPath: "auth/jwt",
    repeatable: true,
    prepare: async () => ({ body: new Secret("{}"), credentialExpiresAtMs: 9 }),
    ...more,
  };
  return logIn({ openbao: bao.openbao, method, timeoutMs: 1000, askedAtMs: 500 }, never);
}

describe("a login", () => {
  test("gives the token, which ends as long after the question as was granted", async () => {
    const bao = scriptedOpenBao({ [A]: granting({ ...AUTH, metadata: { role_name: "kms" } }) });
    const { token, credentialExpiresAtMs } = await login(bao);
    expect({ ...token, secret: token.secret.expose() }).toEqual({
      secret: "s.new",
      kind: "service",
      renewable: true,
      issuedAtMs: 500,
      expiresAtMs: 60_500,
      roleName: "kms",
    });
    expect(credentialExpiresAtMs).toBe(9);
    expect(pathsOf(bao)).toEqual(["auth/jwt/login"]);
  });

  test("whose token is not to be renewed says so, whatever OpenBao says", async () => {
    const bao = scriptedOpenBao({ [A]: granting(AUTH) });
    expect((await login(bao, { renewal: "login" })).token.renewable).toBe(false);
    expect((await login(bao)).token.renewable).toBe(true);
  });

  test.each([
    ["a number of uses", { ...AUTH, num_uses: 1 }, "token_use_limit"],
    ["no end", { ...AUTH, lease_duration: 0 }, "token_endless"],
  ])("whose token has %s is refused, and the token revoked", async (_, auth, code) => {
    const bao = scriptedOpenBao({ [A]: granting(auth) });
    expect(await codeOf(login(bao))).toBe(code);
    expect(pathsOf(bao)).toEqual(["auth/jwt/login", "auth/token/revoke-self"]);
    expect(bao.asked[1]?.headers["X-Vault-Token"]).toBe("s.new");
  });

  test.each([[undefined], [{ ...AUTH, client_token: "a b" }], [{ ...AUTH, lease_duration: -1 }], [[]]])(
    "with an answer whose auth is %p is refused",
    async (auth) => {
      expect(await codeOf(login(scriptedOpenBao({ [A]: granting(auth) })))).toBe("reply_malformed");
    },
  );

  test("goes over the method's own connection, which is let go however it ends", async () => {
    for (const [answer, code] of [
      [granting(AUTH), "ok"],
      ["tls_client_refused", "tls_client_refused"],
    ] as const) {
      let released = 0;
      const own = scriptedOpenBao({ [B]: answer });
      const shared = scriptedOpenBao({ [A]: granting(AUTH) });
      const release = () => {
        released += 1;
      };
      const prepare = async () => ({ body: new Secret("{}"), loginClient: own.openbao, release });
      expect(await codeOf(login(shared, { prepare }))).toBe(code);
      expect([own.asked.length, shared.asked.length, released]).toEqual([1, 0, 1]);
    }
  });
});

describe("a grant", () => {
  test.each([
    ["batch", "batch"],
    ["service", "service"],
    ["default-service", "service"],
  ] as const)("of type %p is of kind %p", (token_type, kind) => {
    expect(decodeGrant({ ...AUTH, token_type })?.kind).toBe(kind);
  });
});

const TOKEN: Token = {
  secret: new Secret("s.old"),
  kind: "service",
  renewable: true,
  issuedAtMs: 0,
  expiresAtMs: 1000,
  roleName: "kms",
};

describe("a renewal", () => {
  test("asks for whole seconds, is asked again when its answer was lost, and keeps the token's secret", async () => {
    const bao = scriptedOpenBao({ [A]: ["connection_lost", granting({ ...AUTH, renewable: false })] });
    const renewed = await renewSelf(bao.openbao, TOKEN, { incrementMs: 1001, askedAtMs: 100 }, never);
    expect(renewed).toEqual({ ...TOKEN, renewable: false, expiresAtMs: 60_100 });
    expect(pathsOf(bao)).toEqual(["auth/token/renew-self", "auth/token/renew-self"]);
    expect(bao.asked.map(({ body }) => body)).toEqual(['{"increment":"2s"}', '{"increment":"2s"}']);
  });

  test("with an answer that grants nothing is refused", async () => {
    const bao = scriptedOpenBao({ [A]: granting(null) });
    const answer = renewSelf(bao.openbao, TOKEN, { incrementMs: 1, askedAtMs: 0 }, never);
    expect(await codeOf(answer)).toBe("reply_malformed");
  });
});

describe("a revocation", () => {
  test("is asked again when its answer was lost, and never fails", async () => {
    const bao = scriptedOpenBao({ [A]: ["connection_lost", "timeout"] });
    await revokeSelf(bao.openbao, TOKEN, never);
    expect(pathsOf(bao)).toEqual(["auth/token/revoke-self", "auth/token/revoke-self"]);
  });

  test("of a batch token is not asked for", async () => {
    const bao = scriptedOpenBao({ [A]: granting(AUTH) });
    await revokeSelf(bao.openbao, { ...TOKEN, kind: "batch" }, never);
    expect(bao.asked).toEqual([]);
  });
});
