import { afterAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { errnoOf } from "../../base/errno.ts";
import { openFile } from "./file.ts";

const directory = realpathSync(mkdtempSync(join(tmpdir(), "random-access-")));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

let count = 0;
function fileOf(content: string): string {
  count += 1;
  const path = join(directory, `file-${count}`);
  writeFileSync(path, content);
  return path;
}

/** Descriptors of this process that are open on the path. */
function descriptorsOf(path: string): number {
  return readdirSync("/proc/self/fd").filter((each) => {
    try {
      return readlinkSync(`/proc/self/fd/${each}`) === path;
    } catch (error) {
      if (errnoOf(error) === "ENOENT") {
        return false;
      }
      throw error;
    }
  }).length;
}

const refusal = (code: string) => expect.objectContaining({ code });

describe("an open file", () => {
  test("gives the bytes at a place, in its size", () => {
    const file = openFile(fileOf("0123456789"));
    const target = new Uint8Array(4);
    file.readAt(target, 3);
    expect(Buffer.from(target).toString()).toBe("3456");
    file.readAt(target, 6);
    expect(Buffer.from(target).toString()).toBe("6789");
    expect(file.sizeBytes).toBe(10);
    file.close();
  });

  test("is truncated where it ends before the bytes that are wanted", () => {
    const path = fileOf("0123456789");
    const file = openFile(path);
    expect(() => file.readAt(new Uint8Array(4), 7)).toThrow(refusal("snapshot_truncated"));
    truncateSync(path, 0);
    expect(() => file.readAt(new Uint8Array(1), 0)).toThrow(refusal("snapshot_truncated"));
    file.close();
  });

  test("is closed by close, and cannot be read afterwards", () => {
    const path = fileOf("x");
    const file = openFile(path);
    expect(descriptorsOf(path)).toBe(1);
    file.close();
    expect(descriptorsOf(path)).toBe(0);
    expect(() => file.readAt(new Uint8Array(1), 0)).toThrow(refusal("snapshot_read_failed"));
  });
});

describe("a change of the file", () => {
  const changes: readonly (readonly [string, (path: string) => void])[] = [
    [
      "of its size alone",
      (path) => {
        const { atime, mtime } = statSync(path);
        appendFileSync(path, "x");
        utimesSync(path, atime, mtime);
      },
    ],
    ["of its time alone", (path) => utimesSync(path, 1000, 2001)],
  ];
  test.each(changes)("%s is noticed", (_, change) => {
    const path = fileOf("0123456789");
    utimesSync(path, 1000, 2000);
    const file = openFile(path);
    file.assertUnchanged();
    change(path);
    expect(() => file.assertUnchanged()).toThrow(refusal("snapshot_changed"));
    file.close();
  });
});

describe("what is no regular file is unreadable, and nothing stays open", () => {
  test("a directory", () => {
    expect(() => openFile(directory)).toThrow(refusal("snapshot_unreadable"));
    expect(descriptorsOf(directory)).toBe(0);
  });

  test("a FIFO that has no writer", () => {
    const path = join(directory, "fifo");
    expect(spawnSync("mkfifo", [path]).status).toBe(0);
    expect(() => openFile(path)).toThrow(refusal("snapshot_unreadable"));
  });

  test("a path that is not there", () => {
    expect(() => openFile(join(directory, "none"))).toThrow(refusal("snapshot_unreadable"));
  });
});
