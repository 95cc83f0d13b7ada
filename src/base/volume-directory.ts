/** @module A directory that the provider makes for itself directly below a mount point, such as an emptyDir of a pod. */
import { closeSync, constants, fchmodSync, fchownSync, fstatSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { errnoOf, reasonOf } from "./errno.ts";
import { type ErrorClass, ProviderError } from "./error-class.ts";

export type VolumeDirectoryCode =
  | "volume_not_mounted"
  | "volume_directory_unmakable"
  | "volume_directory_not_ours";

export class VolumeDirectoryError extends ProviderError<VolumeDirectoryCode> {}

export interface VolumeDirectory {
  readonly path: string;
  readonly field: string;
  readonly errorClass: ErrorClass;
  readonly uid: number;
  /** `undefined` keeps the group that the volume gives. */
  readonly gid: number | undefined;
  readonly mode: number;
  readonly mountPoints: ReadonlySet<string>;
}

type Fail = (code: VolumeDirectoryCode, problem: string, advice: string, cause?: unknown) => Error;

/** Makes the directory, or gives an existing one its group and mode: a crash may have come between. @throws VolumeDirectoryError. */
export function makeVolumeDirectory(wanted: VolumeDirectory): void {
  const { path, field, errorClass, uid, gid, mode } = wanted;
  const fail: Fail = (code, problem, advice, cause) =>
    new VolumeDirectoryError({ code, errorClass, message: `${field}: ${problem}`, advice, cause });
  checkBelowMountPoint(wanted);
  let descriptor: number;
  try {
    mkdirIfMissing(path);
    descriptor = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch (error) {
    throw fail(
      "volume_directory_unmakable",
      `${path} cannot be made (${reasonOf(error)})`,
      `give the provider's user write permission on the volume at ${dirname(path)}, for example with fsGroup`,
      error,
    );
  }
  try {
    const stat = fstatSync(descriptor);
    if (stat.uid !== uid) {
      throw fail(
        "volume_directory_not_ours",
        `${path} belongs to uid ${stat.uid}, not to the provider's user (uid ${uid})`,
        `use another volume, or another path below ${dirname(path)}`,
      );
    }
    if (gid !== undefined && stat.gid !== gid) {
      changeGroup(descriptor, wanted, gid, fail);
    }
    // After the group: changing it clears the setgid bit.
    fchmodSync(descriptor, mode);
  } finally {
    closeSync(descriptor);
  }
}

/** @throws VolumeDirectoryError `volume_not_mounted`. */
export function checkBelowMountPoint({
  path,
  field,
  errorClass,
  mountPoints,
}: Pick<VolumeDirectory, "path" | "field" | "errorClass" | "mountPoints">): void {
  const parent = dirname(path);
  if (!mountPoints.has(parent)) {
    throw new VolumeDirectoryError({
      code: "volume_not_mounted",
      errorClass,
      message: `${field}: ${parent} is not a mount point, and a directory is made only directly below one`,
      advice: `mount a volume at ${parent}, or set ${field}: false and make ${path} yourself`,
    });
  }
}

function mkdirIfMissing(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") {
      throw error;
    }
  }
}

function changeGroup(descriptor: number, { path, uid }: VolumeDirectory, gid: number, fail: Fail): void {
  try {
    fchownSync(descriptor, uid, gid);
  } catch (error) {
    throw fail(
      "volume_directory_unmakable",
      `${path} cannot be given to gid ${gid} (${reasonOf(error)})`,
      `add ${gid} to the pod's supplementalGroups, or set its fsGroup to ${gid}`,
      error,
    );
  }
}
