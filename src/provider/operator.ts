/** @module The connection of a command to OpenBao, with a token of its own that is revoked at the end. */
import * as v from "valibot";
import { systemClock } from "../base/clock.ts";
import { ProviderError } from "../base/error-class.ts";
import { isJsonObject, parseJson } from "../base/parse-json.ts";
import type { ProviderConfig } from "../config/schema.ts";
import { decodeJwtClaims } from "../openbao/auth/jwt-claims.ts";
import type { CredentialState } from "../openbao/auth/login-method.ts";
import { pkcs11Checks } from "./pkcs11-token.ts";
import { openTransitAccess } from "./transit-access.ts";

export type OperatorAccess = Awaited<ReturnType<typeof openOperatorAccess>>;

/** A token that cannot be revoked in this time ends by itself. */
const REVOKE_MS = 2000;

const capabilityList = v.array(v.string());

/** @throws SafeFileError or CaFileError when the CA bundle cannot be used. Contacts nothing yet. */
export async function openOperatorAccess(config: ProviderConfig, serviceUid: number) {
  const access = await openTransitAccess({ config, clock: systemClock, random: Math.random, serviceUid });
  const { openbao, authBao, session, method, client, transit, transport } = access;
  return {
    transit,
    /** There when the key of the client certificate is in a PKCS#11 token. */
    pkcs11Token: pkcs11Checks(access.pkcs11Token, { config, serviceUid, clock: systemClock }),
    /** OpenBao's clock, to the second; `undefined` when its answer carries none. No token is used. */
    health: async (signal: AbortSignal) => {
      const { date } = await openbao.call({
        operation: "health",
        method: "GET",
        // A standby that forwards is as good as the active node.
        path: "sys/health?standbyok=true&perfstandbyok=true",
        // In a namespace, even in one that is there, OpenBao answers 400.
        namespace: "",
        idempotent: true,
        signal,
      });
      const wallMs = date === null ? Number.NaN : Date.parse(date);
      return { wallMs: Number.isFinite(wallMs) ? wallMs : undefined };
    },
    /** Reads and checks the credential, without sending it. */
    checkCredential: async (signal: AbortSignal) => {
      const { body, credentialExpiresAtMs, release } = await method.prepare(signal);
      release?.();
      return { issuer: issuerIn(body.expose()), expiresAtMs: credentialExpiresAtMs };
    },
    logIn: async (signal: AbortSignal) => {
      const token = await session.token(signal);
      const credential: CredentialState = (await method.inspect?.({ openbao: authBao, token, signal })) ?? {};
      return { ttlMs: token.expiresAtMs - token.issuedAtMs, renewable: token.renewable, credential };
    },
    capabilities: async (paths: readonly string[], signal: AbortSignal) => {
      const { data } = await client.call({
        operation: "capabilities_self",
        method: "POST",
        path: "sys/capabilities-self",
        body: JSON.stringify({ paths }),
        idempotent: true,
        signal,
      });
      return new Map(paths.map((path) => [path, capabilitiesOf(data, path)]));
    },
    close: async () => {
      await session.close(REVOKE_MS);
      transport.close();
    },
  };
}

function issuerIn(body: string): string | undefined {
  const request = parseJson(body);
  const jwt = isJsonObject(request) ? request["jwt"] : undefined;
  const decoded = typeof jwt === "string" ? decodeJwtClaims(jwt) : undefined;
  return decoded?.ok === true ? decoded.claims.issuer : undefined;
}

function capabilitiesOf(data: unknown, path: string): readonly string[] {
  const held: unknown =
    typeof data === "object" && data !== null
      ? Object.getOwnPropertyDescriptor(data, path)?.value
      : undefined;
  const parsed = v.safeParse(capabilityList, held);
  if (!parsed.success) {
    throw new ProviderError({
      code: "reply_malformed",
      errorClass: "openbao_unavailable",
      message: `OpenBao's answer does not list the token's capabilities on ${path}`,
      advice: "check that openbao.address leads to OpenBao and not to another server",
    });
  }
  return parsed.output;
}
