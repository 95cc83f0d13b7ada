/**
 * Kills the provider with SIGKILL at random moments, through starts, rotations and promotions: `bun scripts/faults-kill.ts`.
 *
 * --kills N    how often (default 1000, about 20 minutes)
 * --out FILE   the result as JSON
 *
 * @module Arguments and the display; what is done and judged is test/faults/kill-storm.ts.
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { killStorm } from "../test/faults/kill-storm.ts";
import { makeWorld } from "../test/faults/world.ts";
import { findBinary } from "../test/real/harness/real-suite.ts";

const SHOWN_EVERY = 50;
const { values } = parseArgs({
  options: { kills: { type: "string", default: "1000" }, out: { type: "string" } },
});

async function main(): Promise<number> {
  const bao = findBinary("bao");
  if (bao === undefined) {
    throw new Error("there is no bao: put it on PATH, or name it by BAO_BIN");
  }
  const world = await makeWorld({ bao });
  try {
    const result = await killStorm(world, {
      kills: Number(values.kills),
      onKill: (kill, problems) => {
        if (kill % SHOWN_EVERY === 0) {
          console.log(`${kill}/${values.kills} kills, ${problems.length} problems`);
        }
      },
    });
    if (values.out !== undefined) {
      writeFileSync(values.out, `${JSON.stringify(result, undefined, 2)}\n`);
    }
    console.log(
      `${result.kills} kills, ${result.rotations} rotations, ${result.promotions} promotions seen, ${result.ciphertexts} ciphertexts, ${result.problems.length} problems`,
    );
    for (const problem of result.problems.slice(0, 10)) {
      console.log(`  ${problem}`);
    }
    return result.problems.length === 0 ? 0 : 1;
  } finally {
    await world.dispose();
  }
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(`faults-kill: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
  },
);
