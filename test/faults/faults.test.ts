/**
 * Every fault of the table, caused for real against the compiled executable and a real OpenBao, each only as long as it
 * takes to see it. The long version, with kube-apiserver, is `bun scripts/faults.ts --cluster`.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { describeReal } from "../harness/real-suite.ts";
import { runFault } from "./run-fault.ts";
import { FAULTS, inRunOrder } from "./table.ts";
import { makeWorld, type World } from "./world.ts";

const TIMEOUT_MS = 90_000;
const isRoot = process.getuid?.() === 0;

describeReal("faults", { needs: ["bao"], long: true }, (binary) => {
  let world: World;
  beforeAll(async () => {
    world = await makeWorld({ bao: binary("bao") });
  }, TIMEOUT_MS);
  afterAll(() => world.dispose());

  const rows = FAULTS.filter(({ fault }) => fault.long !== true);
  for (const { group, fault } of inRunOrder(rows)) {
    test.skipIf((fault.root ?? fault.ownMachine) === true && !isRoot)(
      `${fault.id}: ${fault.title}`,
      async () => {
        const result = await runFault(world, group, fault, { long: false });
        expect(result.problems).toEqual([]);
      },
      TIMEOUT_MS,
    );
  }

  test(
    "every ciphertext that was ever made decrypts",
    async () => {
      expect(world.load.count()).toBeGreaterThan(100);
      expect(await world.load.verify()).toEqual([]);
    },
    TIMEOUT_MS,
  );
});
