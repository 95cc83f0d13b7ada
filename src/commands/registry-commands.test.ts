/** retire-versions, restore-versions and rebuild-registry over a registry on disk and the stand-in for OpenBao. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import * as v from "valibot";
import { REPORT_SCHEMAS } from "../../scripts/reference/report-schemas.ts";
import { makeRotatedNode, type RotatedNode } from "../../test/fakes/rotated-node.ts";
import { deriveKeyId } from "../key/identity/key-id.ts";

let node: RotatedNode;
beforeAll(async () => {
  node = await makeRotatedNode();
});
afterAll(() => node.dispose());

const type = (command: string, ...words: readonly string[]) =>
  node.type(command, "--config", node.configPath, ...words);
async function json(
  command: "retire-versions" | "restore-versions" | "rebuild-registry",
  ...words: readonly string[]
) {
  const { code, stdout, stderr } = await type(command, ...words, "--output", "json");
  expect(stderr).toBe("");
  expect(v.safeParse(REPORT_SCHEMAS[command], JSON.parse(stdout)).issues).toBeUndefined();
  return { code, ...JSON.parse(stdout) };
}
const settled = (text: string): string =>
  text
    .replaceAll(node.directory, "DIR")
    .replace(/(?<![\w-])[\w-]{43}(?![\w-])/g, "HASH")
    .replace(/obk2\.\S+/g, "KEY_ID")
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME");
const registry = (): string => readFileSync(node.at("state/key-registry.json"), "utf8");
const keyId = (index: 0 | 1): string => deriveKeyId(node.identity, node.versions[index]);
const codes = (blockers: readonly { readonly code: string }[]) => blockers.map(({ code }) => code).sort();

function nodeReport(change: Readonly<Record<string, unknown>> = {}): string {
  const report = { host: "n1", checkedAt: new Date().toISOString(), keyId: keyId(1), good: true, ...change };
  writeFileSync(node.at("node.json"), JSON.stringify(report), { mode: 0o644 });
  return node.at("node.json");
}

describe("retire-versions", () => {
  beforeEach(() => node.writeRegistry(["retired", "active"]));

  test("without evidence it refuses, and says what is missing", async () => {
    const before = registry();
    const plan = await json("retire-versions", "--before-version", "2", "--apply");
    expect(plan).toMatchObject({ code: 4, remove: [1], applied: false });
    expect(codes(plan.blockers)).toContain("nodes_missing");
    expect(plan.raiseMinDecryption).toBeUndefined();
    expect(registry()).toBe(before);
    expect(settled((await type("retire-versions", "--before-version", "2")).stdout)).toMatchSnapshot();
  });

  test("with a reason it is a plan, and --apply needs the hash of that plan", async () => {
    const words = ["--before-version", "2", "--override-reason", "we know"];
    const text = await type("retire-versions", ...words);
    expect(text.code).toBe(0);
    expect(settled(text.stdout)).toMatchSnapshot();
    const { stateHash } = await json("retire-versions", ...words);
    expect((await type("retire-versions", ...words, "--apply")).code).toBe(2);
    const wrong = await type("retire-versions", ...words, "--apply", "--expected-state-hash", "x");
    expect(wrong.code).toBe(4);
    expect(wrong.stderr).toContain("the state has changed");
    expect(node.states()).toEqual(["retired", "active"]);

    const done = await type("retire-versions", ...words, "--apply", "--expected-state-hash", stateHash);
    expect(done.code).toBe(0);
    expect(settled(done.stdout)).toMatchSnapshot();
    expect(node.states()).toEqual(["removed", "active"]);
    expect(JSON.parse(registry()).body.notes).toEqual([
      expect.objectContaining({
        by: `uid ${process.getuid?.()}`,
        reason: expect.stringMatching(/^we know \(in spite of: [a-z_, ]+\)$/),
      }),
    ]);
  });

  test("nothing to remove is good, and nothing to apply", async () => {
    await node.writeRegistry(["removed", "active"]);
    const { stdout } = await type("retire-versions", "--before-version", "2", "--override-reason", "x");
    expect(settled(stdout)).toMatchSnapshot();
  });

  test("when every node has them removed, the command for OpenBao is shown", async () => {
    await node.writeRegistry(["removed", "active"]);
    const report = nodeReport({ removedVersions: [1] });
    const words = ["--before-version", "2", "--override-reason", "x", "--node-report", report];
    const { raiseMinDecryption } = await json("retire-versions", ...words);
    const path = `${node.names.mount}/keys/${node.names.keyName}/config`;
    expect(raiseMinDecryption).toBe(`bao write ${path} min_decryption_version=2`);
    expect((await type("retire-versions", ...words)).stdout).toContain(`\n    ${raiseMinDecryption}\n`);
  });

  test("which versions are removed is in the probe of a node, when it is given the configuration", async () => {
    const probe = async (...words: readonly string[]) =>
      JSON.parse(
        (await node.type("probe", "--socket", node.at("none"), "--output", "json", ...words)).stdout,
      );
    expect((await probe("--config", node.configPath)).removedVersions).toEqual([]);
    await node.writeRegistry(["removed", "active"]);
    expect((await probe("--config", node.configPath)).removedVersions).toEqual([1]);
    expect(await probe()).not.toHaveProperty("removedVersions");
  });

  test("a node report is decoded as hostile", async () => {
    const words = (path: string) => ["--before-version", "2", "--node-report", path];
    for (const change of [
      { host: "" },
      { checkedAt: "soon" },
      { keyId: "k".repeat(1025) },
      { good: "yes" },
      { removedVersions: [0] },
    ]) {
      expect((await type("retire-versions", ...words(nodeReport(change)))).code).toBe(4);
    }
    writeFileSync(node.at("node.json"), `{"host":"n1"}${" ".repeat(1024 * 1024)}`);
    expect((await type("retire-versions", ...words(node.at("node.json")))).code).toBe(3);
    const behind = await json("retire-versions", ...words(nodeReport({ keyId: keyId(0) })));
    expect(codes(behind.blockers)).toContain("node_behind");
    const failed = await json("retire-versions", ...words(nodeReport({ good: false })));
    expect(codes(failed.blockers)).toContain("node_behind");
    const good = await json("retire-versions", ...words(nodeReport()));
    expect(codes(good.blockers)).not.toContain("node_behind");
  });

  test("the command line has to say where, and a node without a registry has nothing", async () => {
    expect((await type("retire-versions")).code).toBe(2);
    rmSync(node.at("state/key-registry.json"));
    rmSync(node.at("state/key-registry.json.checkpoint"), { force: true });
    const { code, stderr } = await type("retire-versions", "--before-version", "2");
    expect(code).toBe(4);
    expect(stderr).toContain("there is no registry");
  });
});

describe("restore-versions", () => {
  beforeEach(() => node.writeRegistry(["removed", "active"]));

  test("a plan, and what it does", async () => {
    const plan = await type("restore-versions", "--versions", "1");
    expect(plan.code).toBe(0);
    expect(settled(plan.stdout)).toMatchSnapshot();
    const { stateHash } = await json("restore-versions", "--versions", "1");
    expect((await type("restore-versions", "--versions", "1", "--apply")).code).toBe(2);
    expect(node.states()).toEqual(["removed", "active"]);
    const words = ["--versions", "1", "--apply", "--expected-state-hash", stateHash];
    const done = await type("restore-versions", ...words);
    expect(settled(done.stdout)).toMatchSnapshot();
    expect(node.states()).toEqual(["retired", "active"]);
  });

  test("a version that cannot come back is a blocker, and nothing is written", async () => {
    const before = registry();
    const plan = await json("restore-versions", "--versions", "7", "--apply");
    expect(plan).toMatchObject({ code: 4, applied: false, restore: [] });
    expect(codes(plan.blockers)).toEqual(["version_unknown"]);
    expect(registry()).toBe(before);
    expect(settled((await type("restore-versions", "--versions", "7")).stdout)).toMatchSnapshot();
  });

  test.each([
    [],
    ["--versions", "0"],
    ["--versions", "1,x"],
    ["--versions", "1,"],
    ["--versions", "1234567890"],
  ])("%p is no list of versions", async (...words) => {
    expect((await type("restore-versions", ...words)).code).toBe(2);
  });
});

describe("rebuild-registry", () => {
  beforeEach(async () => {
    await node.writeRegistry(["removed", "active"]);
    rmSync(node.at("state/key-registry.json"));
    rmSync(node.at("state/key-registry.json.checkpoint"), { force: true });
  });

  test("from the key_id of another node: a plan, and what it does", async () => {
    const words = ["--expected-key-id", keyId(1)];
    const plan = await type("rebuild-registry", ...words);
    expect(plan.code).toBe(0);
    expect(settled(plan.stdout)).toMatchSnapshot();
    const { planHash, versions } = await json("rebuild-registry", ...words);
    expect(versions).toEqual([
      { ...node.versions[0], state: "retired" },
      { ...node.versions[1], state: "active" },
    ]);
    expect((await type("rebuild-registry", ...words, "--apply")).code).toBe(2);
    expect((await type("rebuild-registry", ...words, "--apply", "--expected-state-hash", "x")).code).toBe(4);
    const done = await type("rebuild-registry", ...words, "--apply", "--expected-state-hash", planHash);
    expect(settled(done.stdout)).toMatchSnapshot();
    expect(node.states()).toEqual(["retired", "active"]);
  });

  test("the hash is that of versions and their states, not of the moment", async () => {
    const hash = async (index: 0 | 1) =>
      (await json("rebuild-registry", "--expected-key-id", keyId(index))).planHash;
    expect(await hash(1)).toBe(await hash(1));
    expect(await hash(1)).not.toBe(await hash(0));
  });

  test("a key_id that does not derive is a blocker, and nothing is written", async () => {
    const plan = await json("rebuild-registry", "--expected-key-id", "obk2.unknown", "--apply");
    expect(plan).toMatchObject({ code: 4, applied: false, planHash: "", versions: [] });
    expect(plan.blockers.length).toBeGreaterThan(0);
    const text = await type("rebuild-registry", "--expected-key-id", "obk2.unknown");
    expect(settled(text.stdout)).toMatchSnapshot();
    expect(() => registry()).toThrow("ENOENT");
  });

  test("takes the versions of a Go registry over, which is no secret", async () => {
    const { providerName, clusterId, openbaoInstanceId, transitMountId, keyLineageId } = node.identity;
    const snapshots = node.versions.map((version) => ({
      providerName,
      clusterId,
      openbaoInstanceId,
      transitMountId,
      transitKeyLineageId: keyLineageId,
      transitVersion: version.version,
      transitVersionCreatedAtUnix: version.createdAtUnix,
      kubernetesKeyId: deriveKeyId(node.identity, version),
      state: "active",
      aadMode: "aad.required",
    }));
    const go = { schemaVersion: "keyregistry.openbao-kms/v1alpha1", activeKeyId: "x", snapshots };
    writeFileSync(node.at("go.json"), JSON.stringify(go), { mode: 0o644 });
    const { code, versions } = await json("rebuild-registry", "--from-go", node.at("go.json"));
    expect(code).toBe(0);
    expect(versions.map(({ state }: { readonly state: string }) => state)).toEqual(["retired", "active"]);
  });

  test("giving versions up needs a reason; a Go registry is decoded as hostile", async () => {
    expect((await type("rebuild-registry", "--abandon-versions")).code).toBe(2);
    writeFileSync(node.at("go.json"), "{}");
    expect((await type("rebuild-registry", "--from-go", node.at("go.json"))).code).toBe(4);
  });
});
