/**
 * SIGKILL again and again at random moments, from the start of the process to the middle of a promotion, with rotations all
 * the time; after each the registry on disk is judged.
 *
 * @module Acts on a world; who starts it says how often. What a kill between two file operations leaves is held exhaustively
 * by src/registry/file-store.kill.test.ts; this is the same of the whole provider.
 */
import { readFileSync } from "node:fs";
import { decodeRecord } from "../../src/registry/decode.ts";
import type { World } from "./world.ts";

export interface StormOptions {
  readonly kills: number;
  /** Told after each kill, from 1. */
  readonly onKill?: (kill: number, problems: readonly string[]) => void;
}

export interface StormResult {
  readonly kills: number;
  readonly rotations: number;
  readonly promotions: number;
  readonly ciphertexts: number;
  readonly problems: readonly string[];
}

const LONGEST_LIFE_MS = 1600;
const ROTATED_EVERY = 4;
const VERIFIED_EVERY = 50;

export async function killStorm(world: World, { kills, onKill }: StormOptions): Promise<StormResult> {
  const problems: string[] = [];
  let rotations = 0;
  let generation = 0;
  let active = 0;
  let promotions = 0;

  /** The registry as the dead process left it: whole, not older than before, one active version, none behind the last. */
  const judge = (): void => {
    const decoded = decodeRecord(readFileSync(world.statePath));
    if (decoded.kind === "refused") {
      problems.push(`the registry is refused: ${decoded.code}`);
      return;
    }
    const { record } = decoded;
    const versions = record.versions.filter(({ state }) => state === "active").map(({ version }) => version);
    const [now = 0] = versions;
    if (versions.length !== 1) {
      problems.push(`${versions.length} versions are active`);
    }
    if (record.generation < generation || now < active) {
      problems.push(`generation ${generation} became ${record.generation}, version ${active} became ${now}`);
    }
    promotions += now > active && active > 0 ? 1 : 0;
    generation = record.generation;
    active = now;
  };

  for (let kill = 1; kill <= kills; kill += 1) {
    if (world.process.exited()) {
      world.process.spawn();
    }
    if (kill % ROTATED_EVERY === 0) {
      await world.post(`${world.keyPath}/rotate`);
      rotations += 1;
    }
    await Bun.sleep(Math.random() * LONGEST_LIFE_MS);
    if (world.process.exited()) {
      problems.push(`it has ended by itself with ${world.process.exitCode() ?? "a signal"}`);
    }
    await world.process.kill();
    judge();
    if (kill % VERIFIED_EVERY === 0) {
      await world.process.start();
      problems.push(...(await world.load.verify()));
    }
    problems.push(...world.load.take().wrong);
    onKill?.(kill, problems);
  }
  await world.process.start();
  problems.push(...(await world.load.verify()), ...world.load.take().wrong);
  return { kills, rotations, promotions, ciphertexts: world.load.count(), problems };
}
