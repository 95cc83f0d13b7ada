/**
 * @module A machine with the unit on it, and what a test does to the unit and asks of it. One machine for each file that calls
 * `describeUnit`; its OpenBao is a real one. Tests leave the unit as they would like to find it.
 */
import { afterAll, beforeAll, setDefaultTimeout } from "bun:test";
import { releaseTools } from "../packaging/artefacts.ts";
import { type ProviderMachine, providerMachine, unit } from "./provider-machine.ts";
import { describeOnMachine, machineTimeoutMs } from "./systemd-suite.ts";

export const dropIns = `/etc/systemd/system/${unit}.d`;
/** Where the package puts what is copied from deploy/systemd. */
export const examples = "/usr/share/doc/bao-kms-provider/examples/systemd";

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

export type UnitMachine = ReturnType<typeof unitMachine>;

function unitMachine(host: () => ProviderMachine) {
  const must = (script: string): Promise<string> => host().machine.must(script);
  return {
    get host() {
      return host();
    },
    get machine() {
      return host().machine;
    },
    /** What `systemctl is-active` prints. */
    state: async () => (await host().machine.sh(`systemctl is-active ${unit}`)).stdout.trim(),
    /** The machine's time, as the journal's `--since` takes it. */
    now: () => must("date '+%Y-%m-%d %H:%M:%S.%6N'"),
    stop: () => must(`systemctl stop ${unit}; systemctl reset-failed ${unit} 2>/dev/null || true`),
    start: () => host().machine.sh(`systemctl start ${unit}`),
    encrypts: (timeoutMs?: number) => host().encrypts(timeoutMs),
    /** Encrypts a seed and throws unless it decrypts to the same. */
    roundTrip: async () => {
      const client = host().client();
      const seed = crypto.getRandomValues(new Uint8Array(32));
      const { ciphertext, keyId, annotations } = await client.encrypt(seed);
      const { plaintext } = await client.decrypt({ ciphertext, keyId, annotations });
      if (!Buffer.from(plaintext).equals(Buffer.from(seed))) {
        throw new Error("another plaintext than was encrypted");
      }
    },
    dropIn: (name: string, text: string) => {
      host().machine.put(`${dropIns}/${name}`, text);
      return must("systemctl daemon-reload");
    },
    undoDropIn: (name: string) => must(`rm -f ${dropIns}/${name}; systemctl daemon-reload`),
  };
}
