/** rotation-plan and verify-key over a registry on disk and the stand-in for OpenBao. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import * as v from "valibot";
import { REPORT_SCHEMAS } from "../../scripts/reference/report-schemas.ts";
import { makeNodeFiles, type NodeFiles } from "../../test/fakes/node-files.ts";
import { faults } from "../../test/fakes/openbao/faults.ts";
import { leastPrivilegePolicy } from "../../test/fakes/openbao/provision.ts";
import { systemClock } from "../base/clock.ts";
import { decodeConfig } from "../config/decode-config.ts";
import { fingerprint, identityHashes } from "../key/identity/fingerprint.ts";
import { firstContent, withNewVersions, withObservation } from "../key/registry/changes.ts";
import { handleMaker } from "../key/rotation/key-handles.ts";
import { makeMarker } from "../key/rotation/marker.ts";
import { openOperatorAccess } from "../provider/operator.ts";
import { configIdentity, openConfiguredRegistry } from "../provider/registry.ts";

const never = new AbortController().signal;
const euid = process.geteuid?.() ?? 0;

let node: NodeFiles;
beforeAll(async () => {
  node = await makeNodeFiles();
});
afterAll(() => node.dispose());

const config = () => decodeConfig(readFileSync(node.configPath), "test").config;
const keyPath = () => `${node.names.mount}/keys/${node.names.keyName}`;

/** What a provider records at its first start. */
async function recordFirstVersion() {
  const identity = configIdentity(config());
  const access = await openOperatorAccess(config(), euid);
  const [version] = (await access.transit.readKey(never)).versions;
  if (version === undefined) {
    throw new Error("the key has no version");
  }
  const marker = await makeMarker(access.transit, handleMaker(identity, "test").handleOf(version), never);
  await access.close();
  const content = firstContent(identityHashes(identity), fingerprint(identity), { ...version, marker }, 1);
  return (await store().commit(undefined, content, never)).stored;
}

const store = () => openConfiguredRegistry(config(), { clock: systemClock, euid });

const type = (command: string, ...words: readonly string[]) =>
  node.type(command, "--config", node.configPath, ...words);
async function json(command: "rotation-plan" | "verify-key") {
  const { code, stdout } = await type(command, "--output", "json");
  expect(v.safeParse(REPORT_SCHEMAS[command], JSON.parse(stdout)).issues).toBeUndefined();
  return { code, ...JSON.parse(stdout) };
}

const settled = (text: string): string =>
  text
    .replace(/obk2\.[\w-]{43}/g, "KEY_ID")
    .replace(/\b[0-9a-f]{4}(-[0-9a-f]{4}){3}\b/g, "FINGERPRINT")
    .replace(/(state hash\s+)\S+/, "$1HASH")
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, "TIME");

describe("without a registry", () => {
  test("both say so", async () => {
    expect(await json("rotation-plan")).toMatchObject({
      code: 0,
      partial: false,
      registry: null,
      latestVersion: 1,
    });
    const { code, checks } = await json("verify-key");
    expect(code).toBe(0);
    expect(checks.map(({ status }: { status: string }) => status)).toEqual([
      "passed",
      "passed",
      "skipped",
      "skipped",
    ]);
  });
});

test("a key that OpenBao does not have is an answer", async () => {
  const keyName = "no-such-key";
  const allow = (policy: string) =>
    node.operator.must("POST", `sys/policies/acl/${node.names.policyName}`, { policy });
  node.writeConfig((fields) => ({ ...fields, transit: { ...fields.transit, keyName } }));
  await allow(leastPrivilegePolicy({ ...node.names, keyName }));
  const plan = await json("rotation-plan");
  await allow(leastPrivilegePolicy(node.names));
  node.writeConfig();
  expect(plan).toMatchObject({ code: 0, partial: false, openbao: null, latestVersion: null });
});

describe("with one", () => {
  beforeAll(async () => {
    await recordFirstVersion();
  });

  test("a key that was not rotated", async () => {
    const { code, stdout } = await type("rotation-plan");
    expect(code).toBe(0);
    expect(settled(stdout)).toMatchSnapshot();
    expect(await json("verify-key")).toMatchObject({ code: 0, good: true, partial: false });
    expect(settled((await type("verify-key")).stdout)).toMatchSnapshot();
  });

  test("a watch with nothing left to do ends at once, and JSON is refused", async () => {
    const { code, stdout } = await type("rotation-plan", "--watch");
    expect(code).toBe(0);
    expect(settled(stdout)).toBe(
      "TIME  version 1 is active; next: nothing: the active version is the latest\n",
    );
    expect((await type("rotation-plan", "--watch", "--output", "json")).code).toBe(2);
  });

  test("leave the state as it was, and give their tokens back", async () => {
    const before = readFileSync(node.at("state/key-registry.json"), "utf8");
    await type("rotation-plan");
    expect(node.openbao.calls.at(-1)?.path).toBe("auth/token/revoke-self");
    await type("verify-key");
    expect(node.openbao.calls.at(-1)?.path).toBe("auth/token/revoke-self");
    expect(readFileSync(node.at("state/key-registry.json"), "utf8")).toBe(before);
  });

  test("an OpenBao that cannot be asked makes a partial report and exit 4", async () => {
    const recover = node.openbao.inject(faults.sealed);
    try {
      expect(await json("rotation-plan")).toMatchObject({
        code: 4,
        partial: true,
        openbao: { code: "sealed" },
        activeVersion: 1,
      });
      const { code, checks } = await json("verify-key");
      expect(code).toBe(4);
      expect(checks[0]).toMatchObject({ status: "failed", findings: [{ code: "sealed" }] });
    } finally {
      recover();
    }
  });

  test("a rotation in progress says what it waits for", async () => {
    await node.operator.must("POST", `${keyPath()}/rotate`, {});
    expect(await json("rotation-plan")).toMatchObject({
      code: 0,
      latestVersion: 2,
      next: { kind: "observe", version: 2 },
    });
    const access = await openOperatorAccess(config(), euid);
    const seen = (await access.transit.readKey(never)).versions.slice(1);
    await access.close();
    const state = await store().load();
    if (state.kind === "missing" || seen[0] === undefined) {
      throw new Error("the registry is gone");
    }
    const observed = withObservation(withNewVersions(state.stored.record, seen, 2), {
      ...seen[0],
      count: 1,
      stableForMs: 0,
      lastSeenUnixMs: 1,
      lastSeenBootMs: 1,
    });
    await store().commit(state.stored, observed, never);
    const { stdout } = await type("rotation-plan");
    expect(settled(stdout)).toMatchSnapshot();
    expect(await json("rotation-plan")).toMatchObject({
      next: { kind: "wait", version: 2, missingObservations: 2, missingMs: 120_000 },
    });
  });

  test("a version without a marker is proven with a new one", async () => {
    const { code, checks } = await json("verify-key");
    expect(code).toBe(0);
    expect(checks.at(-1)).toMatchObject({ id: "key.markers", detail: "2 of 2 versions proven" });
  });

  test("plans over the same registry keep to their shapes", async () => {
    const plans = [
      ["retire-versions", "--before-version", "1"],
      ["restore-versions", "--versions", "1"],
    ] as const;
    for (const [command, ...words] of plans) {
      const { stdout } = await type(command, ...words, "--output", "json");
      expect(v.safeParse(REPORT_SCHEMAS[command], JSON.parse(stdout)).issues).toBeUndefined();
    }
  });

  test("a version that is hidden is found", async () => {
    await node.operator.must("POST", `${keyPath()}/config`, { min_decryption_version: 2 });
    const { code, checks } = await json("verify-key");
    await node.operator.must("POST", `${keyPath()}/config`, { min_decryption_version: 1 });
    expect(code).toBe(4);
    expect(checks.at(-1)).toMatchObject({ status: "failed" });
    expect(JSON.stringify(checks)).toContain("active_version_hidden");
  });

  test("a registry of another configuration is refused", async () => {
    node.writeConfig((fields) => ({
      ...fields,
      transit: { ...fields.transit, keyIdScope: { ...fields.transit.keyIdScope, clusterId: "other" } },
    }));
    const { code, stderr } = await type("rotation-plan");
    node.writeConfig();
    expect(code).toBe(4);
    expect(stderr).toContain("clusterId");
    expect(readdirSync(node.at("state")).length).toBeGreaterThan(0);
  });

  afterAll(() => rmSync(node.at("state"), { recursive: true, force: true }));
});
