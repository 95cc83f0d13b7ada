import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { codeOf } from "../../../test/fakes/code-of.ts";
import { inProcessOpenBao } from "../../../test/fakes/in-process-openbao.ts";
import { textAt } from "../../../test/fakes/openbao/json-at.ts";
import {
  A,
  type Answer,
  SEALED,
  error as scriptedError,
  scriptedOpenBao,
} from "../../../test/fakes/scripted-openbao.ts";
import { ProviderError } from "../../base/error-class.ts";
import { Secret } from "../../base/secret.ts";
import { approleLoginMethod } from "./approle-method.ts";
import type { LoginMethod } from "./login-method.ts";
import { logIn } from "./token-calls.ts";
import { trySecretId, unwrapSecretId } from "./unwrap-secret-id.ts";

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "approle-"));
});
afterAll(() => rmSync(dir, { recursive: true }));

const signal = (): AbortSignal => new AbortController().signal;
const write = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text, { mode: 0o600 });
  return join(dir, name);
};

async function setUp(role: Record<string, string | number> = {}) {
  const bao = await inProcessOpenBao();
  const { operator, openbao, names } = bao;
  await operator.must("POST", "sys/auth/approle", { type: "approle" });
  await operator.must("POST", "auth/approle/role/kms", { token_policies: [names.policyName], ...role });
  const { data } = await operator.must("GET", "auth/approle/role/kms/role-id").then((body) => ({
    data: textAt(body, "data", "role_id"),
  }));
  const newSecretId = async (): Promise<string> =>
    textAt(await operator.must("POST", "auth/approle/role/kms/secret-id", {}), "data", "secret_id");
  const login = (roleId: Parameters<typeof approleLoginMethod>[0]["roleId"], secretIdFile: string) =>
    logIn(
      {
        openbao,
        method: approleLoginMethod({
          mountPath: "auth/approle",
          roleId,
          secretIdFile,
          serviceUid: process.getuid?.() ?? 0,
        }),
        timeoutMs: 1000,
        askedAtMs: 0,
      },
      signal(),
    );
  return { ...bao, roleId: data, newSecretId, login };
}

describe("AppRole login", () => {
  test("with the role id in the configuration or in a file; a new secret id in the file is used at once", async () => {
    const { login, roleId, newSecretId } = await setUp();
    const secretIdFile = write("secret-id", `${await newSecretId()}\n`);
    expect(await codeOf(login({ kind: "value", value: roleId }, secretIdFile))).toBe("ok");
    write("secret-id", "wrong");
    expect(await codeOf(login({ kind: "value", value: roleId }, secretIdFile))).toBe("login_secret_refused");
    write("secret-id", await newSecretId());
    expect(await codeOf(login({ kind: "file", file: write("role-id", roleId) }, secretIdFile))).toBe("ok");
  });

  test("with a used-up secret id is named as such", async () => {
    const { login, roleId, newSecretId } = await setUp({ secret_id_num_uses: 1 });
    const secretIdFile = write("secret-id", await newSecretId());
    expect(await codeOf(login({ kind: "value", value: roleId }, secretIdFile))).toBe("ok");
    expect(await codeOf(login({ kind: "value", value: roleId }, secretIdFile))).toBe("login_secret_refused");
  });

  test("is not made again when its answer was lost, since it may have used up the secret id", async () => {
    const { openbao, asked } = scriptedOpenBao({ [A]: "connection_lost" });
    const method = approleLoginMethod({
      mountPath: "auth/approle",
      roleId: { kind: "value", value: "role" },
      secretIdFile: write("secret-id", "secret"),
      serviceUid: process.getuid?.() ?? 0,
    });
    const terms = { openbao, method, timeoutMs: 1000, askedAtMs: 0 };
    expect(await codeOf(logIn(terms, signal()))).toBe("connection_lost");
    expect(asked).toHaveLength(1);
  });

  test("takes ids of at most 4096 bytes and a line break", async () => {
    const { login, roleId } = await setUp();
    const value = { kind: "value", value: roleId } as const;
    const longest = `${"s".repeat(4096)}\r\n`;
    expect(await codeOf(login(value, write("secret-id", longest)))).toBe("login_secret_refused");
    expect(await codeOf(login(value, write("secret-id", `s${longest}`)))).toBe("file_too_large");
    const file = { kind: "file", file: write("role-id", `s${longest}`) } as const;
    expect(await codeOf(login(file, write("secret-id", "s")))).toBe("file_too_large");
  });

  test("never sends what is no secret id", async () => {
    const { login, roleId, fake } = await setUp();
    const before = fake.calls.length;
    const value = { kind: "value", value: roleId } as const;
    expect(await codeOf(login(value, write("secret-id", "s.AAAAAAAAAAAAAAAAAAAAAAAA")))).toBe(
      "secret_id_wrapped",
    );
    expect(await codeOf(login(value, write("secret-id", "two\nlines")))).toBe("secret_malformed");
    expect(await codeOf(login(value, join(dir, "missing")))).toBe("file_missing");
    expect(fake.calls.length).toBe(before);
  });
});

describe("unwrapping a secret id", () => {
  const wrapped = async (path = "auth/approle/role/kms/secret-id") => {
    const bao = await setUp({ secret_id_num_uses: 5, secret_id_ttl: "10m" });
    const body = await bao.operator.must("POST", path, {}, { wrapTtl: "60s" });
    const unwrap = (token = textAt(body, "wrap_info", "token")) =>
      unwrapSecretId(
        {
          openbao: bao.openbao,
          wrappingToken: new Secret(token),
          mountPath: "auth/approle",
          roleName: "kms",
        },
        signal(),
      );
    return { ...bao, unwrap };
  };

  test("works once, and says how long the secret id is good", async () => {
    const { unwrap, login, roleId } = await wrapped();
    const { secretId, ttlSeconds, uses } = await unwrap();
    expect([ttlSeconds, uses]).toEqual([600, 5]);
    expect(await codeOf(login({ kind: "value", value: roleId }, write("secret-id", secretId.expose())))).toBe(
      "ok",
    );
    expect(await codeOf(unwrap())).toBe("wrapping_token_unknown");
  });

  test("a token that was made elsewhere is left alone", async () => {
    const { unwrap, operator } = await wrapped();
    await operator.must("POST", "auth/approle/role/other", {});
    const body = await operator.must("POST", "auth/approle/role/other/secret-id", {}, { wrapTtl: "60s" });
    const token = textAt(body, "wrap_info", "token");
    expect(await codeOf(unwrap(token))).toBe("wrapping_foreign");
    expect(await codeOf(unwrap(token))).toBe("wrapping_foreign");
  });
});

describe("a wrapping token is used", () => {
  const unwrapped = async (answers: Answer[]) => {
    const { openbao, asked } = scriptedOpenBao({ [A]: answers });
    const wrappingToken = new Secret("s.wrapping");
    const result = await codeOf(
      unwrapSecretId({ openbao, wrappingToken, mountPath: "auth/approle", roleName: "kms" }, signal()),
    );
    return { result, paths: asked.map(({ url }) => new URL(url).pathname) };
  };
  const reply = (data: unknown): Answer => ({ status: 200, body: { request_id: "r", data } });
  const ORIGIN = reply({ creation_path: "auth/approle/role/kms/secret-id" });
  const [LOOKUP, UNWRAP] = ["/v1/sys/wrapping/lookup", "/v1/sys/wrapping/unwrap"];

  test("once, even when its answer is lost", async () => {
    expect(await unwrapped([ORIGIN, "connection_lost"])).toEqual({
      result: "connection_lost",
      paths: [LOOKUP, UNWRAP],
    });
    expect(await unwrapped(["connection_lost"])).toEqual({ result: "connection_lost", paths: [LOOKUP] });
  });

  test.each([[{}], [{ creation_path: 1 }], [null]])("not when its origin is %p", async (data) => {
    expect(await unwrapped([reply(data)])).toEqual({ result: "wrapping_foreign", paths: [LOOKUP] });
  });

  test.each([[{ secret_id: "" }], [{ secret_id: "a b" }], [{ secret_id: "a", secret_id_ttl: -1 }], [null]])(
    "for nothing when it held %p",
    async (data) => {
      expect((await unwrapped([ORIGIN, reply(data)])).result).toBe("reply_malformed");
    },
  );
});

describe("trying a fresh secret id", () => {
  const trial = async (answers: Answer[], prepare: LoginMethod["prepare"]) => {
    const { openbao, asked, clock } = scriptedOpenBao({ [A]: answers });
    const method: LoginMethod = {
      name: "approle",
      operation: "approle_login",
      mountPath: "auth/approle",
      repeatable: false,
      prepare,
    };
    const result = await trySecretId(
      { openbao, method, roleName: "kms", clock, timeoutMs: 1000 },
      signal(),
    ).then(
      ({ kind }) => kind,
      (error: unknown) => (error instanceof ProviderError ? error.code : String(error)),
    );
    return { result, paths: asked.map(({ url }) => new URL(url).pathname) };
  };
  const fresh = async () => ({ body: new Secret("{}") });
  const auth = { client_token: "s.new", lease_duration: 60, renewable: true, token_type: "service" };
  const GRANTED: Answer = { status: 200, body: { request_id: "r", auth } };

  test("logs in once and revokes the token", async () => {
    expect(await trial([GRANTED], fresh)).toEqual({
      result: "let_in",
      paths: ["/v1/auth/approle/login", "/v1/auth/token/revoke-self"],
    });
  });

  test.each([
    ["refuses the secret id", scriptedError(400, "invalid role or secret ID"), "secret_id_foreign"],
    ["is sealed", SEALED, "unknown"],
    ["denies the login", scriptedError(403, "permission denied"), "unknown"],
  ] as const)("says what is known when OpenBao %s", async (_, answer, result) => {
    expect((await trial([answer], fresh)).result).toBe(result);
  });

  test("knows nothing when the file cannot be read, or something else failed here", async () => {
    const broken = () => Promise.reject(new TypeError("bug"));
    expect(await trial([GRANTED], broken)).toEqual({ result: "unknown", paths: [] });
  });
});

describe("what OpenBao says of a stored secret id", () => {
  test("its end and its uses, that it is used up, and nothing to a token that may not ask", async () => {
    const { openbao, operator, roleId, newSecretId, login } = await setUp({
      secret_id_num_uses: 2,
      secret_id_ttl: "10m",
      token_policies: "looker",
    });
    const policy = 'path "auth/approle/role/kms/secret-id/lookup" { capabilities = ["update"] }';
    await operator.must("POST", "sys/policies/acl/looker", { policy });
    const secretIdFile = write("inspected", await newSecretId());
    const { inspect } = approleLoginMethod({
      mountPath: "auth/approle",
      roleId: { kind: "value", value: roleId },
      secretIdFile,
      serviceUid: process.getuid?.() ?? 0,
    });
    const look = async (token: Parameters<NonNullable<typeof inspect>>[0]["token"]) =>
      inspect?.({ openbao, token, signal: signal() });
    const { token } = await login({ kind: "value", value: roleId }, secretIdFile);
    expect(token.roleName).toBe("kms");
    expect(await look(undefined)).toEqual({});
    expect(await look(token)).toEqual({ usesLeft: 1, expiresAtMs: expect.any(Number) });
    await login({ kind: "value", value: roleId }, secretIdFile);
    expect(await codeOf(look(token))).toBe("secret_id_gone");
    await operator.must("POST", "sys/policies/acl/looker", { policy: "" });
    expect(await look(token)).toEqual({});
  });
});

describe("the lookup of a secret id", () => {
  const token = {
    secret: new Secret("t"),
    kind: "service",
    renewable: true,
    issuedAtMs: 0,
    expiresAtMs: 1,
    roleName: "kms",
  } as const;
  const inspect = async (answers: Parameters<typeof scriptedOpenBao>[0]) => {
    const { openbao, asked } = scriptedOpenBao(answers);
    const method = approleLoginMethod({
      mountPath: "auth/approle",
      roleId: { kind: "value", value: "role" },
      secretIdFile: write("looked-at", "secret"),
      serviceUid: process.getuid?.() ?? 0,
    });
    const state = await method.inspect?.({ openbao, token, signal: signal() });
    return { state, asked };
  };
  const found = (data: unknown) => ({ [A]: { status: 200, body: { request_id: "r", data } } });
  const DATA = { secret_id_num_uses: 3, secret_id_ttl: 60, expiration_time: "2030-01-01T00:00:00Z" };

  test("is made again when its answer was lost", async () => {
    const { state, asked } = await inspect({
      [A]: ["connection_lost", { status: 200, body: { request_id: "r", data: DATA } }],
    });
    expect(asked).toHaveLength(2);
    expect(state).toEqual({ usesLeft: 3, expiresAtMs: Date.parse("2030-01-01T00:00:00Z") });
  });

  test("takes 0 for no limit", async () => {
    expect((await inspect(found({ ...DATA, secret_id_num_uses: 0 }))).state).toEqual({
      expiresAtMs: Date.parse("2030-01-01T00:00:00Z"),
    });
    expect((await inspect(found({ ...DATA, secret_id_ttl: 0 }))).state).toEqual({ usesLeft: 3 });
  });

  test.each([[{ ...DATA, secret_id_ttl: -1 }], [{ ...DATA, expiration_time: "soon" }], [[]]])(
    "of %p knows nothing",
    async (data) => {
      expect((await inspect(found(data))).state).toEqual({});
    },
  );
});
