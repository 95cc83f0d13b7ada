/** One probe: what it asks, what it reports, and when it does not go deep. */
import { describe, expect, test } from "bun:test";
import type { FakeCall } from "../../../test/fakes/fake-key.ts";
import { type KeyNode, testPolicy } from "../../../test/fakes/key-node.ts";
import { running } from "../../../test/fakes/key-node-questions.ts";

/** The reports of the probes since the last call. */
const reportsOf = (node: KeyNode) =>
  node.events
    .splice(0)
    .filter(({ name }) => name === "status.probe")
    .map(({ level, fields: { probeKind, status, code, healthz } }) => [
      level,
      probeKind,
      status,
      code,
      healthz,
    ]);

const goodProbe = ["debug", "metadata", "ok", undefined, "ok"];

describe("a probe that is due to go deep", () => {
  async function due() {
    const { node, key } = await running();
    expect(reportsOf(node)).toEqual([goodProbe, ["debug", "deep", "ok", undefined, "ok"]]);
    node.clock.pass(testPolicy.deepProbeIntervalMs);
    return { node, key };
  }

  test.each(["readKey", "readDisableUpsert"] as const)("does not when %s fails", async (call: FakeCall) => {
    const { node, key } = await due();
    key.failWith("permission_denied", call);
    await node.probe();
    expect(node.keys.view().failure?.code).toBe("permission_denied");
    expect(reportsOf(node)).toEqual([
      ["warn", "metadata", "error", "permission_denied", "transit_policy_denied"],
    ]);
  });

  test("reports that it cannot encrypt", async () => {
    const { node, key } = await due();
    key.failWith("permission_denied", "encrypt");
    await node.probe();
    expect(node.keys.view().failure?.code).toBe("permission_denied");
    expect(reportsOf(node)).toEqual([goodProbe, ["warn", "deep", "error", "permission_denied", "ok"]]);
  });

  test("encrypts nothing while the key is held", async () => {
    const { node, key } = await due();
    key.change({ upsertDisabled: false });
    key.failWith("permission_denied", "encrypt");
    await node.probe();
    expect(node.keys.view().failure).toBeUndefined();
    expect(reportsOf(node).map(([, kind, status]) => [kind, status])).toEqual([
      ["metadata", "ok"],
      ["deep", "ok"],
    ]);
  });
});
