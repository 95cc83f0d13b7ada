/** @module From a configuration to an authenticated Transit client, for daemon and commands. Contacts nothing. */
import type { Clock } from "../base/clock.ts";
import type { ProviderConfig } from "../config/schema.ts";
import { openCaFile } from "../http/ca-file.ts";
import { type ClientIdentity, createHttpTransport, type HttpTransport } from "../http/https.ts";
import { approleLoginMethod } from "../openbao/auth/approle-method.ts";
import { createAuthenticatedClient } from "../openbao/auth/authenticated-client.ts";
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
import { pkcs11Transport } from "../openbao/auth/pkcs11-transport.ts";
import { type SessionObserver, TokenSession } from "../openbao/auth/session.ts";
import { spiffeSource } from "../openbao/auth/spiffe-source.ts";
import {
  createOpenBaoClient,
  inNamespace,
  type OpenBaoClient,
  type OpenBaoObserver,
} from "../openbao/client/client.ts";
import { createTransitClient } from "../openbao/transit/client.ts";
import type { HelperStart } from "../pkcs11/helper-process.ts";
import type { Pkcs11Token } from "../pkcs11/token.ts";
import { pkcs11TokenOf } from "./pkcs11-token.ts";

interface TransitAccessOptions {
  readonly config: ProviderConfig;
  readonly clock: Clock;
  readonly random: () => number;
  /** Besides root, the owner whose files are accepted. */
  readonly serviceUid: number;
  readonly openbaoObserver?: (addresses: readonly string[]) => OpenBaoObserver;
  readonly sessionObserver?: SessionObserver;
  readonly credentialObserver?: CredentialObserver;
  readonly onTrustProblem?: (error: unknown) => void;
  /** How the helper process of a PKCS#11 token is started; this program itself when absent. */
  readonly helper?: HelperStart;
}

export type TransitAccess = Awaited<ReturnType<typeof openTransitAccess>>;

/** What messages call the connection to OpenBao and its fields. */
export const OPENBAO_NAMES = {
  what: "OpenBao",
  addressField: "openbao.address",
  caField: "openbao.caCertFile",
  serverNameField: "openbao.tlsServerName",
} as const;

/** @throws SafeFileError or CaFileError when a CA bundle cannot be used. */
export async function openTransitAccess(options: TransitAccessOptions) {
  const { config, clock, random, serviceUid, sessionObserver, onTrustProblem } = options;
  const { auth, openbao: openbaoConfig, transit: transitConfig } = config;
  const [first, ...others] = openbaoConfig.addresses;
  if (first === undefined) {
    throw new TypeError("a configuration without an OpenBao address escaped its schema");
  }
  const addresses = [first, ...others] as const;
  const names = OPENBAO_NAMES;
  const trust = await openCaFile({ path: openbaoConfig.caCertFile, field: names.caField, serviceUid });
  const transportOptions = {
    names,
    trust,
    serverName: openbaoConfig.tlsServerName,
    clock,
    ...(onTrustProblem === undefined ? {} : { onTrustProblem }),
  };
  const observer = options.openbaoObserver?.(addresses) ?? {};
  const openBaoOn = { clock, addresses, timeoutMs: openbaoConfig.timeout };
  const transport = createHttpTransport(transportOptions);
  const openbao = createOpenBaoClient({
    ...openBaoOn,
    transport,
    namespace: openbaoConfig.namespace,
    observer,
  });
  const authBao = inNamespace(openbao, auth.namespace);
  // The circuit of a connection for one login lives no longer than that, so its state is not shown.
  const openBaoForLogin = (connection: HttpTransport): OpenBaoClient =>
    createOpenBaoClient({
      ...openBaoOn,
      transport: connection,
      namespace: auth.namespace,
      observer: observer.onCall === undefined ? {} : { onCall: observer.onCall },
    });
  const pkcs11Token = pkcs11TokenOf({ config, serviceUid, clock }, options.helper);
  const method = await loginMethodOf(options, {
    connect: (identity) => {
      const certified = createHttpTransport({ ...transportOptions, identity });
      return { openbao: openBaoForLogin(certified), close: certified.close };
    },
    connectWithToken: (token, chain) => ({
      openbao: openBaoForLogin(pkcs11Transport({ token, chain, trust, names })),
    }),
    pkcs11Token,
  });
  const session = new TokenSession({
    openbao: authBao,
    method,
    clock,
    random,
    loginBeforeExpiryMs: auth.loginBeforeTokenExpiry,
    renewalIncrementMs: auth.tokenRenewalIncrement,
    loginTimeoutMs: auth.loginTimeout,
    callTimeoutMs: openbaoConfig.timeout,
    ...(sessionObserver === undefined ? {} : { observer: sessionObserver }),
  });
  const client = createAuthenticatedClient(openbao, session);
  return {
    transport,
    pkcs11Token,
    openbao,
    authBao,
    method,
    session,
    client,
    transit: createTransitClient(client, {
      mountPath: transitConfig.mountPath,
      keyName: transitConfig.keyName,
    }),
  };
}

interface CertifiedConnections {
  /** A connection to OpenBao that presents a client certificate. */
  readonly connect: (identity: ClientIdentity) => CertifiedConnection;
  /** The same for a certificate whose key is in a PKCS#11 token; the chain as DER. */
  readonly connectWithToken: (token: Pkcs11Token, chain: readonly Uint8Array[]) => CertifiedConnection;
  readonly pkcs11Token: Pkcs11Token | undefined;
}

async function loginMethodOf(
  options: TransitAccessOptions,
  { connect, connectWithToken, pkcs11Token }: CertifiedConnections,
): Promise<LoginMethod> {
  const { config, clock, serviceUid } = options;
  const { auth } = config;
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
      const { certificateFile } = credential;
      const rules = { minRemainingTtlMs: minRemainingTtl, leewayMs: clockSkewLeeway };
      const common = { mountPath, name, certificateFile, rules, serviceUid, clock };
      if (credential.source === "file") {
        return certFileLoginMethod({ ...common, privateKeyFile: credential.privateKeyFile, connect });
      }
      if (pkcs11Token === undefined) {
        throw new TypeError("a configuration with a PKCS#11 token came without it");
      }
      return certTokenLoginMethod({ ...common, connect: (chain) => connectWithToken(pkcs11Token, chain) });
    }
  }
}

type JwtCredential = Extract<ProviderConfig["auth"], { method: "jwt" }>["jwt"]["credential"];

async function jwtSourceOf(
  credential: JwtCredential,
  { config, clock, serviceUid, credentialObserver }: TransitAccessOptions,
): Promise<JwtSource> {
  const common = {
    clock,
    timeoutMs: config.openbao.timeout,
    ...(credentialObserver === undefined ? {} : { observer: credentialObserver }),
  };
  switch (credential.source) {
    case "file":
      return jwtFileSource(credential.jwtFile, serviceUid);
    case "oauth2": {
      const { caCertFile, ...client } = credential;
      const caField = "auth.jwt.oauth2.caCertFile";
      const tokenUrlField = "auth.jwt.oauth2.tokenUrl";
      return oauth2Source({
        ...client,
        ...common,
        serviceUid,
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
      });
    }
    case "spiffe":
      return spiffeSource({ ...credential, ...common });
  }
}
