/**
 * @module Kills the provider with SIGKILL at random moments, through starts, rotations and promotions, and then the commands that retire and
 * restore versions and rebuild the registry: `bun scripts/faults-kill.ts`.
 *
 * --kills N      how often the provider (default 1000, about 20 minutes)
 * --commands N   how many commands (default 240, about 6 minutes)
 * --out FILE     the result as JSON
 */
import { parseArgs } from "node:util";
import { commandStorm } from "../test/faults/command-storm.ts";
import { killStorm } from "../test/faults/kill-storm.ts";
import { makeWorld } from "../test/faults/world.ts";
import { needBinary } from "../test/harness/real-suite.ts";
import { runScript, writeJson } from "./run-script.ts";

const SHOWN_EVERY = 50;
const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "1000" },
    commands: { type: "string", default: "240" },
    out: { type: "string" },
  },
});

const progress =
  (all: string, what: string) =>
  (done: number, problems: readonly string[]): void => {
    if (done % SHOWN_EVERY === 0) {
      console.log(`${done}/${all} ${what}, ${problems.length} problems`);
    }
  };

async function main(): Promise<number> {
  const world = await makeWorld({ bao: needBinary("bao") });
  try {
    const provider = await killStorm(world, Number(values.kills), progress(values.kills, "kills"));
    console.log(
      `${provider.kills} kills, ${provider.rotations} rotations, ${provider.promotions} promotions seen, ${provider.problems.length} problems`,
    );
    const commands = await commandStorm(
      world,
      Number(values.commands),
      progress(values.commands, "commands"),
    );
    for (const [command, { killed, done }] of Object.entries(commands.commands)) {
      console.log(`${command}: ${killed} killed, ${done} done before that`);
    }
    console.log(`${commands.ciphertexts} ciphertexts, ${commands.problems.length} problems with commands`);
    writeJson(values.out, { provider, commands });
    const problems = [...provider.problems, ...commands.problems];
    for (const problem of problems.slice(0, 10)) {
      console.log(`  ${problem}`);
    }
    return problems.length === 0 ? 0 : 1;
  } finally {
    await world.dispose();
  }
}

runScript("faults-kill", main);
