/** @module The CA bundle that servers are verified against, and its replacement while the provider runs. */
import { ProviderError } from "../base/error-class.ts";
import { decodePemCertificates } from "../base/pem-certificates.ts";
import { type FileIdentity, isSameFile, readSafeFile } from "../base/safe-file.ts";
import { singleFlight } from "../base/single-flight.ts";

export class CaFileError extends ProviderError<"ca_invalid"> {}

/** A bundle of all public CAs has about 150 certificates and 250 KB. */
const MAX_BYTES = 1 << 20;
const MAX_CERTIFICATES = 1024;

export type CaFile = Awaited<ReturnType<typeof openCaFile>>;

interface CaFileOptions {
  readonly path: string;
  /** The configuration field that names it, for messages. */
  readonly field: string;
  readonly serviceUid: number;
}

/** Opens the bundle for the first time. @throws SafeFileError or CaFileError with the field, the path and the fix. */
export async function openCaFile({ path, field, serviceUid }: CaFileOptions) {
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
        message: `${field}: the CA bundle ${path} has no certificate, or a damaged or truncated one`,
        advice: `write the root CA of the server's certificate there as PEM; check it: openssl x509 -in ${path} -noout -subject -dates`,
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
    /** The certificates of the last good read, PEM, nothing else. */
    pem: () => current.pem,
    /** Reads the file again; true when its certificates have changed. @throws when it is unusable; {@link pem} then stays as it was. */
    refresh: singleFlight(async () => {
      const { bytes, identity } = await read();
      // It is looked at every few seconds, and a bundle of all public CAs takes a while to decode.
      if (isSameFile(identity, current.identity)) {
        return false;
      }
      const pem = decode(bytes);
      const changed = pem !== current.pem;
      current = { identity, pem };
      return changed;
    }),
  };
}

/** The bundle's certificates as PEM; `undefined` when there is none, or one of them is broken or cut off. */
export function decodeCaBundle(bytes: Uint8Array): string | undefined {
  return decodePemCertificates(bytes, { maxBytes: MAX_BYTES, maxCertificates: MAX_CERTIFICATES })?.join("");
}
