/** @module The checkpoint beside a registry: how far the registry had come, so that an older copy of it is noticed. */
import * as v from "valibot";
import { decodeUtf8, parseJson } from "../../base/parse-json.ts";
import { HASH, isOfGo } from "./encoding.ts";
import type { RegistryRecord } from "./record.ts";

export interface Checkpoint {
  readonly generation: number;
  readonly hash: string;
}

const CHECKPOINT_FORMAT = "bao-kms-provider.registry-checkpoint";
export const MAX_CHECKPOINT_BYTES = 4096;

const SHAPE = v.strictObject({
  format: v.literal(CHECKPOINT_FORMAT),
  formatVersion: v.literal(1),
  generation: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  hash: HASH,
});

export function encodeCheckpoint({ generation, hash }: Checkpoint): Uint8Array {
  return Buffer.from(
    `${JSON.stringify({ format: CHECKPOINT_FORMAT, formatVersion: 1, generation, hash }, null, 2)}\n`,
  );
}

type DecodedCheckpoint =
  | { readonly kind: "checkpoint"; readonly checkpoint: Checkpoint }
  | { readonly kind: "refused"; readonly code: "checkpoint_damaged" | "checkpoint_of_go" };

export function decodeCheckpoint(bytes: Uint8Array): DecodedCheckpoint {
  const text = bytes.length > MAX_CHECKPOINT_BYTES ? undefined : decodeUtf8(bytes);
  const value = text === undefined ? undefined : parseJson(text);
  if (isOfGo(value)) {
    return { kind: "refused", code: "checkpoint_of_go" };
  }
  const shape = v.safeParse(SHAPE, value);
  return shape.success && text === Buffer.from(encodeCheckpoint(shape.output)).toString()
    ? { kind: "checkpoint", checkpoint: { generation: shape.output.generation, hash: shape.output.hash } }
    : { kind: "refused", code: "checkpoint_damaged" };
}

type CheckpointVerdict =
  | "current"
  /** A crash came between registry and checkpoint; the next write repairs it first. */
  | "behind"
  | "checkpoint_missing"
  | "registry_rolled_back"
  | "checkpoint_disagrees";

/** A registry is accepted at its checkpoint or exactly one step after it; before its first checkpoint only as the first. */
export function judgeByCheckpoint(
  record: RegistryRecord,
  hash: string,
  checkpoint: Checkpoint | undefined,
): CheckpointVerdict {
  if (checkpoint === undefined) {
    return record.generation === 1 ? "behind" : "checkpoint_missing";
  }
  if (record.generation < checkpoint.generation) {
    return "registry_rolled_back";
  }
  if (record.generation === checkpoint.generation && hash === checkpoint.hash) {
    return "current";
  }
  return record.generation === checkpoint.generation + 1 && record.previousHashes.at(-1) === checkpoint.hash
    ? "behind"
    : "checkpoint_disagrees";
}
