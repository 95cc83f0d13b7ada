/**
 * @module A machine with the unit on it, and what a test does to the unit and asks of it. One machine for each file that calls
 * `describeUnit`; its OpenBao is a real one. Tests leave the unit as they would like to find it.
 */
import { afterAll, beforeAll, setDefaultTimeout } from "bun:test";
import { eventually } from "../harness/eventually.ts";
import { releaseTools } from "../packaging/artefacts.ts";
import type { Machine } from "./machine.ts";
import { type ProviderMachine, providerMachine, unit } from "./provider-machine.ts";
import { describeOnMachine, machineTimeoutMs } from "./systemd-suite.ts";

export const dropIns = `/etc/systemd/system/${unit}.d`;
/** Where the package puts what is copied from deploy/systemd. */
export const examples = "/usr/share/doc/bao-kms-provider/examples/systemd";

export interface UnitMachine {
  readonly host: ProviderMachine;
  readonly machine: Machine;
  /** What `systemctl is-active` says. */
  readonly state: () => Promise<string>;
  /** The machine's time, as the journal's `--since` takes it. */
  readonly now: () => Promise<string>;
  readonly stop: () => Promise<string>;
  readonly start: () => ReturnType<Machine["sh"]>;
  /** Resolves when the provider is well. */
  readonly encrypts: (timeoutMs?: number) => Promise<unknown>;
  /** Encrypts a seed and throws unless it decrypts to the same. */
  readonly roundTrip: () => Promise<void>;
  readonly dropIn: (name: string, text: string) => Promise<string>;
  readonly undoDropIn: (name: string) => Promise<string>;
}

export function describeUnit(title: string, body: (on: UnitMachine) => void): void {
  setDefaultTimeout(machineTimeoutMs);
  describeOnMachine(title, { ...releaseTools, bao: "none: an OpenBao binary on PATH" }, () => {
    let host: ProviderMachine;
    beforeAll(async () => {
      host = await providerMachine();
      // A unit that nothing wants is forgotten when it stops, and `systemctl status` with it.
      await host.machine.must(`systemctl enable ${unit}`);
    });
    afterAll(() => host.dispose());
    body(unitMachine(() => host));
  });
}

function unitMachine(host: () => ProviderMachine): UnitMachine {
  const must = (script: string): Promise<string> => host().machine.must(script);
  return {
    get host() {
      return host();
    },
    get machine() {
      return host().machine;
    },
    state: async () => (await host().machine.sh(`systemctl is-active ${unit}`)).stdout.trim(),
    now: () => must("date '+%Y-%m-%d %H:%M:%S.%6N'"),
    stop: () => must(`systemctl stop ${unit}; systemctl reset-failed ${unit} 2>/dev/null || true`),
    start: () => host().machine.sh(`systemctl start ${unit}`),
    encrypts: (timeoutMs = 20_000) =>
      eventually("the provider encrypts", async () => (await host().client().status()).healthz === "ok", {
        timeoutMs,
      }),
    roundTrip: async () => {
      const client = host().client();
      const seed = crypto.getRandomValues(new Uint8Array(32));
      const { ciphertext, keyId, annotations } = await client.encrypt(seed);
      const { plaintext } = await client.decrypt({ ciphertext, keyId, annotations });
      if (!Buffer.from(plaintext).equals(Buffer.from(seed))) {
        throw new Error("another plaintext than was encrypted");
      }
    },
    dropIn: (name, text) => {
      host().machine.put(`${dropIns}/${name}`, text);
      return must("systemctl daemon-reload");
    },
    undoDropIn: (name) => must(`rm -f ${dropIns}/${name}; systemctl daemon-reload`),
  };
}
