/** @module The registry on disk. Its rename is the moment of a change; the checkpoint is at most one step behind. */
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint, judgeByCheckpoint } from "./checkpoint.ts";
import { encodeRecord } from "./encoding.ts";
import { asWriteFailure, RegistryError, refusal } from "./errors.ts";
import { removeFile, replaceFile } from "./file-system.ts";
import { readState, type StateOnDisk, type StoredRecord } from "./read-state.ts";
import {
  checkpointPath,
  MAX_CHAIN,
  type RegistryContent,
  type RegistryRecord,
  successorProblem,
} from "./record.ts";
import { checkStateDirectory, readStateFile, type StateOptions } from "./state-files.ts";
import { type LockOptions, takeLock } from "./writer-lock.ts";

export type RegistryStoreOptions = StateOptions & LockOptions;

interface Committed {
  readonly stored: StoredRecord;
  /** The change is durable, but its checkpoint could not be written; the next write repairs that. */
  readonly checkpointError?: RegistryError;
}

export interface RegistryStore {
  /** @throws RegistryError with a refusal code. */
  load(): Promise<StateOnDisk>;
  /**
   * The record on disk when it descends from `base`, or `base` itself when nothing has changed.
   * @throws RegistryError `registry_diverged` when it does not descend from it, `registry_lost` when it is gone, and
   * whatever {@link load} throws. The caller stays with `base`.
   */
  follow(base: StoredRecord): Promise<StoredRecord>;
  /**
   * Writes the successor of `base`, or the first record when there is none.
   * @throws RegistryError `registry_changed` when another process wrote since `base` (follow, decide anew), a failure code
   * when it could not be written. After a failure the disk holds the old or the new record.
   */
  commit(base: StoredRecord | undefined, content: RegistryContent, signal: AbortSignal): Promise<Committed>;
  /**
   * Writes `base` again where its file was removed under a running provider, which still knows it. Only while no
   * checkpoint says that others came further.
   * @throws RegistryError `registry_changed` or `checkpoint_disagrees` when it is not so; a failure code as for commit.
   */
  writeAgain(base: StoredRecord, signal: AbortSignal): Promise<StoredRecord>;
  /**
   * Begins a new history where the registry was lost: its file must be gone, whatever checkpoint was left is replaced.
   * @throws RegistryError `registry_changed` when there is a registry, whatever it is; a failure code as for commit.
   */
  rebuild(content: RegistryContent, signal: AbortSignal): Promise<Committed>;
}

export function createRegistryStore(options: RegistryStoreOptions): RegistryStore {
  const load = (): Promise<StateOnDisk> => readState(options);
  return {
    load,
    follow: async (base) => {
      const identity = await fileIdentity(options);
      const isUnchanged = identity !== undefined && identity === base.fileIdentity;
      return isUnchanged ? base : successorOf(options, base, await load());
    },
    commit: (base, content, signal) => asWriter(options, signal, () => commitLocked(options, base, content)),
    writeAgain: (base, signal) => asWriter(options, signal, () => writeAgainLocked(options, base)),
    rebuild: (content, signal) =>
      asWriter(options, signal, async () => {
        await readLostCheckpoint(options);
        await removeFile(options.files, checkpointPath(options.statePath));
        return await commitLocked(options, undefined, content);
      }),
  };
}

/** Only the owner of the state directory writes, and only under the lock. */
async function asWriter<T>(
  options: RegistryStoreOptions,
  signal: AbortSignal,
  write: () => Promise<T>,
): Promise<T> {
  const directory = await checkStateDirectory(options);
  if (directory.uid !== options.euid) {
    throw new RegistryError({
      code: "state_not_owner",
      message: `state.path: only uid ${directory.uid}, the owner of the state directory, writes the registry`,
      advice: `run this as uid ${directory.uid} (sudo -u '#${directory.uid}' …)`,
    });
  }
  const lock = await takeLock(options, signal);
  try {
    return await write();
  } finally {
    lock.release();
  }
}

/**
 * What the checkpoint of a registry that is gone says; nothing when there is none, or it is damaged.
 * @throws RegistryError when the registry is not gone, or what is left is not ours.
 */
async function readLostCheckpoint(options: RegistryStoreOptions): Promise<Checkpoint | undefined> {
  const { statePath } = options;
  const directory = await checkStateDirectory(options);
  if ((await readStateFile(options, "registry", directory)) !== undefined) {
    throw new RegistryError({
      code: "registry_changed",
      message: `state.path: ${statePath} exists, so no registry is created in its place`,
      advice: `copy ${statePath} and its .checkpoint to a safe place, then move both away`,
    });
  }
  const file = await readStateFile(options, "checkpoint", directory);
  const decoded = file === undefined ? undefined : decodeCheckpoint(file.bytes);
  if (decoded?.kind === "refused" && decoded.code === "checkpoint_of_go") {
    throw refusal(decoded.code, statePath);
  }
  return decoded?.kind === "checkpoint" ? decoded.checkpoint : undefined;
}

async function writeAgainLocked(options: RegistryStoreOptions, base: StoredRecord): Promise<StoredRecord> {
  const { files, statePath } = options;
  const { record, hash } = base;
  const checkpoint = await readLostCheckpoint(options);
  if (
    checkpoint !== undefined &&
    !["current", "behind"].includes(judgeByCheckpoint(record, hash, checkpoint))
  ) {
    throw refusal("checkpoint_disagrees", statePath);
  }
  const { bytes } = encodeRecord(record);
  // The checkpoint first: a crash in between leaves a lost registry, as it was, and not one without a checkpoint.
  await writeCheckpoint(options, record, hash);
  await replaceFile(files, statePath, bytes);
  return { record, hash, checkpoint: "current", fileIdentity: await fileIdentity(options) };
}

function successorOf(
  { statePath }: RegistryStoreOptions,
  base: StoredRecord,
  state: StateOnDisk,
): StoredRecord {
  if (state.kind === "missing") {
    throw refusal("registry_lost", statePath, "removed while the provider ran");
  }
  const { record, hash } = state.stored;
  if (hash === base.hash) {
    return state.stored;
  }
  const steps = record.generation - base.record.generation;
  const descends = steps > 0 && record.previousHashes.at(-steps) === base.hash;
  const problem = descends ? successorProblem(base.record, record) : "it is not in its hash chain";
  if (problem !== undefined) {
    throw refusal("registry_diverged", statePath, problem);
  }
  return state.stored;
}

async function commitLocked(
  options: RegistryStoreOptions,
  base: StoredRecord | undefined,
  content: RegistryContent,
): Promise<Committed> {
  const { statePath } = options;
  const current = await readState(options);
  const found = current.kind === "found" ? current.stored : undefined;
  if (base !== undefined && found === undefined) {
    throw refusal("registry_lost", statePath, "removed while the provider ran");
  }
  if (found?.hash !== base?.hash) {
    throw new RegistryError({
      code: "registry_changed",
      message: `state.path: ${statePath} was written by another process meanwhile; nothing was changed`,
      advice: "review the new state and try again",
    });
  }
  const record = sealed(found, content);
  const problem = found === undefined ? undefined : successorProblem(found.record, record);
  if (problem !== undefined) {
    throw new RegistryError({
      code: "registry_invariant",
      message: `a change of the registry was refused: ${problem}`,
      advice: "report this as a defect; the state on disk is unchanged",
    });
  }
  const { bytes, hash } = encodeRecord(record);
  if (found?.checkpoint === "behind") {
    await writeCheckpoint(options, found.record, found.hash);
  }
  await replaceFile(options.files, statePath, bytes);
  const identity = await fileIdentity(options);
  const checkpointError = await writeCheckpoint(options, record, hash).then(
    () => undefined,
    (error: unknown) => asWriteFailure(error, checkpointPath(options.statePath)),
  );
  const stored: StoredRecord = {
    record,
    hash,
    checkpoint: checkpointError === undefined ? "current" : "behind",
    fileIdentity: identity,
  };
  return checkpointError === undefined ? { stored } : { stored, checkpointError };
}

function sealed(before: StoredRecord | undefined, content: RegistryContent): RegistryRecord {
  return before === undefined
    ? { ...content, generation: 1, previousHashes: [] }
    : {
        ...content,
        generation: before.record.generation + 1,
        previousHashes: [...before.record.previousHashes, before.hash].slice(-MAX_CHAIN),
      };
}

/** Only a hint for {@link RegistryStore.follow}: when it is unknown, the next follow reads the file. */
async function fileIdentity({ files, statePath }: RegistryStoreOptions): Promise<string | undefined> {
  try {
    return (await files.stat(statePath)).identity;
  } catch {
    return undefined;
  }
}

function writeCheckpoint(options: RegistryStoreOptions, record: RegistryRecord, hash: string): Promise<void> {
  const bytes = encodeCheckpoint({ generation: record.generation, hash });
  return replaceFile(options.files, checkpointPath(options.statePath), bytes);
}
