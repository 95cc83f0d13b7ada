/** @module From `auth` in the configuration to the login method. */
import type { Clock } from "../base/clock.ts";
import type { ProviderConfig } from "../config/schema.ts";
import { openCaFile } from "../http/ca-file.ts";
import { type ClientIdentity, createHttpTransport } from "../http/https.ts";
import { approleLoginMethod } from "../openbao/auth/approle-method.ts";
import {
  type CertifiedConnection,
  certFileLoginMethod,
  certTokenLoginMethod,
} from "../openbao/auth/cert-method.ts";
import {
  type CredentialObserver,
  type JwtSource,
  jwtFileSource,
  jwtLoginMethod,
} from "../openbao/auth/jwt-method.ts";
import type { LoginMethod } from "../openbao/auth/login-method.ts";
import { oauth2Source } from "../openbao/auth/oauth2-source.ts";
import { spiffeSource } from "../openbao/auth/spiffe-source.ts";
import type { OpenBao } from "../openbao/client/client.ts";
import type { Pkcs11Token } from "../pkcs11/token.ts";

interface AuthMethodOptions {
  readonly auth: ProviderConfig["auth"];
  readonly clock: Clock;
  readonly serviceUid: number;
  /** `openbao.timeout`, for calls to others than OpenBao too. */
  readonly timeoutMs: number;
  /** A connection to OpenBao that presents a client certificate. */
  readonly connect: (identity: ClientIdentity) => CertifiedConnection;
  /** The same for a certificate whose key is in a PKCS#11 token; the chain as DER. */
  readonly connectWithToken: (token: Pkcs11Token, chain: readonly Uint8Array[]) => OpenBao;
  readonly pkcs11Token: Pkcs11Token | undefined;
  readonly credentialObserver: CredentialObserver | undefined;
}

/** @throws SafeFileError or CaFileError when a CA bundle of the method cannot be used. */
export async function loginMethodOf(options: AuthMethodOptions): Promise<LoginMethod> {
  const { auth, clock, serviceUid, connect } = options;
  switch (auth.method) {
    case "jwt": {
      const { jwt } = auth;
      return jwtLoginMethod({
        mountPath: jwt.mountPath,
        role: jwt.role,
        source: await jwtSourceOf(jwt.credential, options),
        expected: {
          minRemainingTtlMs: jwt.minRemainingTtl,
          leewayMs: jwt.clockSkewLeeway,
          issuer: jwt.expectedIssuer,
          audience: jwt.expectedAudience,
          subject: jwt.expectedSubject,
        },
        clock,
      });
    }
    case "approle":
      return approleLoginMethod({ ...auth.approle, serviceUid });
    case "cert": {
      const { mountPath, name, credential, minRemainingTtl, clockSkewLeeway } = auth.cert;
      const rules = { minRemainingTtlMs: minRemainingTtl, leewayMs: clockSkewLeeway };
      const common = { mountPath, name, rules, serviceUid, clock };
      const { certificateFile } = credential;
      if (credential.source === "file") {
        const { privateKeyFile } = credential;
        return certFileLoginMethod({ ...common, certificateFile, privateKeyFile, connect });
      }
      const { pkcs11Token, connectWithToken } = options;
      if (pkcs11Token === undefined) {
        throw new TypeError("a configuration with a PKCS#11 token came without it");
      }
      return certTokenLoginMethod({
        ...common,
        certificateFile,
        connect: (chain) => ({ openbao: connectWithToken(pkcs11Token, chain) }),
      });
    }
  }
}

type JwtCredential = Extract<ProviderConfig["auth"], { method: "jwt" }>["jwt"]["credential"];

async function jwtSourceOf(
  credential: JwtCredential,
  { clock, serviceUid, timeoutMs, credentialObserver }: AuthMethodOptions,
): Promise<JwtSource> {
  const observed = credentialObserver === undefined ? {} : { observer: credentialObserver };
  switch (credential.source) {
    case "file":
      return jwtFileSource(credential.jwtFile, serviceUid);
    case "oauth2": {
      const { caCertFile, ...client } = credential;
      const caField = "auth.jwt.oauth2.caCertFile";
      const tokenUrlField = "auth.jwt.oauth2.tokenUrl";
      return oauth2Source({
        ...client,
        transport: createHttpTransport({
          names: {
            what: "the token endpoint",
            addressField: tokenUrlField,
            caField,
            serverNameField: tokenUrlField,
          },
          trust: await openCaFile({ path: caCertFile, field: caField, serviceUid }),
          serverName: new URL(client.tokenUrl).hostname,
          clock,
        }),
        timeoutMs,
        serviceUid,
        clock,
        ...observed,
      });
    }
    case "spiffe":
      return spiffeSource({
        ...credential,
        timeoutMs,
        clock,
        ...observed,
      });
  }
}
