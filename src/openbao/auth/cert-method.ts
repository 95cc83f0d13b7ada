/** @module Login with a client certificate (openbao.org/api-docs/auth/cert), its key in a file or a PKCS#11 token. */
import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import type { Clock } from "../../base/clock.ts";
import { readSafeFile, type SafeFileRules } from "../../base/safe-file.ts";
import { Secret } from "../../base/secret.ts";
import type { OpenBaoClient } from "../client/client.ts";
import {
  type CertificateChain,
  type CertificateRules,
  certificateError,
  certificateProblem,
  chainError,
  decodeChain,
  MAX_CHAIN_BYTES,
} from "./client-certificate.ts";
import { AuthError } from "./errors.ts";
import type { LoginMethod } from "./login-method.ts";

/** A connection on which a client certificate is shown; closed after the login. */
export interface CertifiedConnection {
  readonly openbao: OpenBaoClient;
  readonly close?: () => void;
}

interface ChainOptions {
  readonly certificateFile: string;
  readonly rules: CertificateRules;
  readonly serviceUid: number;
  readonly clock: Pick<Clock, "wallMs">;
}

interface CertMethodOptions extends ChainOptions {
  readonly mountPath: string;
  /** The role; empty lets OpenBao find it. */
  readonly name: string;
}

const CERTIFICATE_FIELD = "auth.cert.certificateFile";
const KEY_FIELD = "auth.cert.privateKeyFile";
const TOKEN_CERTIFICATE_FIELD = "auth.cert.pkcs11.certificateFile";

const PRIVATE_KEY = /-----BEGIN ((?:[A-Z]+ )?PRIVATE KEY)-----[\s\S]+?-----END \1-----/;

export function certFileLoginMethod(
  options: CertMethodOptions & {
    readonly privateKeyFile: string;
    readonly connect: (identity: {
      readonly chainPem: string;
      readonly keyPem: Secret;
    }) => CertifiedConnection;
  },
): LoginMethod {
  const { certificateFile, privateKeyFile, serviceUid, connect } = options;
  return certLoginMethod(
    options,
    async () => {
      const key = await read(privateKeyFile, {
        field: KEY_FIELD,
        what: "the private key",
        secret: true,
        serviceUid,
      });
      // One file with both, as kubelet keeps it, is read once: it may be replaced between two reads.
      const chainBytes =
        certificateFile === privateKeyFile ? key : await readChainFile(CERTIFICATE_FIELD, options);
      const chain = decodeChain(chainBytes);
      const keyPem = new Secret(PRIVATE_KEY.exec(new TextDecoder("latin1").decode(key))?.[0] ?? "");
      key.fill(0);
      const checked = checkedChain(chain, CERTIFICATE_FIELD, options, () =>
        publicPart(keyPem, privateKeyFile),
      );
      return { chain: checked, keyPem };
    },
    ({ chain, keyPem }) => connect({ chainPem: chain.map(String).join(""), keyPem }),
  );
}

/** `connect` takes the chain as DER, leaf first. */
export function certTokenLoginMethod(
  options: CertMethodOptions & { readonly connect: (chain: readonly Uint8Array[]) => CertifiedConnection },
): LoginMethod {
  return certLoginMethod(
    options,
    async () => ({ chain: await readTokenChain(options) }),
    ({ chain }) => options.connect(chain.map(({ raw }) => raw)),
  );
}

/** The chain of the token's key, read and checked; a signature proves later that the two match. @throws SafeFileError or AuthError. */
export async function readTokenChain(options: ChainOptions): Promise<CertificateChain> {
  const chain = decodeChain(await readChainFile(TOKEN_CERTIFICATE_FIELD, options));
  return checkedChain(chain, TOKEN_CERTIFICATE_FIELD, options, ([leaf]) => leaf.publicKey);
}

function certLoginMethod<Identity extends { readonly chain: CertificateChain }>(
  { mountPath, name }: CertMethodOptions,
  identity: () => Promise<Identity>,
  connect: (identity: Identity) => CertifiedConnection,
): LoginMethod {
  const expiryOf = ({ chain: [leaf] }: Identity): number => leaf.validToDate.getTime();
  return {
    name: "cert",
    operation: "cert_login",
    mountPath,
    repeatable: true,
    renewal: "login",
    inspect: async () => ({ expiresAtMs: expiryOf(await identity()) }),
    prepare: async () => {
      const own = await identity();
      const { openbao, close } = connect(own);
      return {
        body: new Secret(JSON.stringify(name === "" ? {} : { name })),
        credentialExpiresAtMs: expiryOf(own),
        loginClient: openbao,
        release: close,
      };
    },
  };
}

async function read(
  path: string,
  rules: Pick<SafeFileRules, "field" | "what" | "secret" | "serviceUid">,
): Promise<Uint8Array> {
  return (await readSafeFile(path, { ...rules, maxBytes: MAX_CHAIN_BYTES, errorClass: "auth_failed" })).bytes;
}

function readChainFile(field: string, { certificateFile, serviceUid }: ChainOptions): Promise<Uint8Array> {
  return read(certificateFile, { field, what: "the certificate chain", secret: false, serviceUid });
}

function checkedChain(
  chain: CertificateChain | undefined,
  field: string,
  { certificateFile, rules, clock }: ChainOptions,
  publicKeyOf: (chain: CertificateChain) => KeyObject,
): CertificateChain {
  const what = `${field}: the certificate in ${certificateFile}`;
  if (chain === undefined) {
    throw chainError(what, certificateFile);
  }
  const problem = certificateProblem(chain, publicKeyOf(chain), rules, clock.wallMs());
  if (problem !== undefined) {
    throw certificateError(problem, what, rules);
  }
  return chain;
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
