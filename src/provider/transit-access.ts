/** @module From a configuration to an authenticated Transit client, for daemon and commands. Contacts nothing. */
import type { Clock } from "../base/clock.ts";
import type { ProviderConfig } from "../config/schema.ts";
import { openCaFile } from "../http/ca-file.ts";
import { createHttpTransport, type HttpTransport } from "../http/https.ts";
import { type AuthenticatedClient, createAuthenticatedClient } from "../openbao/auth/authenticated-client.ts";
import type { CredentialObserver } from "../openbao/auth/jwt-method.ts";
import type { LoginMethod } from "../openbao/auth/login-method.ts";
import { pkcs11Transport } from "../openbao/auth/pkcs11-transport.ts";
import { type SessionObserver, TokenSession } from "../openbao/auth/session.ts";
import { createOpenBao, inNamespace, type OpenBao, type OpenBaoObserver } from "../openbao/client/client.ts";
import { createTransitClient, type TransitClient } from "../openbao/transit/client.ts";
import type { Pkcs11Token } from "../pkcs11/token.ts";
import { loginMethodOf } from "./auth-method.ts";
import { type HelperStart, pkcs11TokenOf } from "./pkcs11-token.ts";

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

export interface TransitAccess {
  readonly transport: HttpTransport;
  readonly pkcs11Token: Pkcs11Token | undefined;
  readonly openbao: OpenBao;
  readonly authBao: OpenBao;
  readonly method: LoginMethod;
  readonly session: TokenSession;
  readonly client: AuthenticatedClient;
  readonly transit: TransitClient;
}

/** What messages call the connection to OpenBao and its fields. */
export const OPENBAO_NAMES = {
  what: "OpenBao",
  addressField: "openbao.address",
  caField: "openbao.caCertFile",
  serverNameField: "openbao.tlsServerName",
} as const;

/** @throws SafeFileError or CaFileError when the CA bundle cannot be used. */
export async function openTransitAccess(options: TransitAccessOptions): Promise<TransitAccess> {
  const { config, clock, random, serviceUid, sessionObserver, onTrustProblem } = options;
  const { auth, openbao: server, transit: key } = config;
  const [first, ...others] = server.addresses;
  if (first === undefined) {
    throw new TypeError("a configuration without an OpenBao address escaped its schema");
  }
  const addresses = [first, ...others] as const;
  const transportOptions = {
    names: OPENBAO_NAMES,
    trust: await openCaFile({ path: server.caCertFile, field: OPENBAO_NAMES.caField, serviceUid }),
    serverName: server.tlsServerName,
    clock,
    ...(onTrustProblem === undefined ? {} : { onTrustProblem }),
  };
  const callObserver = options.openbaoObserver?.(addresses) ?? {};
  const openBaoOn = (
    transport: HttpTransport,
    observer: OpenBaoObserver,
    namespace: string = auth.namespace,
  ): OpenBao =>
    createOpenBao({
      transport,
      clock,
      addresses,
      namespace,
      timeoutMs: server.timeout,
      observer,
    });
  // The circuit of such a connection lives for one login only, so its state is not shown.
  const loginObserver: OpenBaoObserver =
    callObserver.onCall === undefined ? {} : { onCall: callObserver.onCall };
  const transport = createHttpTransport(transportOptions);
  const openbao = openBaoOn(transport, callObserver, server.namespace);
  const authBao = inNamespace(openbao, auth.namespace);
  const pkcs11Token = pkcs11TokenOf({ config, serviceUid, clock }, options.helper);
  const method = await loginMethodOf({
    auth,
    clock,
    serviceUid,
    timeoutMs: server.timeout,
    connect: (identity) => {
      const certified = createHttpTransport({ ...transportOptions, identity });
      return { openbao: openBaoOn(certified, loginObserver), close: certified.close };
    },
    connectWithToken: (token, chain) => {
      const { names, trust } = transportOptions;
      return openBaoOn(pkcs11Transport({ token, chain, trust, names }), loginObserver);
    },
    pkcs11Token,
    credentialObserver: options.credentialObserver,
  });
  const session = new TokenSession({
    openbao: authBao,
    method,
    clock,
    random,
    loginBeforeExpiryMs: auth.loginBeforeTokenExpiry,
    renewalIncrementMs: auth.tokenRenewalIncrement,
    loginTimeoutMs: auth.loginTimeout,
    callTimeoutMs: server.timeout,
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
    transit: createTransitClient(client, { mountPath: key.mountPath, keyName: key.keyName }),
  };
}
