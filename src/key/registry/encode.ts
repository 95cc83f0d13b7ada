/** @module A registry record as bytes. Nothing that decode.ts would refuse is ever encoded. */
import { sortedCopy } from "../../base/sorted-copy.ts";
import { bodyHash, fileText } from "./canonical.ts";
import { RegistryError } from "./errors.ts";
import { recordProblem } from "./invariants.ts";
import { MAX_REGISTRY_BYTES, type RegistryRecord } from "./record.ts";

interface EncodedRecord {
  readonly bytes: Uint8Array;
  readonly hash: string;
}

/** @throws RegistryError `registry_invariant` or `registry_too_large`; both mean that nothing may be written. */
export function encodeRecord(record: RegistryRecord): EncodedRecord {
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
