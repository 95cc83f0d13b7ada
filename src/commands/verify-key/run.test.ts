/** verify-key of a key with two versions, over the stand-in for OpenBao. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, rmSync } from "node:fs";
import { leastPrivilegePolicy } from "../../../test/fakes/openbao/provision.ts";
import { makeRotatedNode, type RotatedNode } from "../../../test/fakes/rotated-node.ts";
import { systemClock } from "../../base/clock.ts";
import type { VersionRecord } from "../../key/registry/record.ts";
import { handleMaker } from "../../key/rotation/key-handles.ts";
import { makeMarker } from "../../key/rotation/marker.ts";
import { openOperatorAccess } from "../../provider/operator.ts";
import { openConfiguredRegistry } from "../../provider/registry.ts";

const never = new AbortController().signal;
const euid = process.geteuid?.() ?? 0;
let node: RotatedNode;
beforeAll(async () => {
  node = await makeRotatedNode();
});
afterAll(() => node.dispose());
beforeEach(() => node.writeRegistry(["retired", "active"]));

const GOOD = {
  "key.metadata": "passed",
  "key.profile": "passed",
  "key.registry": "passed",
  "key.markers": "passed 2 of 2 versions proven",
};

/** The status of each check, with the codes that it found or, of the markers, what was proven. */
async function verified() {
  const { stdout } = await node.type("verify-key", "--config", node.configPath, "--output", "json");
  const checks: readonly {
    readonly id: string;
    readonly status: string;
    readonly detail: string;
    readonly findings: readonly { readonly code: string }[];
  }[] = JSON.parse(stdout).checks;
  return Object.fromEntries(
    checks.map(({ id, status, detail, findings }) => [
      id,
      [
        status,
        ...findings.map(({ code }) => code),
        ...(id === "key.markers" && status !== "skipped" ? [detail] : []),
      ].join(" "),
    ]),
  );
}

async function rewriteVersions(
  change: (versions: readonly VersionRecord[]) => readonly VersionRecord[],
): Promise<void> {
  const store = openConfiguredRegistry(node.config(), { clock: systemClock, euid });
  const state = await store.load();
  if (state.kind === "missing") {
    throw new Error("there is no registry");
  }
  const content = node.contentOf(["retired", "active"]);
  await store.commit(state.stored, { ...content, versions: change(content.versions) }, never);
}

/** With the key's settings changed for a while. */
type Setting = Readonly<Record<string, boolean | number>>;

async function withSetting(path: string, setting: Setting, before: Setting) {
  await node.operator.must("POST", `${node.names.mount}/${path}`, setting);
  try {
    return await verified();
  } finally {
    await node.operator.must("POST", `${node.names.mount}/${path}`, before);
  }
}
const keyConfig = () => `keys/${node.names.keyName}/config`;

test("a key as it should be", async () => {
  expect(await verified()).toEqual(GOOD);
});

test("a version that is removed needs no proof", async () => {
  await node.writeRegistry(["removed", "active"]);
  expect(await verified()).toEqual({ ...GOOD, "key.markers": "passed 1 of 1 version proven" });
});

test("nor does one that was rejected", async () => {
  const createdAtUnix = node.versions[1].createdAtUnix + 1;
  await rewriteVersions((versions) => [
    ...versions,
    { version: 2, createdAtUnix, state: "rejected", firstSeenUnixMs: 3 },
  ]);
  expect((await verified())["key.markers"]).toBe("passed 2 of 2 versions proven");
});

test("a fault of the key's settings is found once", async () => {
  expect(await withSetting(keyConfig(), { deletion_allowed: true }, { deletion_allowed: false })).toEqual({
    ...GOOD,
    "key.profile": "failed deletion_allowed",
  });
  expect(await withSetting("config/keys", { disable_upsert: false }, { disable_upsert: true })).toEqual({
    ...GOOD,
    "key.profile": "failed upsert_enabled",
  });
});

test("a key that OpenBao does not have leaves nothing to prove", async () => {
  const keyName = "no-such-key";
  const allow = (policy: string) =>
    node.operator.must("POST", `sys/policies/acl/${node.names.policyName}`, { policy });
  node.writeConfig((fields) => ({ ...fields, transit: { ...fields.transit, keyName } }));
  rmSync(node.at("state"), { recursive: true });
  mkdirSync(node.at("state"), { mode: 0o750 });
  await allow(leastPrivilegePolicy({ ...node.names, keyName }));
  expect(await verified()).toEqual({
    "key.metadata": "failed key_missing",
    "key.profile": "skipped",
    "key.registry": "skipped",
    "key.markers": "skipped",
  });
  await allow(leastPrivilegePolicy(node.names));
  node.writeConfig();
});

describe("markers", () => {
  /** The registry with a marker of each of these versions in the place of those of versions 1 and 2. */
  async function keepMarkers(...ofVersions: readonly [0 | 1, 0 | 1]) {
    const access = await openOperatorAccess(node.config(), euid);
    const handles = handleMaker(node.identity, "test");
    const markers = await Promise.all(
      ofVersions.map((index) => makeMarker(access.transit, handles.handleOf(node.versions[index]), never)),
    );
    await access.close();
    await rewriteVersions((versions) =>
      versions.map((version, index) => Object.assign({ marker: markers[index] ?? "" }, version)),
    );
  }

  test("that are kept are decrypted, and none is made", async () => {
    await keepMarkers(0, 1);
    const before = node.openbao.calls.length;
    expect(await verified()).toEqual(GOOD);
    const calls = node.openbao.calls.slice(before).map(({ path }) => path);
    expect(calls.filter((path) => path.includes("/encrypt/"))).toEqual([]);
  });

  test("of another version are refused", async () => {
    await keepMarkers(1, 1);
    expect((await verified())["key.markers"]).toBe("failed marker_refused 1 of 2 versions proven");
  });

  test("below min_encryption_version cannot be made", async () => {
    const found = await withSetting(
      keyConfig(),
      { min_encryption_version: 2 },
      { min_encryption_version: 0 },
    );
    expect(found["key.markers"]).toBe("warning marker_absent 1 of 2 versions proven");
  });
});
