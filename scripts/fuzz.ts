/**
 * @module Fuzzes every decoder of hostile bytes with a budget: `bun scripts/fuzz.ts --inputs 1000000`.
 *
 * --inputs N     how many inputs in all (default 1,000,000), shared out among the properties
 * --minutes M    and at most so long in all (default 30)
 * --seed S       repeats a run; the seed of a failure is printed with it
 * --out FILE     what each property got, as JSON
 *
 * The inputs are made by the properties' own generators, which know the structure of what they spoil; a counterexample is
 * shrunk and printed, and becomes a test beside the decoder. Exit code 1 when there is one.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import * as v from "valibot";
import { root, writeJson } from "./run-script.ts";

/** What is decoded, by whom, and how many of a hundred inputs it gets: bytes from a socket cost more than bytes in memory. */
const TARGETS = [
  { what: "OpenBao's replies", file: "src/openbao/client/answer.property.test.ts", share: 13 },
  { what: "key metadata", file: "src/openbao/transit/key-metadata.property.test.ts", share: 8 },
  { what: "ciphertexts", file: "src/openbao/transit/ciphertext.property.test.ts", share: 13 },
  { what: "JWTs", file: "src/openbao/auth/jwt-claims.property.test.ts", share: 13 },
  { what: "configuration", file: "src/config/decode-config.property.test.ts", share: 5 },
  { what: "registry and checkpoint", file: "src/key/registry/encoding.property.test.ts", share: 10 },
  { what: "snapshot pages", file: "src/etcd/reader/snapshot.property.test.ts", share: 3 },
  { what: "stored values", file: "src/etcd/stored/stored-value.property.test.ts", share: 13 },
  {
    what: "HTTP requests to health and metrics",
    file: "src/server/admin/http-request.property.test.ts",
    share: 13,
  },
  {
    what: "EncryptionConfiguration",
    file: "src/kubernetes/encryption-config/decode.property.test.ts",
    share: 5,
  },
  {
    what: "HTTP/2, protobuf, Decrypt and Encrypt requests",
    file: "test/conformance/fuzz.test.ts",
    share: 4,
  },
] as const;

const { values } = parseArgs({
  options: {
    inputs: { type: "string", default: "1000000" },
    minutes: { type: "string", default: "30" },
    seed: { type: "string" },
    out: { type: "string" },
  },
});
const line = v.object({ where: v.string(), inputs: v.number(), failed: v.boolean(), seed: v.number() });

/** A first round with one input each counts the properties of a file, so that its share can be divided. */
function run(file: string, runs: number, ms: number) {
  const dir = mkdtempSync(join(tmpdir(), "fuzz-"));
  const report = join(dir, "report");
  const { status, stderr } = spawnSync(
    process.execPath,
    ["test", "--timeout=7200000", "--preload=./scripts/fuzz/budget.ts", `./${file}`],
    {
      cwd: root,
      encoding: "utf8",
      env: {
        ...process.env,
        FUZZ_PROPERTY_RUNS: String(runs),
        FUZZ_PROPERTY_MS: String(ms),
        FUZZ_RUNS: String(runs),
        FUZZ_REPORT: report,
        ...(values.seed === undefined ? {} : { FUZZ_SEED: values.seed }),
      },
    },
  );
  const text = existsSync(report) ? readFileSync(report, "utf8").trim() : "";
  rmSync(dir, { recursive: true });
  const lines = text === "" ? [] : text.split("\n").map((each) => v.parse(line, JSON.parse(each)));
  return { lines, output: stderr, ok: status === 0 };
}

const totalInputs = Number(values.inputs);
const totalMs = Number(values.minutes) * 60_000;
const results: object[] = [];
let inputsOfAll = 0;
let failures = 0;
for (const { what, file, share } of TARGETS) {
  const began = performance.now();
  const properties = Math.max(1, run(file, 1, 1000).lines.length);
  const { lines, output, ok } = run(
    file,
    Math.ceil((totalInputs * share) / 100 / properties),
    Math.ceil((totalMs * share) / 100 / properties),
  );
  const inputs = lines.reduce((sum, each) => sum + each.inputs, 0);
  const seconds = Math.round((performance.now() - began) / 1000);
  results.push({ what, inputs, seconds, properties: lines });
  inputsOfAll += inputs;
  console.log(
    `${ok ? "held  " : "broken"}  ${String(inputs).padStart(8)} inputs  ${String(seconds).padStart(4)} s  ${what}`,
  );
  if (!ok) {
    failures += 1;
    console.error(output.slice(-4000));
  }
}
console.log(`${inputsOfAll} inputs of ${totalInputs}, ${failures} targets broken`);
writeJson(values.out, { inputs: inputsOfAll, budget: totalInputs, failures, targets: results });
process.exitCode = failures === 0 ? 0 : 1;
