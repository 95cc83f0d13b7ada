/**
 * What the parts of the OpenBao contract share: one OpenBao, one issuer, one provider's token.
 *
 * @module Calls and set-up in the words of the contract. Expectations are in the parts.
 */

import { textAt } from "../fakes/openbao/json-at.ts";
import { identityClaims, type JwtIssuer, makeJwtIssuer } from "../fakes/openbao/jwt-issuer.ts";
import type { CallOptions, Operator, OperatorReply } from "../fakes/openbao/operator.ts";
import { jwtRole, type Provisioning, provision } from "../fakes/openbao/provision.ts";
import type { Json, JsonObject } from "../fakes/openbao/reply.ts";

export interface OpenBaoUnderTest {
  readonly operator: Operator;
  readonly seal: () => Promise<void>;
  readonly unseal: () => Promise<void>;
  readonly dispose: () => Promise<void>;
}

export interface ContractContext {
  readonly openbao: OpenBaoUnderTest;
  readonly issuer: JwtIssuer;
  readonly names: Provisioning;
  /** A token as the provider has it: JWT login, least privilege. */
  readonly token: string;
  /** Before all tests. */
  readonly begin: (openbao: OpenBaoUnderTest) => Promise<void>;
  /** A call as root, or as `options` say. */
  readonly call: (
    method: string,
    path: string,
    body?: JsonObject | string,
    options?: CallOptions,
  ) => Promise<OperatorReply>;
  readonly asProvider: (method: string, path: string, body?: JsonObject | string) => Promise<OperatorReply>;
  readonly errorsOf: (reply: OperatorReply) => Json | undefined;
  /** A good JWT; `claims` override single claims. */
  readonly jwt: (claims?: JsonObject) => string;
  readonly logIn: (role: string, credential?: string) => Promise<OperatorReply>;
  readonly freshToken: (role: string) => Promise<string>;
  /** Makes a role like the provider's but for `parameters`. */
  readonly role: (name: string, parameters: JsonObject) => Promise<unknown>;
  readonly newKey: (name: string, versions?: number) => Promise<void>;
  /** Encrypts as root and gives back the ciphertext. */
  readonly encrypt: (key: string, body?: JsonObject) => Promise<string>;
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
  readonly token: string;
}

export function contractContext(): ContractContext {
  let begun: Begun | undefined;
  const now = (): Begun => {
    if (begun === undefined) {
      throw new Error("the contract has not begun");
    }
    return begun;
  };
  const call: ContractContext["call"] = (method, path, body, options) =>
    now().openbao.operator.call(method, path, body, options);
  const logInWith = (operator: Operator, role: string, jwt: string): Promise<OperatorReply> =>
    operator.call("POST", "auth/jwt/login", { role, jwt }, { token: "" });
  const jwt: ContractContext["jwt"] = (claims = {}) =>
    now().issuer.sign({ ...identityClaims(now().names, Date.now()), ...claims });

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
    begin: async (openbao) => {
      const issuer = makeJwtIssuer();
      const names = await provision(openbao.operator, issuer.publicKeyPem);
      const { body } = await logInWith(
        openbao.operator,
        names.role,
        issuer.sign(identityClaims(names, Date.now())),
      );
      begun = { openbao, issuer, names, token: textAt(body, "auth", "client_token") };
    },
    call,
    asProvider: (method, path, body) => call(method, path, body, { token: now().token }),
    errorsOf: ({ body }) => body["errors"],
    jwt,
    logIn: (role, credential = jwt()) => logInWith(now().openbao.operator, role, credential),
    freshToken: async (role) => {
      const { body } = await logInWith(now().openbao.operator, role, jwt());
      return textAt(body, "auth", "client_token");
    },
    role: (name, parameters) =>
      now().openbao.operator.must(
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
    newKey: async (name, versions = 1) => {
      await now().openbao.operator.must("POST", `transit/keys/${name}`, {});
      for (let version = 1; version < versions; version += 1) {
        await now().openbao.operator.must("POST", `transit/keys/${name}/rotate`, {});
      }
    },
    encrypt: async (key, body = {}) => {
      const reply = await now().openbao.operator.must("POST", `transit/encrypt/${key}`, {
        plaintext: base64("hello"),
        ...body,
      });
      return textAt(reply, "data", "ciphertext");
    },
  };
}
