/**
 * The provider, and the commands that write its registry, killed with SIGKILL at random moments; `bun scripts/faults-kill.ts`
 * does it a thousand times.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { describeReal } from "../harness/real-suite.ts";
import { commandStorm } from "./command-storm.ts";
import { killStorm } from "./kill-storm.ts";
import { makeWorld, type World } from "./world.ts";

const TIMEOUT_MS = 90_000;
const KILLS = 12;

describeReal("kill storm", { needs: ["bao"], long: true }, (binary) => {
  let world: World;
  beforeAll(async () => {
    world = await makeWorld({ bao: binary("bao") });
  }, TIMEOUT_MS);
  afterAll(() => world.dispose());

  test(
    "the registry is whole after each, the key_id never goes back, every ciphertext decrypts",
    async () => {
      expect((await killStorm(world, KILLS)).problems).toEqual([]);
    },
    TIMEOUT_MS,
  );

  test(
    "the same of retirement, restoration and rebuilding; old versions change together or not at all",
    async () => {
      expect((await commandStorm(world, KILLS)).problems).toEqual([]);
    },
    TIMEOUT_MS,
  );
});
