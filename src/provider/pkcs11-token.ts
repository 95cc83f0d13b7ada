/** @module From `auth.cert.pkcs11` in the configuration to the PKCS#11 token. */
import { dirname, join } from "node:path";
import type { Clock } from "../base/clock.ts";
import { HIDDEN, selfCommand } from "../base/self-command.ts";
import { moduleEnvironment } from "../config/module-environment.ts";
import type { ProviderConfig } from "../config/schema.ts";
import { readTokenChain } from "../openbao/auth/cert-method.ts";
import { type HelperStart, helperProcess } from "../pkcs11/helper-process.ts";
import { loginRecord } from "../pkcs11/login-record.ts";
import { type Pkcs11Token, pkcs11Token } from "../pkcs11/token.ts";

interface Pkcs11Options {
  readonly config: Pick<ProviderConfig, "auth" | "openbao" | "state">;
  readonly serviceUid: number;
  readonly clock: Clock;
}

const RECORD_NAME = "pkcs11-login.db";

/** The PKCS#11 token of a configuration; `undefined` when it has none. Touches nothing yet. */
export function pkcs11TokenOf(
  { config, serviceUid, clock }: Pkcs11Options,
  helper: HelperStart = {
    command: selfCommand([HIDDEN.pkcs11Helper]),
    environment: moduleEnvironment(),
  },
): Pkcs11Token | undefined {
  const { auth, openbao, state } = config;
  if (auth.method !== "cert" || auth.cert.credential.source !== "pkcs11") {
    return undefined;
  }
  const { modulePath, tokenLabel, keyLabel, maxSessions, pinFile } = auth.cert.credential;
  const recordPath = join(dirname(state.path), RECORD_NAME);
  return pkcs11Token({
    token: { modulePath, tokenLabel, keyLabel, maxSessions },
    pinFile,
    serviceUid,
    serverName: openbao.tlsServerName,
    recordPath,
    holdRecord: loginRecord(recordPath, clock),
    runHelper: helperProcess({ ...helper, clock }),
    clock,
  });
}

/** @returns `undefined` when the configuration has no PKCS#11 token. */
export function pkcs11Checks(token: Pkcs11Token | undefined, { config, serviceUid, clock }: Pkcs11Options) {
  const { auth } = config;
  if (token === undefined || auth.method !== "cert") {
    return undefined;
  }
  const { credential, minRemainingTtl, clockSkewLeeway } = auth.cert;
  const timeoutMs = auth.loginTimeout;
  return {
    /** The module loads and the token is there; it is given no PIN. */
    inspect: (signal: AbortSignal) => token.inspect({ signal, timeoutMs }),
    /** One login to the token, and one signature, that the certificate's public key verifies. */
    prove: async (signal: AbortSignal) => {
      const chain = await readTokenChain({
        certificateFile: credential.certificateFile,
        rules: { minRemainingTtlMs: minRemainingTtl, leewayMs: clockSkewLeeway },
        serviceUid,
        clock,
      });
      await token.prove(
        chain.map(({ raw }) => raw),
        { signal, timeoutMs },
      );
    },
  };
}
