import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { errnoOf } from "./errno.ts";
import { openLinkedFile } from "./safe-file.ts";

const uid = process.getuid?.() ?? 0;
const OTHER = 12345;

let outer: string;
let dir: string;
beforeEach(() => {
  outer = mkdtempSync(join(tmpdir(), "linked-file-"));
  dir = join(outer, "volume");
  mkdirSync(dir, { mode: 0o755 });
  writeFileSync(join(outer, "secret"), "outside", { mode: 0o600 });
});
afterEach(() => rmSync(outer, { recursive: true, force: true }));

/** What is read: the text, `refused`, or the errno. */
async function read(path: string, serviceUid = uid): Promise<string> {
  try {
    const handle = await openLinkedFile(path, serviceUid);
    if (handle === undefined) {
      return "refused";
    }
    const text = (await handle.stat()).isFile() ? await handle.readFile("utf8") : "not a file";
    await handle.close();
    return text;
  } catch (error) {
    return errnoOf(error) ?? String(error);
  }
}

/** kubelet's AtomicWriter: a directory with a time as its name, `..data` to it, each file a link through `..data`. */
function write(version: string, text = version): void {
  mkdirSync(join(dir, version));
  writeFileSync(join(dir, version, "token"), text, { mode: 0o600 });
  symlinkSync(version, join(dir, "..data_tmp"));
  renameSync(join(dir, "..data_tmp"), join(dir, "..data"));
}

const token = (): string => join(dir, "token");

function project(): void {
  write("..2026_01_01");
  symlinkSync("..data/token", token());
}

describe("a projected volume", () => {
  test("is read, and followed when kubelet replaces it", async () => {
    project();
    expect(await read(token())).toBe("..2026_01_01");
    write("..2026_01_02");
    rmSync(join(dir, "..2026_01_01"), { recursive: true });
    expect(await read(token())).toBe("..2026_01_02");
  });

  test("a file that is gone is the system's own error", async () => {
    project();
    rmSync(join(dir, "..2026_01_01"), { recursive: true });
    expect(await read(token())).toBe("ENOENT");
  });

  test("may be sticky and writable by all, as kubelet makes it; not writable without", async () => {
    project();
    for (const [mode, expected] of [
      [0o1777, "..2026_01_01"],
      [0o3777, "..2026_01_01"],
      [0o777, "refused"],
      [0o775, "refused"],
      [0o757, "refused"],
      [0o755, "..2026_01_01"],
    ] as const) {
      chmodSync(dir, mode);
      expect([mode, await read(token())]).toEqual([mode, expected]);
    }
  });

  test("the directory below may not be writable either", async () => {
    project();
    chmodSync(join(dir, "..2026_01_01"), 0o777);
    expect(await read(token())).toBe("refused");
  });
});

test("a certificate of kubelet, an absolute link to a file beside it, is followed", async () => {
  const pem = join(dir, "kubelet-client-current.pem");
  writeFileSync(join(dir, "kubelet-client-1.pem"), "one", { mode: 0o600 });
  symlinkSync(join(dir, "kubelet-client-1.pem"), pem);
  expect(await read(pem)).toBe("one");
});

describe("hostile links", () => {
  const hostile: readonly [string, string, string?][] = [
    ["to the directory above", "../secret"],
    ["to an absolute path elsewhere", "/proc/self/cmdline"],
    ["down and up again", "below/../../secret"],
    ["to itself", "token", "refused"],
    ["to a directory", "below", "not a file"],
    ["through a link that leads out", "out/secret"],
    ["with an empty name", "below//secret"],
    ["with a dot", "./below/secret"],
    ["to a FIFO", "fifo", "not a file"],
    ["through a file", "plain/secret", "ENOTDIR"],
    ["absolute, through the directory's own name", "@DIR@/below/secret"],
    ["to a link below that is absolute", "below/absolute"],
  ];
  test.each(hostile)("%s", async (_, target, expected = "refused") => {
    mkdirSync(join(dir, "below"));
    writeFileSync(join(dir, "below/secret"), "x");
    writeFileSync(join(dir, "plain"), "x");
    symlinkSync("..", join(dir, "out"));
    symlinkSync(join(dir, "secret"), join(dir, "below/absolute"));
    expect(Bun.spawnSync(["mkfifo", join(dir, "fifo")]).exitCode).toBe(0);
    symlinkSync(target.replace("@DIR@", dir), token());
    expect(await read(token())).toBe(expected);
  });

  test("chains of links have an end", async () => {
    writeFileSync(join(dir, "l0"), "end");
    for (let link = 1; link <= 5; link += 1) {
      symlinkSync(`l${link - 1}`, join(dir, `l${link}`));
    }
    expect(await read(join(dir, "l4"))).toBe("end");
    expect(await read(join(dir, "l5"))).toBe("refused");
  });

  test.skipIf(uid !== 0)("of another user, or in another user's directory (root makes them)", async () => {
    project();
    lchownSync(token(), OTHER, OTHER);
    expect(await read(token())).toBe("refused");
    expect(await read(token(), OTHER)).toBe("..2026_01_01");
    lchownSync(token(), 0, 0);
    for (const each of [join(dir, "..data"), join(dir, "..2026_01_01"), dir]) {
      lchownSync(each, OTHER, OTHER);
      expect(await read(token())).toBe("refused");
      expect(await read(token(), OTHER)).toBe("..2026_01_01");
      lchownSync(each, 0, 0);
    }
    chownSync(dirname(dir), OTHER, OTHER);
    expect(await read(token())).toBe("..2026_01_01");
  });

  test("no descriptor stays open, whether a file is read or refused", async () => {
    project();
    mkdirSync(join(dir, "one", "two"), { recursive: true });
    writeFileSync(join(dir, "one/two/file"), "deep");
    symlinkSync("one/two/file", join(dir, "deep"));
    symlinkSync("one/two/../file", join(dir, "refused"));
    const opened = (): number => readdirSync("/proc/self/fd").length;
    const before = opened();
    for (let each = 0; each < 20; each += 1) {
      expect(await read(join(dir, "deep"))).toBe("deep");
      expect(await read(token())).toBe("..2026_01_01");
      expect(await read(join(dir, "refused"))).toBe("refused");
    }
    expect(opened()).toBeLessThan(before + 20);
  });

  test("no target reads anything outside of the directory", async () => {
    mkdirSync(join(dir, "a"));
    writeFileSync(join(dir, "a", "secret"), "inside");
    symlinkSync("a", join(dir, "..data"));
    symlinkSync(outer, join(dir, "up"));
    const part = fc.constantFrom("..", ".", "", "a", "..data", "up", "volume", "secret", "token", outer);
    await fc.assert(
      fc.asyncProperty(fc.array(part, { minLength: 1, maxLength: 6 }), async (parts) => {
        rmSync(token(), { force: true });
        symlinkSync(parts.join("/") || "x", token());
        expect(["inside", "refused", "ENOENT", "ENOTDIR", "not a file"]).toContain(await read(token()));
      }),
      { numRuns: 300 },
    );
  });
});
