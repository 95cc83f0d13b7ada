/**
 * @module A node of a control plane for tests: a disk, a clock and the key state that runs on them. Wires createKeyState to
 * the stand-ins, and starts it again as a new process would.
 */
import { identityHashes } from "../../src/key/identity/fingerprint.ts";
import { createRegistryStore, type RegistryStore } from "../../src/key/registry/file-store.ts";
import type { RegistryContent } from "../../src/key/registry/record.ts";
import type { KeyEvent } from "../../src/key/rotation/key-events.ts";
import type { ProbePolicy } from "../../src/key/rotation/key-probe.ts";
import { createKeyState, type KeyState } from "../../src/key/rotation/key-state.ts";
import { crashDisk } from "./crash-disk.ts";
import type { FakeKey } from "./fake-key.ts";
import { manualClock } from "./manual-clock.ts";
import { testIdentity } from "./registry-fixture.ts";

export const testPolicy: ProbePolicy = {
  requireStableObservationCount: 3,
  activationDelayMs: 120_000,
  probeIntervalMs: 30_000,
  statusMaxStalenessMs: 120_000,
  deepProbeIntervalMs: 300_000,
  retryIntervalMs: 5000,
  missingState: "refuse",
  outage: "keep-writing",
  names: { mountPath: "transit", keyName: "kubernetes" },
};

export const NODE_STATE_PATH = "/state/key-registry.json";
const never = new AbortController().signal;

export function keyNode(key: FakeKey, policy: ProbePolicy = testPolicy) {
  const disk = crashDisk("/state");
  const clock = manualClock();
  const events: KeyEvent[] = [];
  const store = (): RegistryStore =>
    createRegistryStore({
      statePath: NODE_STATE_PATH,
      identity: identityHashes(testIdentity),
      access: "write",
      euid: 1000,
      files: disk.files,
      tryLock: disk.tryLock,
      clock,
      lockWaitMs: 0,
    });
  const boot = (): KeyState =>
    createKeyState({
      store: store(),
      statePath: NODE_STATE_PATH,
      identity: testIdentity,
      pluginVersion: "0.1.0",
      transit: key.transit,
      clock,
      random: () => 0.5,
      policy,
      onEvent: (event) => {
        events.push(event);
      },
    });
  let keys = boot();
  return {
    disk,
    clock,
    events,
    /** The running process; {@link KeyNode.restart} replaces it. */
    get keys() {
      return keys;
    },
    probe: () => keys.probe(never),
    /** Lets time pass, then probes. */
    probeAfter: async (ms: number) => {
      clock.pass(ms);
      await keys.probe(never);
    },
    /** A new process on the same disk; loads the registry. */
    restart: async () => {
      keys = boot();
      await keys.start();
    },
    /** What a command beside the daemon writes. */
    command: async (change: (content: RegistryContent) => RegistryContent) => {
      const state = await store().load();
      if (state.kind === "found") {
        await store().commit(state.stored, change(state.stored.record), never);
      }
    },
    /** The names of the events since the last call. */
    takeEvents: () => events.splice(0).map((each) => each.name),
  };
}

export type KeyNode = ReturnType<typeof keyNode>;
