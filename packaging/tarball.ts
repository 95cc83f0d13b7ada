/** @module Tar archives whose bytes depend on names, contents and modes alone (reproducible-builds.org/docs/archives). */
import { readdirSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { runBytes } from "./run.ts";

/** A tar of `folder`'s entries, each below `prefix` when one is given. */
export function tarOf(folder: string, epochSeconds: number, prefix = ""): Buffer {
  return runBytes("tar", [
    "--create",
    "--format=posix",
    "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime",
    "--sort=name",
    `--mtime=@${epochSeconds}`,
    "--owner=0",
    "--group=0",
    "--numeric-owner",
    // Names only (r): the target of a symbolic link stays as it is.
    ...(prefix === "" ? [] : [`--transform=flags=r;s,^,${prefix}/,`]),
    `--directory=${folder}`,
    ...readdirSync(folder).sort(),
  ]);
}

/** Without name and time in the header. */
export function gzip(bytes: Uint8Array, level: number): Buffer {
  return gzipSync(bytes, { level });
}
