/** @module A registry record as one byte sequence, with its hash. Nothing that decode.ts would refuse is ever encoded. */
import { createHash } from "node:crypto";
import { sortedCopy } from "../../base/sorted-copy.ts";
import { RegistryError } from "./errors.ts";
import { recordProblem } from "./invariants.ts";
import { MAX_REGISTRY_BYTES, type RegistryRecord } from "./record.ts";

export const REGISTRY_FORMAT = "bao-kms-provider.registry";
export const REGISTRY_FORMAT_VERSION = 1;

/** The self hash: over format, format version and the sorted body. */
export function bodyHash(sortedBody: unknown): string {
  return createHash("sha256")
    .update(`${REGISTRY_FORMAT}\0${REGISTRY_FORMAT_VERSION}\0`)
    .update(JSON.stringify(sortedBody))
    .digest("base64url");
}

/** The file's text. Format and hash come first, so that even a torn file says whose it is. */
export function fileText(hash: string, sortedBody: unknown): string {
  return `${JSON.stringify(
    { format: REGISTRY_FORMAT, formatVersion: REGISTRY_FORMAT_VERSION, hash, body: sortedBody },
    null,
    2,
  )}\n`;
}

/** @throws RegistryError `registry_invariant` or `registry_too_large`; both mean that nothing may be written. */
export function encodeRecord(record: RegistryRecord): { readonly bytes: Uint8Array; readonly hash: string } {
  const problem = recordProblem(record);
  if (problem !== undefined) {
    throw new RegistryError({
      code: "registry_invariant",
      message: `a registry that breaks its own rules was not written: ${problem}`,
      advice: "report this as a defect; the state on disk is unchanged",
    });
  }
  const body = sortedCopy(record);
  const hash = bodyHash(body);
  const bytes = Buffer.from(fileText(hash, body), "utf8");
  if (bytes.length > MAX_REGISTRY_BYTES) {
    throw new RegistryError({
      code: "registry_too_large",
      message: `the registry would grow beyond ${MAX_REGISTRY_BYTES} bytes with ${record.versions.length} versions`,
      advice: "rotate the key less often; the state on disk is unchanged",
    });
  }
  return { bytes, hash };
}
