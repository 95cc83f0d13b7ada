/** @module A secret's new file, made ready before the secret is known, and put in place by one rename. */
import { randomBytes } from "node:crypto";
import { constants, type Stats } from "node:fs";
import { type FileHandle, lstat, open, realpath, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { changeableDirectory } from "../../base/drop-privileges.ts";
import { errnoOf } from "../../base/errno.ts";
import { ProviderError } from "../../base/error-class.ts";
import type { Secret } from "../../base/secret.ts";
import { CommandError } from "../../cli/errors.ts";

const MODE = 0o640;

/**
 * Makes an empty file beside the wanted one; disposing removes it unless it was committed. The directory is resolved once
 * and must be one that only root can change, so that no name in it can be swapped. `field` names the file in messages.
 * @throws CommandError, ProviderError `file_not_written`
 */
export async function stageSecret(path: string, field: string, owner: Pick<Stats, "uid" | "gid">) {
  const directory = await safeDirectory(path, field);
  const final = join(directory, basename(path));
  const temporary = join(directory, `.${basename(path)}.${randomBytes(6).toString("hex")}`);
  const notWritten = (cause: unknown, advice = ""): ProviderError =>
    new ProviderError({
      code: "file_not_written",
      errorClass: "unknown",
      message: `${field}: ${path} cannot be written (${errnoOf(cause) ?? "unknown reason"})`,
      advice: `check that ${directory} has free space and is not mounted read-only${advice}`,
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
    await handle.chown(owner.uid, owner.gid);
    await handle.chmod(MODE);
  } catch (error) {
    await discard();
    throw notWritten(error);
  }
  const orLost = async (work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      throw notWritten(error, "; the secret that was to be written is lost: have another one made");
    }
  };
  return {
    /** Where the new file is until it takes its name. */
    path: temporary,
    /** Writes the secret, with a line break. */
    write: (secret: Secret): Promise<void> =>
      orLost(async () => {
        await handle.writeFile(`${secret.expose()}\n`);
        await handle.sync();
      }),
    /** Puts the file in place. */
    commit: (): Promise<void> =>
      orLost(async () => {
        await rename(temporary, final);
        await syncDirectory(directory);
      }),
    [Symbol.asyncDispose]: discard,
  };
}

/** Where the file is to be, without links. */
async function safeDirectory(path: string, field: string): Promise<string> {
  const named = dirname(path);
  const directory = await realpath(named).catch(() => undefined);
  if (directory === undefined) {
    throw new CommandError(
      "directory_missing",
      `${field}: there is no directory ${named}`,
      `install -d -o root -g openbao-kms -m 0750 ${named}`,
    );
  }
  const changeable = changeableDirectory(directory);
  if (changeable !== undefined) {
    throw new CommandError(
      "directory_unsafe",
      `${field}: a user other than root can write to the directory ${changeable}`,
      "name a file in a directory that only root can write to, such as /etc/openbao-kms/client",
    );
  }
  const present = await lstat(path).catch(() => undefined);
  if (present !== undefined && !present.isFile()) {
    throw new CommandError(
      "file_not_regular",
      `${field}: ${path} exists and is not a regular file`,
      "remove it, or name another path",
    );
  }
  return directory;
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
