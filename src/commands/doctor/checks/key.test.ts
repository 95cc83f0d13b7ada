/** What this node recorded of the key, against a key with two versions. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { makeRotatedNode, type RotatedNode } from "../../../../test/fakes/rotated-node.ts";

let node: RotatedNode;
beforeAll(async () => {
  node = await makeRotatedNode();
});
afterAll(() => node.dispose());

interface Told {
  readonly id: string;
  readonly status: string;
  readonly detail: string;
  readonly findings: readonly { readonly code: string }[];
}

/** `status codes` of one check. */
async function told(id: string, ...words: readonly string[]) {
  const { stdout } = await node.type("doctor", "--config", node.configPath, "--output", "json", ...words);
  const checks: readonly Told[] = JSON.parse(stdout).checks;
  const { status = "", detail = "", findings = [] } = checks.find((each) => each.id === id) ?? {};
  return { told: [status, ...findings.map(({ code }) => code)].join(" "), detail };
}

describe("registry.state", () => {
  const observing = (): void =>
    node.writeConfig((fields) => ({ ...fields, bootstrap: { missingState: "observe" } }));
  const withoutRegistry = async (): Promise<void> => {
    await node.writeRegistry(["retired", "active"]);
    rmSync(node.at("state/key-registry.json"));
    rmSync(node.at("state/key-registry.json.checkpoint"));
  };

  test("of a registry that agrees with the key", async () => {
    await node.writeRegistry(["retired", "active"]);
    const state = await told("registry.state");
    expect(state.told).toBe("passed");
    expect(state.detail).toContain("active version 2");
  });

  test("of none, though the key was rotated: a failure, or a warning where it may observe", async () => {
    await withoutRegistry();
    expect((await told("registry.state")).told).toBe("failed registry_rotated_without_state");
    observing();
    expect((await told("registry.state")).told).toBe("warning registry_observed_start");
    node.writeConfig();
  });

  test("of a key that hides its active version", async () => {
    await node.writeRegistry(["active", "pending"]);
    const path = `${node.names.mount}/keys/${node.names.keyName}/config`;
    await node.operator.must("POST", path, { min_decryption_version: 2 });
    const { told: state } = await told("registry.state");
    await node.operator.must("POST", path, { min_decryption_version: 1 });
    expect(state).toStartWith("failed ");
    expect(state).toContain("active_version_hidden");
  });
});

test("key_id.deterministic compares the fingerprint", async () => {
  const { detail } = await told("key_id.deterministic");
  const mark = detail.replace("fingerprint ", "");
  expect((await told("key_id.deterministic", "--expect-fingerprint", mark)).told).toBe("passed");
  expect((await told("key_id.deterministic", "--expect-fingerprint", "0000-0000-0000-0000")).told).toBe(
    "failed fingerprint_differs",
  );
});
