/** Real processes: a kube-apiserver that only root can replace, and impostors by an unprivileged user. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findApiServer, judgeProcess } from "./apiserver-process.ts";

const SLEEP = Bun.which("sleep") ?? "/bin/sleep";
const UID = 47_120;
const isRoot = process.geteuid?.() === 0;

describe.skipIf(!isRoot)("a process is believed for its executable", () => {
  let directory: string;
  const children: ChildProcess[] = [];
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "apiserver-"));
    chmodSync(directory, 0o755);
  });
  afterAll(() => {
    for (const child of children) {
      child.kill("SIGKILL");
    }
    rmSync(directory, { recursive: true, force: true });
  });

  /** A program at that place, as root installs it. */
  const install = (place: string, name = "kube-apiserver"): string => {
    mkdirSync(join(directory, place), { recursive: true, mode: 0o755 });
    const path = join(directory, place, name);
    copyFileSync(SLEEP, path);
    chmodSync(path, 0o755);
    return path;
  };
  const start = (command: string, args: readonly string[] = ["60"], uid = UID): number => {
    const child = spawn(command, [...args], { uid, gid: uid + 1, stdio: "ignore" });
    children.push(child);
    return child.pid ?? 0;
  };
  /** `exe` and `comm` are those of the parent until exec(2) has happened. */
  const judged = async (pid: number) => {
    for (
      let tries = 0;
      tries < 200 && !readFileSync(`/proc/${pid}/comm`, "utf8").startsWith("kube-api");
      tries += 1
    ) {
      await Bun.sleep(5);
    }
    return judgeProcess(pid);
  };

  test("root's own is, with its identity", async () => {
    const path = install("good");
    const pid = start("setpriv", [`--reuid=${UID}`, "--regid=5", "--groups=6,7", path, "60"], 0);
    expect(await judged(pid)).toEqual({ pid, uid: UID, gid: 5, groups: [6, 7], hasOwnMounts: false });
  });

  test("an impostor beside it changes nothing; two genuine ones of one user are one; of two users, the pid decides", async () => {
    const proc = join(directory, "proc");
    mkdirSync(proc);
    symlinkSync("/proc/self", join(proc, "self"));
    const show = (pid: number): void => symlinkSync(`/proc/${pid}`, join(proc, String(pid)));
    const program = install("several");
    const genuine = start(program);
    const bad = install("several-bad");
    chownSync(bad, UID, UID);
    const impostor = start(bad);
    for (const pid of [genuine, impostor]) {
      await judged(pid);
    }
    show(impostor);
    expect(() => findApiServer(undefined, proc)).toThrow(
      expect.objectContaining({ code: "apiserver_absent" }),
    );
    show(genuine);
    expect(findApiServer(undefined, proc).pid).toBe(genuine);
    expect(() => findApiServer(impostor, proc)).toThrow(
      expect.objectContaining({ code: "apiserver_absent" }),
    );
    const same = start(program);
    await judged(same);
    show(same);
    expect([genuine, same]).toContain(findApiServer(undefined, proc).pid);
    const other = start(program, ["60"], UID + 5);
    await judged(other);
    show(other);
    expect(() => findApiServer(undefined, proc)).toThrow(
      expect.objectContaining({ code: "apiserver_ambiguous" }),
    );
    expect(findApiServer(other, proc)).toMatchObject({ pid: other, uid: UID + 5 });
    expect(() => findApiServer(1, proc)).toThrow(expect.objectContaining({ code: "apiserver_absent" }));
  });

  const unsafe: readonly (readonly [string, () => string])[] = [
    [
      "of another user",
      () => {
        const path = install("owner");
        chownSync(path, UID, UID);
        return path;
      },
    ],
    [
      "that its group may write",
      () => {
        const path = install("group");
        chmodSync(path, 0o775);
        return path;
      },
    ],
    [
      "that all may write",
      () => {
        const path = install("all");
        chmodSync(path, 0o757);
        return path;
      },
    ],
    [
      "in a directory of another user",
      () => {
        const path = install("directory");
        chownSync(join(directory, "directory"), UID, UID);
        return path;
      },
    ],
    [
      "below a directory of another user",
      () => {
        const path = install("outer/inner");
        chownSync(join(directory, "outer"), UID, UID);
        return path;
      },
    ],
  ];
  test.each(unsafe)("an executable %s is not", async (_, make) => {
    expect(await judged(start(make()))).toEqual("program_unsafe");
  });

  test("the name alone is not: a shell that calls itself kube-apiserver", async () => {
    const pid = start("/bin/bash", [
      "-c",
      "printf kube-apiserver > /proc/self/comm; while :; do read -t 60 <> <(:) || :; done",
    ]);
    expect(await judged(pid)).toEqual("other_program");
  });

  test("an executable that root has replaced since is", async () => {
    const path = install("upgraded");
    const pid = start(path);
    await judged(pid);
    rmSync(path);
    expect(await judged(pid)).toMatchObject({ pid });
  });

  test("what is in a user namespace of its own is not", async () => {
    const path = install("namespace");
    const child = spawn("unshare", ["--user", "--map-root-user", path, "60"], { stdio: "ignore" });
    children.push(child);
    expect(await judged(child.pid ?? 0)).toEqual("other_user_namespace");
  });

  test("what has ended is not", async () => {
    const child = Bun.spawn(["true"]);
    await child.exited;
    expect(judgeProcess(child.pid)).toEqual("ended");
  });
});
