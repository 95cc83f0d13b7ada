/**
 * What a row of the fault table is, and what is written down about it.
 *
 * @module Types and the shape of the result file. The rows are in rows/, how they are run in run-fault.ts.
 */
import * as v from "valibot";
import type { World } from "./world.ts";

export const GROUPS = [
  "OpenBao's process",
  "The connection to OpenBao and its answers",
  "Trust and names",
  "Credentials",
  "The Transit key",
  "The provider's process",
  "The registry",
  "The socket's directory",
  "Clocks",
] as const;
export type Group = (typeof GROUPS)[number];

/** What must be seen while the fault lasts. That nothing is lost and nothing wrong is demanded of every row. */
export interface Expectation {
  /**
   * `ok`: all the time; `reason`: the key_id is still served, with a word for the reason; `error`: a gRPC error, upon
   * which kube-apiserver stops writing; `silent`: no answer; `any`: what the machine allows.
   */
  readonly status: "ok" | "reason" | "error" | "silent" | "any";
  /** The word of `reason`, where there is only one that is right. */
  readonly healthz?: string;
  /** `works`: no call fails, from the cause to the recovery; `refused`: none succeeds once Status shows it. */
  readonly encrypt: "works" | "refused" | "any";
  readonly decrypt: "works" | "refused" | "any";
  /** What a Decrypt is answered once Status shows the fault, where `decrypt` allows both. */
  readonly decryptMeanwhile?: "works" | "refused";
  /** The gRPC code of that refusal, and how soon it comes. */
  readonly refusal?: { readonly code: string; readonly withinMs: number };
  /** Until the probes have agreed on what became of the key, a refused ciphertext is taken for what OpenBao says it is. */
  readonly blamesAtFirst?: true;
  /** The key_id after it; `kept` unless said. */
  readonly keyId?: "moves";
  /** The process after it is another one. */
  readonly restarted?: true;
}

export const FINE: Expectation = { status: "ok", encrypt: "works", decrypt: "works" };
export const OUT: Expectation = { status: "reason", encrypt: "refused", decrypt: "refused" };
export const ANY: Expectation = { status: "any", encrypt: "any", decrypt: "any" };
export const SILENT: Expectation = { ...ANY, status: "silent" };
export const GONE: Expectation = { ...SILENT, restarted: true };

/** Ends the fault. */
type Repair = () => unknown;

export interface Fault {
  /** Names it for `--only` and in the result. */
  readonly id: string;
  /** What was done and how it ended, for the table. */
  readonly title: string;
  readonly expect: Expectation;
  /** Returns what ends it, if it does not end by itself. */
  readonly cause: (world: World) => Promise<Repair | void> | Repair;
  /** How long it lasts after it is seen, in milliseconds; the short run takes `shortMs` where there is one. */
  readonly lastsMs?: number;
  readonly shortMs?: number;
  /** Needs root: namespaces, control groups, mounts, owners. */
  readonly root?: true;
  /** The provider runs with a resolver and a wall clock of its own; needs root too. */
  readonly ownMachine?: true;
  /** Needs a token that is older than 10 s; the run order gives it one. */
  readonly agedToken?: true;
  /** Only in the long run. */
  readonly long?: true;
}

export type FaultTable = Readonly<Record<Group, readonly Fault[]>>;

const counts = v.record(v.string(), v.number());

const faultResultSchema = v.object({
  id: v.string(),
  group: v.picklist(GROUPS),
  title: v.string(),
  verdict: v.picklist(["held", "broken"]),
  /** Why it is broken. */
  problems: v.array(v.string()),
  /** Answers of Status: its healthz or gRPC code, with how often. */
  status: counts,
  encrypt: counts,
  decrypt: counts,
  slowestMs: v.number(),
  /** Events of the log at warn or error, with their code. */
  operator: v.array(v.string()),
  ready: v.number(),
  recoveryMs: v.number(),
  /** What kube-apiserver did for its clients; absent in a run without one. */
  cluster: v.optional(
    v.object({ written: v.number(), refusedWrites: v.number(), read: v.number(), refusedReads: v.number() }),
  ),
});
export type FaultResult = v.InferOutput<typeof faultResultSchema>;

export const faultReportSchema = v.object({
  version: v.string(),
  commit: v.string(),
  startedAt: v.string(),
  seconds: v.number(),
  cluster: v.boolean(),
  ciphertexts: v.number(),
  objects: v.number(),
  results: v.array(faultResultSchema),
});
export type FaultReport = v.InferOutput<typeof faultReportSchema>;
