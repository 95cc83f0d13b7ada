import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { configFile } from "../../../test/fakes/config-file.ts";
import { ourStoredValue } from "../../../test/fakes/etcd/envelope-bytes.ts";
import { snapshotBytes, type Write } from "../../../test/fakes/etcd/snapshot-bytes.ts";
import { recordedOutput } from "../../../test/fakes/recorded-output.ts";
import { systemClock } from "../../base/clock.ts";
import { run } from "../../cli/run.ts";
import { fingerprint, identityHashes } from "../../key/identity/fingerprint.ts";
import { deriveKeyId } from "../../key/identity/key-id.ts";
import { createRegistryStore } from "../../key/registry/file-store.ts";
import { systemStateFiles } from "../../key/registry/file-system.ts";
import { trySqliteLock } from "../../key/registry/writer-lock.ts";
import { COMMANDS } from "../table.ts";

/** As in test/fakes/config-file.ts. */
const identity = {
  providerName: "openbao",
  clusterId: "cluster-a",
  openbaoInstanceId: "openbao-a",
  openbaoNamespace: "",
  transitMountId: "mount-a",
  keyLineageId: "lineage-a",
  keyName: "etcd",
};
const version = (number: number) => ({ version: number, createdAtUnix: 1_700_000_000 + number });
const signal = new AbortController().signal;

let dir = "";
const path = (name: string): string => join(dir, name);

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "audit-command-"));
  mkdirSync(path("state"), { mode: 0o750 });
  const statePath = path("state/key-registry.json");
  writeFileSync(
    path("config.yaml"),
    configFile((fields) => ({ ...fields, state: { path: statePath } })),
    { mode: 0o640 },
  );
  const store = createRegistryStore({
    statePath,
    identity: identityHashes(identity),
    access: "write",
    euid: process.geteuid?.() ?? 0,
    files: systemStateFiles,
    clock: systemClock,
    tryLock: trySqliteLock,
    lockWaitMs: 100,
  });
  const content = {
    identity: identityHashes(identity),
    fingerprint: fingerprint(identity),
    versions: [
      { ...version(1), state: "retired", firstSeenUnixMs: 0 },
      { ...version(2), state: "active", firstSeenUnixMs: 0 },
    ],
  } as const;
  await store.commit(undefined, content, signal);
  writeFileSync(
    path("etcd.db"),
    snapshotBytes([
      { key: "/registry/secrets/a/old", value: ourStoredValue(identity, version(1)) },
      { key: "/registry/secrets/a/new", value: ourStoredValue(identity, version(2)) },
      { key: "/registry/secrets/a/plain", value: Buffer.from("k8s\0CANARY") },
      { key: "/registry/pods/a/p", value: Buffer.from("k8s\0CANARY") },
    ]),
  );
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function command(...words: readonly string[]) {
  const output = recordedOutput();
  const code = await run(words, { output, environment: {}, callerEnvironment: {}, signal }, COMMANDS);
  return { code, stdout: output.stdout(), stderr: output.stderr() };
}

/** With one byte changed. */
function withByte(bytes: Buffer, at: number): Buffer {
  const changed = Buffer.from(bytes);
  changed[at] = (changed[at] ?? 0) ^ 1;
  return changed;
}

describe("audit", () => {
  test.each(["--evidence-out", "--html"])(
    "%s of a file that exists is refused before anything is read",
    async (flag) => {
      writeFileSync(path("kept"), "kept");
      const { code, stderr } = await command("audit", "--snapshot", path("none.db"), flag, path("kept"));
      expect(code).toBe(3);
      expect(stderr).toContain(`${flag}: ${path("kept")} exists already`);
      expect(readFileSync(path("kept"), "utf8")).toBe("kept");
    },
  );

  test("ties key_ids to the registry's versions", async () => {
    const { code, stdout } = await command(
      "audit",
      "--config",
      path("config.yaml"),
      "--snapshot",
      path("etcd.db"),
    );
    expect(code).toBe(0);
    expect(stdout).toContain("version 2  ");
    expect(stdout).toContain("version 1  ");
    expect(stdout).not.toContain("not derived");
    expect(stdout).not.toContain("CANARY");
  });

  test.each([
    ["secrets/a/new", "derivable"],
    ["secrets/a/old", "derivable"],
    ["secrets/a/foreign", "not_derivable"],
    ["secrets/a/plain", "not_ours"],
    ["secrets/a/broken", "damaged"],
    ["secrets/a/ne", "absent"],
    ["a/new", "absent"],
  ])("judges %s: %s, with one line", async (object, judgement) => {
    writeFileSync(
      path("objects.db"),
      snapshotBytes([
        { key: "/registry/secrets/a/old", value: ourStoredValue(identity, version(1)) },
        { key: "/registry/secrets/a/new", value: ourStoredValue(identity, version(2)) },
        { key: "/registry/secrets/a/foreign", value: ourStoredValue(identity, version(3)) },
        { key: "/registry/secrets/a/plain", value: Buffer.from("k8s\0CANARY") },
        { key: "/registry/secrets/a/broken", value: Buffer.from("k8s:enc:kms:v2:openbao:CANARY") },
      ]),
    );
    const words = [
      "audit",
      "--config",
      path("config.yaml"),
      "--snapshot",
      path("objects.db"),
      "--object",
      object,
    ];
    const json = await command(...words, "--output", "json");
    expect(json.code).toBe(0);
    const [first, evidence, ...rest] = json.stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(first).toMatchObject({ object, judgement });
    expect(evidence.kind).toBe("bao-kms-provider/audit");
    expect(rest).toEqual([]);
    const text = await command(...words);
    expect(text.stdout.split("\n").filter((line) => line.startsWith(`${object}: `))).toHaveLength(1);
    expect(json.stdout + text.stdout).not.toContain("CANARY");
  });

  describe("--object", () => {
    const judged = async (writes: readonly Write[], object: string, ...more: readonly string[]) => {
      writeFileSync(path("judged.db"), snapshotBytes(writes));
      const words = ["--config", path("config.yaml"), "--snapshot", path("judged.db"), "--object", object];
      const { code, stdout } = await command("audit", ...words, "--output", "json", ...more);
      const lines = stdout
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line));
      return { code, lines, judgements: lines.flatMap(({ judgement }) => judgement ?? []) };
    };
    const key = "/registry/secrets/a/x";
    const stored = (number: number): Uint8Array => ourStoredValue(identity, version(number));

    test("gives all that is known of the object's key", async () => {
      const { lines } = await judged([{ key, value: stored(2) }], "secrets/a/x");
      expect(lines[0]).toEqual({
        object: "secrets/a/x",
        judgement: "derivable",
        kind: "ours",
        provider: identity.providerName,
        keyId: deriveKeyId(identity, version(2)),
        version: 2,
        versionFrom: "derived",
      });
      expect((await judged([], "secrets/a/x")).lines[0]).toEqual({
        object: "secrets/a/x",
        judgement: "absent",
      });
    });

    test("judges the newest state: rewritten, damaged since, deleted, made again", async () => {
      const damaged = Buffer.from("k8s:enc:kms:v2:openbao:x");
      const of = async (...values: readonly (Uint8Array | undefined)[]) =>
        (
          await judged(
            values.map((value) => (value === undefined ? { key } : { key, value })),
            "secrets/a/x",
          )
        ).judgements;
      expect(await of(stored(3), stored(1))).toEqual(["derivable"]);
      expect(await of(stored(1), stored(3))).toEqual(["not_derivable"]);
      expect(await of(stored(1), damaged)).toEqual(["damaged"]);
      expect(await of(stored(1), undefined)).toEqual(["absent"]);
      expect(await of(stored(1), undefined, stored(2))).toEqual(["derivable"]);
    });

    test("is known by its whole name, of a custom resource and of none in a namespace too", async () => {
      const writes = [
        { key: "/registry/example.com/widgets/a/w", value: stored(1) },
        { key: "/registry/minions/n1", value: stored(1) },
        { key: "/registry/secrets/a/x/y", value: stored(1) },
        { key: "/registry/secrets/a/X", value: stored(1) },
      ];
      expect((await judged(writes, "widgets.example.com/a/w")).judgements).toEqual(["derivable"]);
      expect((await judged(writes, "nodes/n1")).judgements).toEqual(["derivable"]);
      for (const absent of ["secrets/a/x", "secrets/a", "widgets/a/w", "/secrets/a/X", "secrets/a/X/", "*"]) {
        expect((await judged(writes, absent)).judgements).toEqual(["absent"]);
      }
    });

    test("is judged in each source that has it", async () => {
      writeFileSync(path("second.db"), snapshotBytes([{ key, value: stored(3) }]));
      const both = await judged([{ key, value: stored(1) }], "secrets/a/x", "--snapshot", path("second.db"));
      expect(both.judgements).toEqual(["derivable", "not_derivable"]);
      writeFileSync(path("second.db"), snapshotBytes([]));
      const one = await judged([{ key, value: stored(1) }], "secrets/a/x", "--snapshot", path("second.db"));
      expect(one.judgements).toEqual(["derivable"]);
    });

    test("stands beside a list, which is not shortened", async () => {
      const writes = [
        { key, value: stored(1) },
        { key: "/registry/secrets/a/z", value: stored(2) },
      ];
      const { lines, judgements } = await judged(writes, "secrets/a/x", "--list", "all");
      expect(judgements).toEqual(["derivable"]);
      expect(lines.flatMap(({ path: name }) => name ?? [])).toEqual(["a/z", "a/x"]);
    });

    test("with characters of a terminal is shown without them", async () => {
      writeFileSync(path("judged.db"), snapshotBytes([]));
      const words = ["--config", path("config.yaml"), "--snapshot", path("judged.db")];
      const { stdout } = await command("audit", ...words, "--object", "secrets/a/\u001b[2Jx");
      expect(stdout).toContain("in no source");
      expect(stdout).not.toContain("\u001b");
    });

    test("needs a registry at the configuration's state.path", async () => {
      writeFileSync(
        path("fresh.yaml"),
        configFile((fields) => ({ ...fields, state: { path: path("state/none.json") } })),
        { mode: 0o640 },
      );
      const words = [
        "--config",
        path("fresh.yaml"),
        "--snapshot",
        path("etcd.db"),
        "--object",
        "secrets/a/new",
      ];
      const { code, stdout, stderr } = await command("audit", ...words);
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      expect(stderr).toContain("--object needs a registry");
    });
  });

  test("does not judge an object without a registry", async () => {
    const { code, stderr } = await command(
      "audit",
      "--snapshot",
      path("etcd.db"),
      "--object",
      "secrets/a/new",
    );
    expect(code).toBe(2);
    expect(stderr).toContain("--object");
  });

  test("lists what is stale: names only", async () => {
    const { stdout } = await command(
      "audit",
      "--config",
      path("config.yaml"),
      "--snapshot",
      path("etcd.db"),
      "--list",
      "stale",
    );
    expect(stdout).toStartWith("secrets a/plain  plaintext\nsecrets a/old  version 1\n");
    expect(stdout).not.toContain("a/new");
    expect(stdout).not.toContain("CANARY");
  });

  test("a list names each further read", async () => {
    const list = (...sources: readonly string[]) =>
      command("audit", "--list", "all", ...sources.flatMap((name) => ["--snapshot", path(name)]));
    expect((await list("etcd.db")).stderr).toBe("");
    expect((await list("etcd.db", "etcd.db")).stderr.split("\n")).toHaveLength(2);
  });

  test("as JSON lines, the evidence last", async () => {
    const { stdout } = await command(
      "audit",
      "--snapshot",
      path("etcd.db"),
      "--list",
      "all",
      "--output",
      "json",
    );
    const lines = stdout.trimEnd().split("\n");
    expect(lines).toHaveLength(5);
    expect(JSON.parse(lines[3] ?? "")).toMatchObject({
      resource: "secrets",
      path: "a/old",
      versionFrom: "stated",
    });
    expect(JSON.parse(lines[4] ?? "")).toMatchObject({ kind: "bao-kms-provider/audit" });
  });

  test("writes evidence and page, and never over another file", async () => {
    const words = [
      "audit",
      "--snapshot",
      path("etcd.db"),
      "--evidence-out",
      path("e.json"),
      "--html",
      path("e.html"),
    ];
    const { code } = await command(...words);
    expect(code).toBe(0);
    expect(JSON.parse(readFileSync(path("e.json"), "utf8")).digest).toStartWith("sha256:");
    expect(readFileSync(path("e.html"), "utf8")).toContain("<svg");
    const again = await command(...words);
    expect(again).toMatchObject({ code: 3, stdout: "" });
    expect(again.stderr).toContain("exists already");
  });

  test.each<[string, readonly string[], number]>([
    ["no source", ["audit"], 2],
    ["https without certificates", ["audit", "--etcd-endpoints", "https://10.0.0.1:2379"], 2],
    ["http beyond loopback", ["audit", "--etcd-endpoints", "http://10.0.0.1:2379"], 2],
    [
      "a certificate without its key",
      ["audit", "--etcd-endpoints", "http://127.0.0.1:1", "--etcd-cert", "x"],
      2,
    ],
    ["no URL", ["audit", "--etcd-endpoints", "10.0.0.1:2379"], 2],
    ["stale without a configuration", ["audit", "--snapshot", "x", "--list", "stale"], 2],
    ["retire without a version", ["retire-versions"], 2],
    ["restore without versions", ["restore-versions"], 2],
    ["restore of nonsense", ["restore-versions", "--versions", "1,x"], 2],
    ["abandon without a reason", ["rebuild-registry", "--abandon-versions"], 2],
    ["migrate without etcd", ["migrate", "--kubeconfig", "x"], 2],
  ])("%s", async (_, words, code) => {
    expect((await command(...words)).code).toBe(code);
  });

  const bad: readonly (readonly [string, number, string, (whole: Buffer) => Uint8Array | undefined])[] = [
    [
      "one with a damaged header",
      4,
      "header page 0 is damaged",
      (whole) => withByte(whole.subarray(0, -32), 72),
    ],
    ["one that was cut off", 4, "the snapshot ends at byte ", (whole) => whole.subarray(0, whole.length / 2)],
    [
      "one with something appended",
      4,
      "something was appended",
      (whole) => Buffer.concat([whole, whole.subarray(0, 9)]),
    ],
    [
      "one whose digest is wrong",
      4,
      "the digest that etcdctl appended",
      (whole) => withByte(whole, whole.length - 1),
    ],
    ["what is no database", 4, "not an etcd database", (whole) => Buffer.alloc(whole.length)],
    ["an empty file", 4, "ends at byte 0", () => new Uint8Array(0)],
    ["one that is not there", 3, "cannot be opened (ENOENT)", () => undefined],
  ];
  test.each(bad)(
    "%s: refused by name, after a good one too, and nothing is written",
    async (name, code, text, spoil) => {
      const file = path(`${name}.db`);
      const bytes = spoil(Buffer.from(readFileSync(path("etcd.db"))));
      if (bytes !== undefined) {
        writeFileSync(file, bytes);
      }
      const words = [
        "audit",
        "--snapshot",
        path("etcd.db"),
        "--snapshot",
        file,
        "--evidence-out",
        path("never.json"),
      ];
      const answer = await command(...words);
      expect(answer).toMatchObject({ code, stdout: "" });
      expect(answer.stderr).toStartWith(`error: ${file}: `);
      expect(answer.stderr).toContain(text);
      expect(answer.stderr).toContain("\n  fix: ");
      expect(existsSync(path("never.json"))).toBe(false);
    },
  );
});
