/**
 * @module A control-plane node whose key has two versions, for tests of the commands that change the registry. Around node-
 * files.ts: the registry is written anew for each test, with the states that it wants.
 */
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { systemClock } from "../../src/base/clock.ts";
import { decodeConfig } from "../../src/config/decode-config.ts";
import type { ProviderConfig } from "../../src/config/schema.ts";
import { fingerprint, identityHashes } from "../../src/key/identity/fingerprint.ts";
import type { RegistryContent, VersionState } from "../../src/key/registry/record.ts";
import { openOperatorAccess } from "../../src/provider/operator.ts";
import { configIdentity, openConfiguredRegistry } from "../../src/provider/registry.ts";
import { makeNodeFiles } from "./node-files.ts";

type States = readonly [VersionState, VersionState];

const never = new AbortController().signal;

export async function makeRotatedNode() {
  const node = await makeNodeFiles();
  await node.operator.must("POST", `${node.names.mount}/keys/${node.names.keyName}/rotate`, {});
  const config = (): ProviderConfig => decodeConfig(readFileSync(node.configPath), "test").config;
  const euid = process.geteuid?.() ?? 0;
  const access = await openOperatorAccess(config(), euid);
  const [first, second] = (await access.transit.readKey(never)).versions;
  await access.close();
  if (first === undefined || second === undefined) {
    throw new Error("the key was not rotated");
  }
  const identity = configIdentity(config());
  const contentOf = ([one, two]: States): RegistryContent => ({
    identity: identityHashes(identity),
    fingerprint: fingerprint(identity),
    versions: [
      { ...first, state: one, firstSeenUnixMs: 1 },
      { ...second, state: two, firstSeenUnixMs: 2, activatedUnixMs: 3 },
    ],
  });
  return {
    ...node,
    config,
    identity,
    versions: [first, second] as const,
    contentOf,
    /** An empty state directory, and in it the registry. */
    writeRegistry: async (states: States) => {
      rmSync(node.at("state"), { recursive: true });
      mkdirSync(node.at("state"), { mode: 0o750 });
      const store = openConfiguredRegistry(config(), { clock: systemClock, euid });
      await store.commit(undefined, contentOf(states), never);
    },
    /** The states in the registry's file. */
    states: (): unknown =>
      JSON.parse(readFileSync(node.at("state/key-registry.json"), "utf8")).body.versions.map(
        ({ state }: { state: string }) => state,
      ),
  };
}

export type RotatedNode = Awaited<ReturnType<typeof makeRotatedNode>>;
