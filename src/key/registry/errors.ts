/** @module Why a registry is not used, or not written, and what to do about it. A refusal changes no file. */
import { errnoOf } from "../../base/errno.ts";
import { ProviderError, type ProviderErrorInit } from "../../base/error-class.ts";
import { checkpointPath } from "./record.ts";

/** Refusals: something at the path is not what it should be. A person has to act. */
const REFUSAL_CODES = [
  "registry_unsafe",
  "registry_unreadable",
  "registry_too_large",
  "registry_torn",
  "registry_foreign",
  "registry_of_go",
  "registry_newer",
  "registry_edited",
  "registry_invariant",
  "registry_other_identity",
  "registry_lost",
  "registry_rolled_back",
  "registry_diverged",
  "registry_rotated_without_state",
  "checkpoint_unsafe",
  "checkpoint_unreadable",
  "checkpoint_damaged",
  "checkpoint_of_go",
  "checkpoint_missing",
  "checkpoint_disagrees",
  "state_directory_missing",
  "state_directory_unsafe",
] as const;
/** Failures: it could not be written now. The daemon serves on with what it has and promotes nothing. */
const FAILURE_CODES = [
  "state_read_only",
  "state_full",
  "state_io",
  "state_not_owner",
  "registry_locked",
  "registry_changed",
] as const;

type RefusalCode = (typeof REFUSAL_CODES)[number];
type FailureCode = (typeof FAILURE_CODES)[number];
export type RegistryCode = RefusalCode | FailureCode;
export const REGISTRY_CODES: readonly RegistryCode[] = [...REFUSAL_CODES, ...FAILURE_CODES];

export class RegistryError extends ProviderError<RegistryCode> {
  constructor(init: Omit<ProviderErrorInit<RegistryCode>, "errorClass">) {
    super({ ...init, errorClass: "registry_invalid" });
  }
}

interface Refusal {
  /** Goes after the path: "… is torn". */
  readonly problem: string;
  /** Advice before the recovery that all refusals share. */
  readonly first?: string;
  /** Advice instead of the recovery that all refusals share. */
  readonly only?: string;
}

const REFUSALS = {
  registry_torn: { problem: "is empty, truncated or overwritten with zeros" },
  registry_foreign: {
    problem: "is not a registry of bao-kms-provider and was not changed",
    first: "set state.path to another file, or move this one away if it does not belong there",
  },
  registry_of_go: {
    problem: "is the registry of the Go implementation (dc-tec/openbao-kubernetes-kms) and was not changed",
    only:
      "keep a copy of it, move it and its .checkpoint away, and take over its versions with " +
      "`bao-kms-provider rebuild-registry --from-go FILE`",
  },
  registry_newer: {
    problem: "was written by a newer release in a format that this release does not know",
    first: "run that newer release again",
  },
  registry_edited: { problem: "was edited or is damaged: its hash does not match its content" },
  registry_invariant: { problem: "has a correct hash but breaks a rule of the registry format" },
  registry_too_large: { problem: "is too large for a registry" },
  registry_lost: { problem: "is missing although its checkpoint exists: the state of this node was lost" },
  registry_rolled_back: {
    problem: "is older than its checkpoint: it was restored from a backup or a snapshot of the machine",
  },
  registry_diverged: {
    problem:
      "was replaced while the provider ran by one that does not descend from it; the loaded one stays in use",
    first: "stop the provider before files in the state directory are replaced, then start it again",
  },
  registry_rotated_without_state: {
    problem: "is missing but the Transit key was rotated before, so the versions in use are unknown",
    first: "set bootstrap.missingState to observe if this node was replaced",
  },
  checkpoint_damaged: { problem: "is empty, truncated, edited, or a file of another program" },
  checkpoint_of_go: {
    problem: "is the checkpoint of the Go implementation (dc-tec/openbao-kubernetes-kms) and was not changed",
    only:
      "move it away together with the registry that it belongs to, and take over the versions with " +
      "`bao-kms-provider rebuild-registry --from-go FILE`",
  },
  checkpoint_missing: { problem: "is missing beside a registry that was written more than once" },
  checkpoint_disagrees: { problem: "does not belong to the registry beside it" },
} as const satisfies Partial<Record<RefusalCode, Refusal>>;

/** A refusal for what is in a file. */
export type FileRefusal = keyof typeof REFUSALS;

/** The refusal of the file that the code names, with the next step; `detail` adds one clause without content of the file. */
export function refusal(code: FileRefusal, statePath: string, detail?: string): RegistryError {
  const { problem, first, only }: Refusal = REFUSALS[code];
  const path = code.startsWith("checkpoint_") ? checkpointPath(statePath) : statePath;
  return new RegistryError({
    code,
    message: `state.path: ${path} ${problem}${detail === undefined ? "" : ` (${detail})`}`,
    advice: only ?? `${first === undefined ? "" : `${first}; `}${recoveryAdvice(statePath)}`,
  });
}

/** The cheapest recovery comes first: neither file is bound to a node. */
export function recoveryAdvice(statePath: string): string {
  return (
    `copy ${statePath} and ${checkpointPath(statePath)}, both, from a healthy node of the same control plane ` +
    "(owner as here, mode 0600); if there is none, `bao-kms-provider rebuild-registry` creates it from evidence"
  );
}

export function isRegistryError(error: unknown): error is RegistryError {
  return error instanceof RegistryError;
}

const READ_ONLY: ReadonlySet<string> = new Set([
  "EROFS",
  "EACCES",
  "EPERM",
  "SQLITE_READONLY",
  "SQLITE_CANTOPEN",
]);
const FULL: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT", "EFBIG", "SQLITE_FULL"]);

/** The state could not be written; what is loaded stays in use and nothing is promoted. */
export function writeFailure(error: unknown, doing: string, path: string): RegistryError {
  const errno = errnoOf(error) ?? "unknown error";
  const rest = `; the provider serves on with the state that it has and promotes nothing`;
  if (READ_ONLY.has(errno)) {
    return new RegistryError({
      code: "state_read_only",
      message: `state.path: cannot ${doing} ${path}: read-only or no permission (${errno})${rest}`,
      advice:
        "make the state directory writable for the service's user (in the unit: ReadWritePaths=), " +
        "and check whether its file system was remounted read-only",
      cause: error,
    });
  }
  if (FULL.has(errno)) {
    return new RegistryError({
      code: "state_full",
      message: `state.path: cannot ${doing} ${path}: no space left (${errno})${rest}`,
      advice: "free some space or quota on the file system of the state directory; a few KiB are enough",
      cause: error,
    });
  }
  return new RegistryError({
    code: "state_io",
    message: `state.path: cannot ${doing} ${path} (${errno})${rest}`,
    advice: "see the kernel log for errors of the disk or file system under the state directory",
    cause: error,
  });
}

export function asWriteFailure(error: unknown, path: string): RegistryError {
  return isRegistryError(error) ? error : writeFailure(error, "write", path);
}
