/**
 * xz as dpkg and rpm read it.
 *
 * @module One thread, because more of them cut the input into blocks and so give other bytes on other machines; CRC-32, as
 * dpkg-deb and rpmbuild themselves do.
 */
import type { Architecture } from "./architecture.ts";
import { filterBytes } from "./run.ts";

/** 0 is quick and weak, 9 is for publishing: minutes, and 65 MiB of memory for who unpacks. */
export type XzPreset = 0 | 9;

export function xz(bytes: Uint8Array, architecture: Architecture, preset: XzPreset): Promise<Buffer> {
  const args = ["--threads=1", "--check=crc32", ...architecture.xzFilters, `--lzma2=preset=${preset}`];
  return filterBytes("xz", [...args, "--stdout"], bytes);
}

export function unxz(bytes: Uint8Array): Promise<Buffer> {
  return filterBytes("xz", ["--decompress", "--stdout"], bytes);
}
