/**
 * A secret's new file, made ready before the secret is known.
 *
 * @module For a secret that can be had only once: whatever is wrong with its place is found first. The file then takes its
 * name in one rename.
 */
import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, lstat, open, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { errnoOf } from "../../base/errno.ts";
import { ProviderError } from "../../base/error-class.ts";
import type { Secret } from "../../base/secret.ts";

export type StagedSecretCode =
  | "directory_missing"
  | "directory_unsafe"
  | "file_not_regular"
  | "file_not_written";

export class StagedSecretError extends ProviderError<StagedSecretCode> {}

export interface StagedSecret extends AsyncDisposable {
  /** Where the new file is until it takes its name. */
  readonly path: string;
  /** Writes the secret, with a line break. Throws StagedSecretError. */
  readonly write: (secret: Secret) => Promise<void>;
  /** Puts the file in place. Throws StagedSecretError. */
  readonly commit: () => Promise<void>;
}

export interface SecretPlace {
  readonly path: string;
  /** The configuration field that names it. */
  readonly field: string;
  readonly uid: number;
  readonly gid: number;
}

const MODE = 0o640;

/** Makes an empty file beside the wanted one; disposing removes it unless it was committed. @throws StagedSecretError */
export async function stageSecret({ path, field, uid, gid }: SecretPlace): Promise<StagedSecret> {
  await checkPlace(path, field);
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString("hex")}`);
  const notWritten = (cause: unknown, advice = ""): StagedSecretError =>
    new StagedSecretError({
      code: "file_not_written",
      errorClass: "unknown",
      message: `${field}: ${path} cannot be written (${errnoOf(cause) ?? "unknown reason"})`,
      advice: `see that ${dirname(path)} has space and is not mounted read-only${advice}`,
      cause,
    });
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  let handle: FileHandle;
  try {
    handle = await open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  } catch (error) {
    throw notWritten(error);
  }
  const discard = async (): Promise<void> => {
    await handle.close();
    await rm(temporary, { force: true });
  };
  try {
    await handle.chown(uid, gid);
    await handle.chmod(MODE);
  } catch (error) {
    await discard();
    throw notWritten(error);
  }
  const orLost = async (work: Promise<void>): Promise<void> => {
    try {
      await work;
    } catch (error) {
      throw notWritten(error, "; the secret that was to be written is lost: have another one made");
    }
  };
  const write = async (secret: Secret): Promise<void> => {
    await handle.writeFile(`${secret.expose()}\n`);
    await handle.sync();
  };
  const commit = async (): Promise<void> => {
    await rename(temporary, path);
    await syncDirectory(dirname(path));
  };
  return {
    path: temporary,
    write: (secret) => orLost(write(secret)),
    commit: () => orLost(commit()),
    [Symbol.asyncDispose]: discard,
  };
}

async function checkPlace(path: string, field: string): Promise<void> {
  const directory = dirname(path);
  const refuse = (code: StagedSecretCode, message: string, advice: string): StagedSecretError =>
    new StagedSecretError({ code, errorClass: "config_invalid", message: `${field}: ${message}`, advice });
  const parent = await stat(directory).catch(() => undefined);
  if (parent?.isDirectory() !== true) {
    throw refuse(
      "directory_missing",
      `there is no directory ${directory}`,
      `install -d -o root -g openbao-kms -m 0750 ${directory}`,
    );
  }
  if ((parent.mode & 0o022) !== 0) {
    throw refuse(
      "directory_unsafe",
      `the directory ${directory} can be written by its group or by others`,
      `chmod go-w ${directory}`,
    );
  }
  const present = await lstat(path).catch(() => undefined);
  if (present !== undefined && !present.isFile()) {
    throw refuse(
      "file_not_regular",
      `${path} is there and is not a regular file`,
      "remove it, or name another path",
    );
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
