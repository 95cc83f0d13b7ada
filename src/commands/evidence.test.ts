/** retire-versions, verify-rotation and rebuild-registry with evidence: of a running etcd, of snapshots and of files. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import * as v from "valibot";
import { REPORT_SCHEMAS } from "../../scripts/reference/report-schemas.ts";
import { ourStoredValue } from "../../test/fakes/etcd/envelope-bytes.ts";
import { openSmallCluster, type SmallCluster } from "../../test/fakes/etcd/small-cluster.ts";
import { snapshotBytes } from "../../test/fakes/etcd/snapshot-bytes.ts";
import { makeRotatedNode, type RotatedNode } from "../../test/fakes/rotated-node.ts";
import { deriveKeyId } from "../key/identity/key-id.ts";

let node: RotatedNode;
let cluster: SmallCluster;
const KEY = "/registry/secrets/n/s";
const of = (index: 0 | 1): Uint8Array => ourStoredValue(node.identity, node.versions[index]);
const etcd = (): readonly string[] => ["--etcd-endpoints", cluster.etcdUrl];
const snapshot = (flag: string, index: 0 | 1): readonly string[] => {
  writeFileSync(node.at(`${index}.db`), snapshotBytes([{ key: KEY, value: of(index) }]));
  return [flag, node.at(`${index}.db`)];
};
const file = (name: string): readonly string[] => ["--evidence", node.at(name)];

beforeAll(async () => {
  node = await makeRotatedNode();
  await node.writeRegistry(["retired", "active"]);
  cluster = await openSmallCluster();
  cluster.store(KEY, of(1));
  for (const [name, ...config] of [["with.json", "--config", node.configPath], ["without.json"]]) {
    const words = ["audit", ...etcd(), "--evidence-out", node.at(name ?? ""), ...config];
    expect((await node.type(...words)).code).toBe(0);
  }
});
afterAll(async () => {
  cluster.close();
  await node.dispose();
});
beforeEach(() => {
  cluster.store(KEY, of(1));
});

async function json(
  command: "retire-versions" | "verify-rotation" | "rebuild-registry",
  ...words: readonly string[]
) {
  const { code, stdout } = await node.type(
    command,
    "--config",
    node.configPath,
    ...words,
    "--output",
    "json",
  );
  await cluster.disconnected();
  if (stdout === "") {
    return { code };
  }
  const report = JSON.parse(stdout);
  expect(v.safeParse(REPORT_SCHEMAS[command], report).issues).toBeUndefined();
  const codes = report.blockers?.map((each: { readonly code: string }) => each.code);
  return { ...report, code, ...(codes === undefined ? {} : { blockers: codes }) };
}

type Words = () => readonly string[];

describe("retire-versions", () => {
  beforeEach(() => node.writeRegistry(["retired", "active"]));
  const retire = (...words: readonly string[]) => {
    const checkedAt = new Date(Date.now() - 600_000).toISOString();
    const report = { host: "n1", checkedAt, keyId: deriveKeyId(node.identity, node.versions[1]), good: true };
    writeFileSync(node.at("node.json"), JSON.stringify(report));
    return json("retire-versions", "--node-report", node.at("node.json"), "--before-version", "2", ...words);
  };

  test.each<[string, Words]>([
    ["a running etcd", etcd],
    ["a file", () => file("with.json")],
    ["all together", () => [...etcd(), ...file("with.json"), ...snapshot("--kept-snapshot", 1)]],
  ])("evidence of %s that needs the active version alone lets the others go", async (_, words) => {
    const { stateHash, ...plan } = await retire(...words());
    expect(plan).toMatchObject({ code: 0, remove: [1], blockers: [], applied: false });
    const apply = ["--apply", "--expected-state-hash", stateHash, "--override-reason", "not needed"];
    expect(await retire(...words(), ...apply)).toMatchObject({ code: 0, applied: true });
    expect(node.states()).toEqual(["removed", "active"]);
    const { body } = JSON.parse(readFileSync(node.at("state/key-registry.json"), "utf8"));
    expect(body.notes).toBeUndefined();
  });

  test.each<[string, Words, string]>([
    ["no running etcd", () => snapshot("--snapshot", 1), "no_live_evidence"],
    ["a snapshot", () => [...etcd(), ...snapshot("--snapshot", 0)], "still_needed"],
    ["a kept snapshot", () => [...file("with.json"), ...snapshot("--kept-snapshot", 0)], "still_needed"],
    ["a file of no configuration", () => file("without.json"), "other_fingerprint"],
  ])("%s stands against it, unless there is a reason", async (_, words, code) => {
    const plan = await retire(...words(), "--apply");
    expect(plan).toMatchObject({ code: 4, applied: false });
    expect(plan.blockers).toContain(code);
    expect(await retire(...words(), "--override-reason", "x")).toMatchObject({ code: 0, applied: false });
    expect(node.states()).toEqual(["retired", "active"]);
  });

  test("what the registry forbids no reason overrides", async () => {
    const words = ["--before-version", "3", "--override-reason", "x", "--apply"];
    expect(await retire(...etcd(), ...words)).toMatchObject({
      code: 4,
      applied: false,
      blockers: expect.arrayContaining(["not_below_active"]),
    });
  });
});

describe("verify-rotation", () => {
  beforeAll(() => node.writeRegistry(["retired", "active"]));
  test.each<[string, Words, object]>([
    ["a running etcd", etcd, { code: 0, result: "done", confidence: "high", problems: [] }],
    ["a file", () => file("with.json"), { code: 0, result: "done", confidence: "high" }],
    ["a snapshot", () => snapshot("--snapshot", 1), { code: 0, result: "done", confidence: "limited" }],
    ["both", () => [...etcd(), ...file("with.json")], { code: 0, result: "done" }],
    ["no source", () => [], { code: 2 }],
    ["no configuration", () => file("without.json"), { code: 4, result: "not_proven" }],
    ["two configurations", () => [...etcd(), ...file("without.json")], { code: 4, result: "not_proven" }],
    [
      "an old snapshot beside it",
      () => [...etcd(), ...snapshot("--snapshot", 0)],
      { code: 4, result: "remaining", remaining: [expect.objectContaining({ version: 1, objects: 1 })] },
    ],
  ])("evidence of %s", async (_, words, expected) => {
    expect(await json("verify-rotation", ...words())).toMatchObject(expected);
  });

  test("as text, with what was not looked at once", async () => {
    const words = ["--config", node.configPath, ...file("with.json")];
    const { stdout } = await node.type("verify-rotation", ...words, ...file("with.json"));
    expect(stdout).toMatch(/^✓ done: .* version 2\n/);
    const lines = stdout.split("\n").filter((line) => line.startsWith("  - "));
    expect(new Set(lines).size).toBe(lines.length);
    cluster.store(KEY, of(0));
    const old = await node.type("verify-rotation", "--config", node.configPath, ...etcd());
    expect(old.stdout).toStartWith(
      "! 1 objects are not yet encrypted under version 2\n    1 secrets: version 1 ",
    );
    expect(old.stdout).toContain("`bao-kms-provider migrate`");
  });
});

describe("rebuild-registry", () => {
  beforeEach(async () => {
    await node.writeRegistry(["retired", "active"]);
    rmSync(node.at("state/key-registry.json"));
    rmSync(node.at("state/key-registry.json.checkpoint"), { force: true });
  });

  test("takes the newest version that an object needs for the active one", async () => {
    const active = async (...words: readonly string[]) =>
      (await json("rebuild-registry", ...words)).versions.find(
        ({ state }: { readonly state: string }) => state === "active",
      )?.version;
    expect(await active(...etcd())).toBe(2);
    cluster.store(KEY, of(0));
    expect(await active(...etcd())).toBe(1);
    expect(await active(...file("with.json"))).toBe(2);
  });

  test("gives an object of no version up only when told to, with the reason", async () => {
    cluster.store(KEY, ourStoredValue(node.identity, { version: 3, createdAtUnix: 1_700_000_000 }));
    const blocked = { code: 4, applied: false, versions: [], blockers: ["gone"] };
    expect(await json("rebuild-registry", ...etcd(), "--apply")).toMatchObject(blocked);
    expect(await json("rebuild-registry", ...etcd(), "--override-reason", "x")).toMatchObject(blocked);
    const words = [...etcd(), "--abandon-versions", "--override-reason", "lost"];
    const plan = await json("rebuild-registry", ...words);
    expect(plan).toMatchObject({ code: 0, applied: false, blockers: [], unreadable: [{ objects: 1 }] });
    const apply = ["--apply", "--expected-state-hash", plan.planHash];
    expect(await json("rebuild-registry", ...words, ...apply)).toMatchObject({ code: 0, applied: true });
    expect(node.states()).toEqual(expect.arrayContaining(["active"]));
  });
});
