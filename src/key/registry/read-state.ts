/** @module Reads registry and checkpoint and judges them together, without the lock: only what two reads agree on counts. */
import { dirname } from "node:path";
import { errnoOf } from "../../base/errno.ts";
import { IDENTITY_FIELDS, type IdentityHashes } from "../identity/fingerprint.ts";
import { decodeCheckpoint, judgeByCheckpoint } from "./checkpoint.ts";
import { decodeRecord } from "./encoding.ts";
import { RegistryError, refusal } from "./errors.ts";
import { syncDirectoryOf } from "./file-system.ts";
import type { RegistryRecord } from "./record.ts";
import { checkStateDirectory, readStateFile, type StateFile, type StateOptions } from "./state-files.ts";

export interface StoredRecord {
  readonly record: RegistryRecord;
  readonly hash: string;
  /** `behind` after a crash between the two files; the next write repairs it. */
  readonly checkpoint: "current" | "behind";
  readonly fileIdentity: string | undefined;
}

export type StateOnDisk =
  | { readonly kind: "missing" }
  | { readonly kind: "found"; readonly stored: StoredRecord };

/** Two writers in a row between two reads are rare; so many of them are not writers. */
const MAX_READS = 8;

/**
 * What is on disk, made durable before it is returned (`write` access), so that nothing that was shown can be lost by a
 * power cut.
 * @throws RegistryError with a refusal code; nothing on disk was changed.
 */
export async function readState(options: StateOptions): Promise<StateOnDisk> {
  const directory = await checkStateDirectory(options);
  let previous: string | undefined;
  for (let reads = 1; ; reads += 1) {
    const checkpoint = await readStateFile(options, "checkpoint", directory);
    const registry = await readStateFile(options, "registry", directory);
    try {
      const state = judge(options, registry, checkpoint);
      if (state.kind === "found" && options.access === "write") {
        await syncDirectory(options);
      }
      return state;
    } catch (error) {
      // A writer may have come between the two reads: only what two rounds agree on is refused.
      const seen = `${registry?.facts.identity} ${checkpoint?.facts.identity}`;
      if (seen === previous || reads === MAX_READS || !(error instanceof RegistryError)) {
        throw error;
      }
      previous = seen;
    }
  }
}

function judge(
  { statePath, identity }: StateOptions,
  registry: StateFile | undefined,
  checkpointFile: StateFile | undefined,
): StateOnDisk {
  const decoded = registry === undefined ? undefined : decodeRecord(registry.bytes);
  if (decoded?.kind === "refused") {
    throw refusal(decoded.code, statePath, decoded.detail);
  }
  const checkpoint = checkpointFile === undefined ? undefined : decodeCheckpoint(checkpointFile.bytes);
  if (checkpoint?.kind === "refused") {
    throw refusal(checkpoint.code, statePath);
  }
  if (decoded === undefined || registry === undefined) {
    if (checkpoint !== undefined) {
      throw refusal("registry_lost", statePath);
    }
    return { kind: "missing" };
  }
  const { record, hash } = decoded;
  checkIdentity(statePath, identity, record);
  const verdict = judgeByCheckpoint(record, hash, checkpoint?.checkpoint);
  if (verdict === "current" || verdict === "behind") {
    return {
      kind: "found",
      stored: { record, hash, checkpoint: verdict, fileIdentity: registry.facts.identity },
    };
  }
  throw refusal(
    verdict,
    statePath,
    verdict === "registry_rolled_back"
      ? `generation ${record.generation}, checkpoint ${checkpoint?.checkpoint.generation}`
      : `registry generation ${record.generation}`,
  );
}

function checkIdentity(statePath: string, identity: IdentityHashes, record: RegistryRecord): void {
  const changed = IDENTITY_FIELDS.filter((field) => record.identity[field] !== identity[field]);
  if (changed.length === 0) {
    return;
  }
  const names = changed.map((field) => CONFIG_FIELDS[field]).join(", ");
  throw new RegistryError({
    code: "registry_other_identity",
    message: `state.path: ${statePath} belongs to another configuration: ${names} ${changed.length === 1 ? "differs" : "differ"} from when it was made`,
    advice: `restore the earlier values of ${names}; if you use another key on purpose, set state.path to another file`,
  });
}

const CONFIG_FIELDS: Readonly<Record<keyof IdentityHashes, string>> = {
  providerName: "transit.keyIdScope.providerName",
  clusterId: "transit.keyIdScope.clusterId",
  openbaoInstanceId: "openbao.instanceId",
  openbaoNamespace: "openbao.namespace",
  transitMountId: "transit.keyIdScope.transitMountId",
  keyLineageId: "transit.keyIdScope.keyLineageId",
  keyName: "transit.keyName",
};

/** A rename that a crashed writer left unsynced must not be undone by a power cut after it was shown. */
async function syncDirectory({ files, statePath }: StateOptions): Promise<void> {
  try {
    await syncDirectoryOf(files, statePath);
  } catch (error) {
    // On a file system that is read-only nothing waits to be written, and some refuse to say so.
    if (errnoOf(error) === "EROFS") {
      return;
    }
    throw new RegistryError({
      code: "registry_unreadable",
      message: `state.path: ${dirname(statePath)} cannot be made durable (${errnoOf(error) ?? "unknown error"})`,
      advice: "see the kernel log for errors of the disk or file system under the state directory",
      cause: error,
    });
  }
}
