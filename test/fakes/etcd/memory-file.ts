/** @module A file in memory that fails the test when anything outside it is read. */
import type { OpenFile } from "../../../src/etcd/bolt/file.ts";

export function memoryFile(bytes: Uint8Array): OpenFile {
  return {
    sizeBytes: bytes.length,
    readAt: (target, position) => {
      if (!(position >= 0 && position + target.length <= bytes.length)) {
        throw new Error(`read outside the file: ${position}+${target.length} of ${bytes.length}`);
      }
      target.set(bytes.subarray(position, position + target.length));
    },
    assertUnchanged: () => {},
    close: () => {},
  };
}
