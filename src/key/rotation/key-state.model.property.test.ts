/**
 * Key state, registry and disk of several nodes against a simple model: whatever the key, the clocks, the disks and the
 * processes do, the rules of KMS v2 hold on every node, and when all is well again they converge and read all data.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { fakeKey } from "../../../test/fakes/fake-key.ts";
import { MISHAPS, ORDINARY } from "../../../test/fakes/key-commands.ts";
import {
  checkRules,
  heal,
  type Model,
  pass,
  probe,
  type Real,
  readAll,
  restoreVersions,
  write,
} from "../../../test/fakes/key-model.ts";
import { keyNode, testPolicy } from "../../../test/fakes/key-node.ts";

const { probeIntervalMs } = testPolicy;
const RUNS = Number(Bun.env["MODEL_RUNS"] ?? 60);

test(
  "several nodes of one control plane keep the rules of KMS v2",
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.commands([...ORDINARY, ...ORDINARY, ...MISHAPS], { maxCommands: 60, size: "max" }),
        async (commands) => {
          const key = fakeKey();
          const real: Real = {
            key,
            nodes: [keyNode(key), keyNode(key), keyNode(key)],
            data: [],
            past: key.state,
            sound: true,
          };
          const model: Model = {
            now: 0,
            createdAt: new Map([[1, 0]]),
            nodes: real.nodes.map(() => ({ shown: 0, probes: [] })),
            written: 0,
          };
          for (const node of real.nodes) {
            await node.keys.start();
            await node.probe();
          }
          await fc.asyncModelRun(() => ({ model, real }), commands);

          heal(real);
          for (const index of real.nodes.keys()) {
            await restoreVersions(real, index);
          }
          for (let round = 0; round < 12; round += 1) {
            pass(model, real, probeIntervalMs);
            for (const index of real.nodes.keys()) {
              await probe(model, real, index);
              checkRules(model, real);
            }
          }
          for (const node of real.nodes) {
            expect(node.keys.status()).toMatchObject({ kind: "known", healthz: "ok" });
            expect(node.keys.keyForEncrypt().version).toBe(key.state.versions.length);
          }
          await write(model, real, 0);
          await readAll(model, real);
        },
      ),
      { numRuns: RUNS },
    );
  },
  { timeout: 600_000 },
);
