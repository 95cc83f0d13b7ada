/**
 * SIGKILL again and again at random moments, from the start of the process to the middle of a promotion, with rotations all
 * the time; after each the registry on disk is judged.
 *
 * @module Acts on a world; who starts it says how often. What a kill between two file operations leaves is held exhaustively
 * by src/key/registry/file-store.kill.test.ts; this is the same of the whole provider.
 */
import { registryJudge } from "./registry-judge.ts";
import type { World } from "./world.ts";

const LONGEST_LIFE_MS = 1600;
const ROTATED_EVERY = 4;
const VERIFIED_EVERY = 50;

/** `onKill` gets the number of each kill, from 1. */
export async function killStorm(
  world: World,
  kills: number,
  onKill: (kill: number, problems: readonly string[]) => void = () => {},
) {
  const problems: string[] = [];
  let rotations = 0;
  const judge = registryJudge(world.statePath);

  for (let kill = 1; kill <= kills; kill += 1) {
    if (world.provider.exited()) {
      world.provider.spawn();
    }
    if (kill % ROTATED_EVERY === 0) {
      await world.post(`${world.keyPath}/rotate`);
      rotations += 1;
    }
    await Bun.sleep(Math.random() * LONGEST_LIFE_MS);
    if (world.provider.exited()) {
      problems.push(`it has ended by itself with ${world.provider.exitCode() ?? "a signal"}`);
    }
    await world.provider.kill();
    problems.push(...judge.look());
    if (kill % VERIFIED_EVERY === 0) {
      await world.provider.start();
      problems.push(...(await world.load.verify()));
    }
    problems.push(...world.load.take().wrong);
    onKill(kill, problems);
  }
  // After a verified kill it runs already; a second one would leave the first without anyone who ends it.
  if (world.provider.exited()) {
    await world.provider.start();
  }
  problems.push(...(await world.load.verify()), ...world.load.take().wrong);
  return { kills, rotations, promotions: judge.promotions(), ciphertexts: world.load.count(), problems };
}
