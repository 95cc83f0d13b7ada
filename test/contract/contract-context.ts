/**
 * @module What the parts of the OpenBao contract share: one OpenBao, one issuer, one provider's token. Calls and set-up in the
 * words of the contract. Expectations are in the parts.
 */
import { expect } from "bun:test";
import { objectAt, textAt } from "../fakes/openbao/json-at.ts";
import { identityClaims, type JwtIssuer, makeJwtIssuer } from "../fakes/openbao/jwt-issuer.ts";
import type { Operator, OperatorReply } from "../fakes/openbao/operator.ts";
import { jwtRole, type Provisioning, provision } from "../fakes/openbao/provision.ts";
import type { JsonObject } from "../fakes/openbao/reply.ts";

export interface OpenBaoUnderTest {
  readonly operator: Operator;
  readonly seal: () => Promise<void>;
  readonly unseal: () => Promise<void>;
  readonly dispose: () => Promise<void>;
}

export const base64 = (text: string): string => Buffer.from(text).toString("base64");
export const ASSOCIATED = base64("associated");

export function nowSeconds(): number {
  return Math.floor(Date.now() / 1000);
}

interface Begun {
  readonly openbao: OpenBaoUnderTest;
  readonly issuer: JwtIssuer;
  readonly names: Provisioning;
  /** A token as the provider has it: JWT login, least privilege. */
  readonly token: string;
}

/** The reply must be this refusal. */
export async function refused(reply: Promise<OperatorReply>, error: string, status = 400): Promise<void> {
  const got = await reply;
  expect([got.status, got.body["errors"]]).toEqual([status, [error]]);
}

export async function dataOf(reply: Promise<OperatorReply>): Promise<JsonObject> {
  return objectAt((await reply).body, "data");
}

export type ContractContext = ReturnType<typeof contractContext>;

export function contractContext() {
  let begun: Begun | undefined;
  const now = (): Begun => {
    if (begun === undefined) {
      throw new Error("the contract has not begun");
    }
    return begun;
  };
  const call: Operator["call"] = (...args) => now().openbao.operator.call(...args);
  const must: Operator["must"] = (...args) => now().openbao.operator.must(...args);
  /** A good JWT; `claims` override single claims. */
  const jwt = (claims: JsonObject = {}): string =>
    now().issuer.sign({ ...identityClaims(now().names, Date.now()), ...claims });
  const logIn = (role: string, credential = jwt()): Promise<OperatorReply> =>
    call("POST", "auth/jwt/login", { role, jwt: credential }, { token: "" });
  const freshToken = async (role: string): Promise<string> =>
    textAt((await logIn(role)).body, "auth", "client_token");

  return {
    get openbao() {
      return now().openbao;
    },
    get issuer() {
      return now().issuer;
    },
    get names() {
      return now().names;
    },
    get token() {
      return now().token;
    },
    /** Before all tests. */
    begin: async (openbao: OpenBaoUnderTest) => {
      const issuer = makeJwtIssuer();
      const names = await provision(openbao.operator, issuer.publicKeyPem);
      begun = { openbao, issuer, names, token: "" };
      begun = { ...begun, token: await freshToken(names.role) };
    },
    call,
    must,
    asProvider: (method: string, path: string, body?: JsonObject | string) =>
      call(method, path, body, { token: now().token }),
    jwt,
    logIn,
    freshToken,
    /** Makes a role like the provider's but for `parameters`. */
    role: (name: string, parameters: JsonObject) =>
      must(
        "POST",
        `auth/jwt/role/${name}`,
        jwtRole(now().names, {
          bound_subject: now().names.subject,
          token_no_default_policy: true,
          token_ttl: "20m",
          token_max_ttl: "1h",
          ...parameters,
        }),
      ),
    newKey: async (name: string, versions = 1) => {
      await must("POST", `transit/keys/${name}`, {});
      for (let version = 1; version < versions; version += 1) {
        await must("POST", `transit/keys/${name}/rotate`, {});
      }
    },
    /** Encrypts as root and gives back the ciphertext. */
    encrypt: async (key: string, body: JsonObject = {}) =>
      textAt(
        await must("POST", `transit/encrypt/${key}`, { plaintext: base64("hello"), ...body }),
        "data",
        "ciphertext",
      ),
  };
}
