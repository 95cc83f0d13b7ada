/**
 * The CA bundle that servers are verified against, and its replacement while we run.
 *
 * @module Reads, checks and re-reads the file. A bundle that turns bad is reported and the last good one stays in use, so
 * that a half-written file cannot cut a running provider off. Who verifies with it: https.ts.
 */
import { X509Certificate } from "node:crypto";
import { ProviderError } from "../base/error-class.ts";
import { type FileIdentity, readSafeFile } from "../base/safe-file.ts";
import { singleFlight } from "../base/single-flight.ts";

export class CaFileError extends ProviderError<"ca_invalid"> {}

/** One certificate in PEM (RFC 7468); text around the blocks, as many bundles have it, is skipped. */
const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

/** A bundle of all public CAs has about 250 KB. */
const MAX_BYTES = 1 << 20;

export interface CaFile {
  /** The certificates of the last good read, PEM, nothing else. */
  readonly pem: () => string;
  /**
   * Reads the file again; true when its certificates are other ones than before.
   * @throws SafeFileError or CaFileError when it is unusable now; {@link pem} then stays as it was.
   */
  readonly refresh: () => Promise<boolean>;
}

export interface CaFileOptions {
  readonly path: string;
  /** The configuration field that names it, for messages. */
  readonly field: string;
  readonly serviceUid: number;
}

/**
 * Opens the bundle for the first time.
 * @throws SafeFileError or CaFileError with the field, the path and the mend.
 */
export async function openCaFile({ path, field, serviceUid }: CaFileOptions): Promise<CaFile> {
  const read = () =>
    readSafeFile(path, {
      what: "the CA bundle",
      field,
      maxBytes: MAX_BYTES,
      secret: false,
      serviceUid,
      errorClass: "config_invalid",
    });
  const decode = (bytes: Uint8Array): string => {
    const pem = decodeCaBundle(bytes);
    if (pem === undefined) {
      throw new CaFileError({
        code: "ca_invalid",
        errorClass: "config_invalid",
        message: `${field}: the CA bundle ${path} holds no certificate, or one that cannot be parsed`,
        advice: `put the root CA of the server's certificate there as PEM; look at it with: openssl x509 -in ${path} -noout -subject -dates`,
      });
    }
    return pem;
  };

  const first = await read();
  let current: { readonly identity: FileIdentity; readonly pem: string } = {
    identity: first.identity,
    pem: decode(first.bytes),
  };

  return {
    pem: () => current.pem,
    refresh: singleFlight(async () => {
      const { bytes, identity } = await read();
      if (sameFile(identity, current.identity)) {
        return false;
      }
      const pem = decode(bytes);
      const changed = pem !== current.pem;
      current = { identity, pem };
      return changed;
    }),
  };
}

/** The bundle's certificates as PEM; `undefined` when there is none, or one of them is not a certificate. */
export function decodeCaBundle(bytes: Uint8Array): string | undefined {
  if (bytes.length > MAX_BYTES) {
    return undefined;
  }
  const blocks = new TextDecoder("latin1").decode(bytes).match(PEM_CERTIFICATE) ?? [];
  try {
    const pems = blocks.map((block) => new X509Certificate(block).toString());
    return pems.length === 0 ? undefined : pems.join("");
  } catch {
    return undefined;
  }
}

function sameFile(a: FileIdentity, b: FileIdentity): boolean {
  return a.inode === b.inode && a.changedNs === b.changedNs && a.sizeBytes === b.sizeBytes;
}
