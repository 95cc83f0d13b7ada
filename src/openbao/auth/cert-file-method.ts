/**
 * @module Login with a client certificate whose key is in a file.
 * @see https://openbao.org/api-docs/auth/cert/#login-with-tls-certificate
 */
import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import type { Clock } from "../../base/clock.ts";
import { readSafeFile } from "../../base/safe-file.ts";
import { Secret } from "../../base/secret.ts";
import type { OpenBao } from "../client/client.ts";
import {
  type CertificateRules,
  certificateError,
  certificateProblem,
  chainError,
  decodeChain,
  MAX_CHAIN_BYTES,
} from "./client-certificate.ts";
import { AuthError } from "./errors.ts";
import type { LoginMethod } from "./login-method.ts";

/** A connection to OpenBao with a client certificate; closed after the login. */
export interface CertifiedConnection {
  readonly openbao: OpenBao;
  readonly close: () => void;
}

export interface CertFileMethodOptions {
  readonly mountPath: string;
  /** The role; empty lets OpenBao find it. */
  readonly name: string;
  readonly certificateFile: string;
  readonly privateKeyFile: string;
  readonly rules: CertificateRules;
  readonly serviceUid: number;
  readonly clock: Pick<Clock, "wallMs">;
  readonly connect: (identity: { readonly chainPem: string; readonly keyPem: Secret }) => CertifiedConnection;
}

const CERTIFICATE_FIELD = "auth.cert.certificateFile";
const KEY_FIELD = "auth.cert.privateKeyFile";

const PRIVATE_KEY = /-----BEGIN ((?:[A-Z]+ )?PRIVATE KEY)-----[\s\S]+?-----END \1-----/;

export function certFileLoginMethod(options: CertFileMethodOptions): LoginMethod {
  const { mountPath, name, certificateFile, privateKeyFile, rules, serviceUid, clock, connect } = options;
  const read = (path: string, field: string, what: string, secret: boolean) =>
    readSafeFile(path, {
      what,
      field,
      maxBytes: MAX_CHAIN_BYTES,
      secret,
      serviceUid,
      errorClass: "auth_failed",
    });

  const identity = async () => {
    const what = `${CERTIFICATE_FIELD}: the certificate in ${certificateFile}`;
    const key = (await read(privateKeyFile, KEY_FIELD, "the private key", true)).bytes;
    // One file with both, as kubelet keeps it, is read once: it may be replaced between two reads.
    const chainBytes =
      certificateFile === privateKeyFile
        ? key
        : (await read(certificateFile, CERTIFICATE_FIELD, "the certificate chain", false)).bytes;
    const chain = decodeChain(chainBytes);
    const text = new TextDecoder("latin1").decode(key);
    const keyPem = new Secret(PRIVATE_KEY.exec(text)?.[0] ?? "");
    key.fill(0);
    if (chain === undefined) {
      throw chainError(what, certificateFile);
    }
    const problem = certificateProblem(chain, publicPart(keyPem, privateKeyFile), rules, clock.wallMs());
    if (problem !== undefined) {
      throw certificateError(problem, what, rules);
    }
    return { chain, keyPem };
  };

  return {
    name: "cert",
    operation: "cert_login",
    mountPath,
    repeatable: true,
    renewal: "login",
    inspect: async () => ({ expiresAtMs: (await identity()).chain[0].validToDate.getTime() }),
    prepare: async () => {
      const { chain, keyPem } = await identity();
      const { openbao, close } = connect({ chainPem: chain.map(String).join(""), keyPem });
      const [leaf] = chain;
      return {
        body: new Secret(JSON.stringify(name === "" ? {} : { name })),
        credentialExpiresAtMs: leaf.validToDate.getTime(),
        via: openbao,
        release: close,
      };
    },
  };
}

function publicPart(keyPem: Secret, path: string): KeyObject {
  try {
    return createPublicKey(createPrivateKey(keyPem.expose()));
  } catch {
    // The cause may quote the key.
    throw new AuthError({
      code: "certificate_malformed",
      errorClass: "auth_failed",
      message: `${KEY_FIELD}: ${path} contains no PEM private key without a passphrase`,
      advice: `check it: openssl pkey -in ${path} -noout -check`,
    });
  }
}
