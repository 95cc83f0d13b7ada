/** @module Bytes at a place in a file. Synchronous: a promise for each of millions of small reads would cost more than the read. */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { errnoOf } from "../../base/errno.ts";
import { auditError, SNAPSHOT_ADVICE } from "../errors.ts";

export interface OpenFile {
  readonly sizeBytes: number;
  /** Fills `target` from `position`. Throws AuditError `snapshot_truncated` when the file ends before `target` is full. */
  readonly readAt: (target: Uint8Array, position: number) => void;
  /** Throws AuditError `snapshot_changed` when the file is not as it was when it was opened. */
  readonly assertUnchanged: () => void;
  readonly close: () => void;
}

/** Opens a regular file for reading. Throws AuditError `snapshot_unreadable`. */
export function openFile(path: string): OpenFile {
  const descriptor = openDescriptor(path);
  const state = fstatSync(descriptor, { bigint: true });
  if (!state.isFile()) {
    closeSync(descriptor);
    throw auditError("snapshot_unreadable", {
      message: "not a regular file",
      advice: "name the file that `etcdctl snapshot save` wrote",
    });
  }
  const sizeBytes = Number(state.size);
  return {
    sizeBytes,
    readAt: (target, position) => {
      let done = 0;
      while (done < target.length) {
        const count = readOnce(descriptor, target, done, position + done);
        if (count === 0) {
          throw truncated(position + target.length, sizeBytes);
        }
        done += count;
      }
    },
    assertUnchanged: () => {
      const now = fstatSync(descriptor, { bigint: true });
      if (now.size !== state.size || now.mtimeNs !== state.mtimeNs) {
        throw auditError("snapshot_changed", {
          message: "changed while it was read",
          advice: "take the snapshot with `etcdctl snapshot save`, or copy the file first",
        });
      }
    },
    close: () => closeSync(descriptor),
  };
}

export function truncated(needed: number, sizeBytes: number): Error {
  return auditError("snapshot_truncated", {
    message: `the snapshot ends at byte ${sizeBytes}, but its own header needs ${needed}`,
    advice: SNAPSHOT_ADVICE,
  });
}

function openDescriptor(path: string): number {
  try {
    // O_NONBLOCK: a FIFO in the place of the file must not hang; it means nothing for a regular file.
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    throw auditError("snapshot_unreadable", {
      message: `cannot be opened (${errnoOf(cause) ?? "unknown reason"})`,
      advice: `check that it exists and that you may read it: ls -l ${path}`,
      cause,
    });
  }
}

function readOnce(descriptor: number, target: Uint8Array, at: number, position: number): number {
  try {
    return readSync(descriptor, target, at, target.length - at, position);
  } catch (cause) {
    throw auditError("snapshot_read_failed", {
      message: `cannot be read at byte ${position} (${errnoOf(cause) ?? "unknown reason"})`,
      advice: "copy the file to another disk and try again",
      cause,
    });
  }
}
