/** @module Puts files into a directory, all or none: they are synced in a new directory, which is then renamed into place. */
import { mkdir, mkdtemp, open, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { errnoOf } from "../../base/errno.ts";
import { InitError } from "./errors.ts";

export interface NewFile {
  readonly name: string;
  readonly text: string;
  readonly mode: number;
}

/** Entered by its owner only, as what mkdtemp(3) makes: with --current-encryption-config there are keys in it. */
const DIRECTORY_MODE = 0o700;

/** @throws InitError when the directory holds something, or cannot be written. */
export async function writeFiles(directory: string, files: readonly NewFile[]): Promise<void> {
  const target = resolve(directory);
  await checkEmpty(target);
  let partial: string | undefined;
  try {
    await mkdir(dirname(target), { recursive: true });
    partial = await mkdtemp(join(dirname(target), `.${basename(target)}.`));
    for (const file of files) {
      await mkdir(dirname(join(partial, file.name)), { recursive: true, mode: DIRECTORY_MODE });
      await writeSynced(join(partial, file.name), file);
    }
    await using handle = await open(partial);
    await handle.sync();
    // rename(2) replaces an empty directory and refuses any other.
    await rename(partial, target);
  } catch (error) {
    if (partial !== undefined) {
      await rm(partial, { recursive: true, force: true });
    }
    if (errnoOf(error) === "ENOTEMPTY" || errnoOf(error) === "EEXIST") {
      throw notEmpty(target);
    }
    throw new InitError(
      "out_unwritable",
      `--out: ${target} cannot be written (${errnoOf(error) ?? "unknown reason"}); nothing was left behind`,
      `choose a directory that you may write, or make ${dirname(target)} writable`,
      error,
    );
  }
}

async function checkEmpty(target: string): Promise<void> {
  const names = await readdir(target).catch((error: unknown) => {
    if (errnoOf(error) === "ENOENT") {
      return [];
    }
    throw notEmpty(target);
  });
  if (names.length > 0) {
    throw notEmpty(target);
  }
}

function notEmpty(target: string): InitError {
  return new InitError(
    "out_not_empty",
    `--out: ${target} is not an empty directory; nothing is overwritten`,
    "name a directory that does not exist yet, or an empty one",
  );
}

async function writeSynced(path: string, { text, mode }: NewFile): Promise<void> {
  await using handle = await open(path, "wx", mode);
  await handle.chmod(mode);
  await handle.writeFile(text);
  await handle.sync();
}
