/**
 * @module The compiled executable beside direct Transit calls, on a real OpenBao: `bun scripts/bench/bench.ts [--quick] [--jit
 * off|on] [--floors] [--json FILE] [--chart FILE] [--native-plugin FILE]`. Rounds of both alternate.
 */
import { existsSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { makeJwtIssuer } from "../../test/fakes/openbao/jwt-issuer.ts";
import { provision } from "../../test/fakes/openbao/provision.ts";
import { startOpenBao } from "../../test/harness/openbao.ts";
import { prepareProvider } from "../../test/harness/provider.ts";
import { writeJson } from "../run-script.ts";
import { chart } from "./chart.ts";
import { directTargetOf } from "./direct-target.ts";
import { type Figure, figureLine, spread } from "./figure.ts";
import { worsened } from "./floors.ts";
import { measure } from "./measure.ts";
import { buildGenerator } from "./rounds.ts";
import { unitEnvironment } from "./unit-environment.ts";

const { values: flags } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    /** Off is as under MemoryDenyWriteExecute=; both when absent. */
    jit: { type: "string" },
    /** Fails when a ratio is worse than its floor by more than a third, not for a missed target. */
    floors: { type: "boolean", default: false },
    json: { type: "string" },
    chart: { type: "string" },
    "native-plugin": { type: "string" },
  },
});
const ROUNDS = flags.quick ? 3 : 7;
const SCALE = flags.quick ? 0.25 : 1;
/** Rounds of the direct call that differ by more than this say more about the machine than about us. */
const QUIET_SPREAD = 0.35;

function unusable(reason: string): never {
  console.error(`bench: ${reason}`);
  process.exit(2);
}

async function main(): Promise<void> {
  const binary = process.env["BAO_BIN"] ?? Bun.which("bao");
  if (binary === null) {
    unusable("no OpenBao found; put bao on PATH or set BAO_BIN");
  }
  const nativePlugin = flags["native-plugin"];
  if (nativePlugin !== undefined && !existsSync(nativePlugin)) {
    unusable(`--native-plugin ${nativePlugin} is not there; it is the executable of vault-kubernetes-kms`);
  }
  buildGenerator();
  await using undo = new AsyncDisposableStack();
  const openbao = await startOpenBao(binary);
  undo.defer(openbao.dispose);
  const issuer = makeJwtIssuer();
  const names = await provision(openbao.operator, issuer.publicKeyPem);
  const direct = await directTargetOf(openbao, names);
  const figures: Figure[] = [];
  for (const jit of (["off", "on"] as const).filter((mode) => mode === (flags.jit ?? mode))) {
    const provider = await prepareProvider({
      openbao,
      names,
      issuer,
      config: {
        server: { maxConcurrentEncrypt: 64 },
        logging: { level: "info" },
        status: { probeInterval: "30s", deepProbeInterval: "5m", statusMaxStaleness: "2m" },
        bootstrap: { graceTimeout: "10s", retryInterval: "1s" },
      },
      env: unitEnvironment(jit),
    });
    undo.defer(provider.dispose);
    // A native plugin is compared with the provider as it runs under its unit.
    const plugin = jit === "on" ? undefined : nativePlugin;
    const subject = { provider, direct, jit, rounds: ROUNDS, scale: SCALE, nativePlugin: plugin };
    for await (const each of measure(subject)) {
      figures.push(each);
      console.log(figureLine(each));
    }
  }
  conclude(figures);
}

/** The provider as it runs under its unit. */
function isCharted({ name }: Figure): boolean {
  return name.startsWith("JIT off: ") && name.endsWith("/ direct") && !name.includes("the parts alone");
}

function conclude(figures: readonly Figure[]): void {
  const noise = Math.max(...figures.filter(({ name }) => name.endsWith("direct call p50")).map(spread));
  const isQuiet = noise <= QUIET_SPREAD;
  const missed = figures.filter(({ met }) => met === false);
  console.log(
    `the direct call's median varied by ${(noise * 100).toFixed(0)}% between rounds${isQuiet ? "" : ": too noisy to conclude from single figures"}`,
  );
  console.log(
    missed.length === 0 ? "all targets met" : `missed: ${missed.map(({ name }) => name).join("; ")}`,
  );
  writeJson(flags.json, { noise, isQuiet, figures });
  if (flags.chart !== undefined) {
    writeFileSync(flags.chart, chart(figures.filter(isCharted)));
  }
  if (flags.floors) {
    const worse = worsened(figures);
    worse.forEach((line) => console.log(`worse by more than a third: ${line}`));
    process.exitCode = worse.length > 0 ? 1 : 0;
  } else {
    process.exitCode = missed.length > 0 && isQuiet ? 1 : 0;
  }
}

await main();
