/**
 * @module Login with a client certificate whose key stays in a PKCS#11 token.
 * @see https://openbao.org/api-docs/auth/cert/#login-with-tls-certificate
 */
import type { Clock } from "../../base/clock.ts";
import { readSafeFile } from "../../base/safe-file.ts";
import { Secret } from "../../base/secret.ts";
import type { OpenBao } from "../client/client.ts";
import {
  type CertificateChain,
  type CertificateRules,
  certificateError,
  certificateProblem,
  chainError,
  decodeChain,
  MAX_CHAIN_BYTES,
} from "./client-certificate.ts";
import type { LoginMethod } from "./login-method.ts";

export interface CertTokenMethodOptions {
  readonly mountPath: string;
  /** The role; empty lets OpenBao find it. */
  readonly name: string;
  readonly certificateFile: string;
  readonly rules: CertificateRules;
  readonly serviceUid: number;
  readonly clock: Pick<Clock, "wallMs">;
  /** A connection to OpenBao that presents the certificate; the chain as DER, leaf first. */
  readonly connect: (chain: readonly Uint8Array[]) => OpenBao;
}

const FIELD = "auth.cert.pkcs11.certificateFile";

export function certTokenLoginMethod(options: CertTokenMethodOptions): LoginMethod {
  const { mountPath, name, connect } = options;
  return {
    name: "cert",
    operation: "cert_login",
    mountPath,
    repeatable: true,
    renewal: "login",
    inspect: async () => ({ expiresAtMs: (await readTokenChain(options))[0].validToDate.getTime() }),
    prepare: async () => {
      const chain = await readTokenChain(options);
      return {
        body: new Secret(JSON.stringify(name === "" ? {} : { name })),
        credentialExpiresAtMs: chain[0].validToDate.getTime(),
        via: connect(chain.map(({ raw }) => raw)),
      };
    },
  };
}

/**
 * The chain of the token's key, read and checked. That the token's key is the certificate's is proved by a signature later.
 * @throws SafeFileError or AuthError with the field, the path and the fix.
 */
export async function readTokenChain({
  certificateFile,
  rules,
  serviceUid,
  clock,
}: Pick<
  CertTokenMethodOptions,
  "certificateFile" | "rules" | "serviceUid" | "clock"
>): Promise<CertificateChain> {
  const what = `${FIELD}: the certificate in ${certificateFile}`;
  const { bytes } = await readSafeFile(certificateFile, {
    what: "the certificate chain",
    field: FIELD,
    maxBytes: MAX_CHAIN_BYTES,
    secret: false,
    serviceUid,
    errorClass: "auth_failed",
  });
  const chain = decodeChain(bytes);
  if (chain === undefined) {
    throw chainError(what, certificateFile);
  }
  const problem = certificateProblem(chain, chain[0].publicKey, rules, clock.wallMs());
  if (problem !== undefined) {
    throw certificateError(problem, what, rules);
  }
  return chain;
}
