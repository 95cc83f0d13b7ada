/** @module `rotation-plan`: prints the report of key/rotation/plan.ts, once or whenever it changes. */
import { assertNever } from "../../base/assert-never.ts";
import { systemClock } from "../../base/clock.ts";
import { formatDuration } from "../../base/duration.ts";
import type { ProviderError } from "../../base/error-class.ts";
import { countOf } from "../../base/words.ts";
import type { CommandContext } from "../../cli/command.ts";
import { UsageError } from "../../cli/errors.ts";
import type { ExitName } from "../../cli/exit-code.ts";
import { type Output, printReport, textTable } from "../../cli/output.ts";
import type { ProviderConfig } from "../../config/schema.ts";
import type { RegistryContent } from "../../key/registry/record.ts";
import {
  type PlannedVersion,
  planRotation,
  type RotationReport,
  type RotationStep,
} from "../../key/rotation/plan.ts";
import type { RotationPolicy } from "../../key/rotation/probe-history.ts";
import { inspectKey } from "../key-inspection.ts";
import type { RotationPlanFlags } from "./command.ts";

export async function rotationPlan(flags: RotationPlanFlags, context: CommandContext): Promise<ExitName> {
  if (!flags.watch) {
    return showPlan(flags, context);
  }
  if (flags.output === "json") {
    throw new UsageError("--watch prints text only", "leave out --output json, or --watch");
  }
  return watchPlan(
    () => lookOnce(flags, context),
    (line) => context.output.result(`${timeText(systemClock.wallMs())}  ${line}\n`),
    () => systemClock.sleep(WATCH_INTERVAL_MS, context.signal),
  );
}

/** Each look logs in anew. */
const WATCH_INTERVAL_MS = 15_000;

/** Without spans of time, so that the line changes only when the plan does. */
function lookOnce(flags: RotationPlanFlags, context: CommandContext): Promise<PlanState> {
  return inspectKey(flags, context, async ({ config, identity, state, openbao }) => {
    if (openbao.kind === "unasked") {
      return { next: undefined, line: `OpenBao could not be asked: ${openbao.error.message}` };
    }
    if (state.kind === "missing") {
      return { next: undefined, line: `no registry yet at ${config.state.path}` };
    }
    const { next, activeVersion } = planRotation(identity, state.stored, openbao.answer, policyOf(config));
    return { next, line: `version ${activeVersion} is active; next: ${watchText(next)}` };
  });
}

const watchText = (next: RotationStep): string =>
  next.kind === "wait"
    ? `version ${next.version} needs ${countOf(next.missingObservations, "more probe")} and its delay`
    : nextText(next);

function showPlan(flags: RotationPlanFlags, context: CommandContext): Promise<ExitName> {
  return inspectKey(flags, context, async ({ config, identity, state, openbao }) => {
    const { output } = context;
    const unasked = openbao.kind === "unasked" ? openbao.error : undefined;
    const partial = {
      partial: unasked !== undefined,
      openbao: unasked === undefined ? null : errorJson(unasked),
    };
    let isBlocked = false;
    if (state.kind === "missing") {
      const isKey = openbao.kind === "asked" && openbao.answer.kind === "key";
      const latest = isKey ? openbao.answer.key.latestVersion : undefined;
      const lines = [
        `registry  none yet at ${config.state.path}`,
        ...(latest === undefined ? [] : [`key       latest version ${latest}`]),
      ];
      printReport(output, flags.output, lines, { ...partial, registry: null, latestVersion: latest ?? null });
    } else {
      const { record } = state.stored;
      const answer = openbao.kind === "asked" ? openbao.answer : undefined;
      const report = planRotation(identity, state.stored, answer, policyOf(config));
      isBlocked = report.next.kind === "blocked";
      printReport(output, flags.output, reportLines(report, record, output), {
        ...partial,
        ...report,
        observation: record.observation ?? null,
      });
    }
    if (unasked !== undefined && flags.output === "text") {
      const fix = unasked.advice === undefined ? "" : `\n  fix: ${unasked.advice}`;
      output.say(`partial: OpenBao could not be asked: ${unasked.message}${fix}`);
    }
    return unasked === undefined && !isBlocked ? "good" : "refused";
  });
}

function errorJson({ code, errorClass, message, advice }: ProviderError) {
  return { code, errorClass, message, advice: advice ?? null };
}

function policyOf({ rotation, status, transit }: ProviderConfig): RotationPolicy {
  return {
    requireStableObservationCount: rotation.requireStableObservationCount,
    activationDelayMs: rotation.activationDelay,
    probeIntervalMs: status.probeInterval,
    names: transit,
  };
}

function reportLines(report: RotationReport, { observation }: RegistryContent, { paint }: Output) {
  const { registry, versions, next } = report;
  return [
    `fingerprint  ${registry.fingerprint}`,
    `registry     generation ${registry.generation}, checkpoint ${registry.checkpoint}, origin ${registry.origin}`,
    `state hash   ${registry.hash}`,
    `active       version ${report.activeVersion}`,
    `latest       ${report.latestVersion === undefined ? "not known: OpenBao was not asked" : `version ${report.latestVersion}`}`,
    ...(observation === undefined
      ? []
      : [
          `observed     version ${observation.version}: seen ${countOf(observation.count, "time")}, stable for ${formatDuration(observation.stableForMs)}`,
        ]),
    `next         ${report.latestVersion === undefined && next.kind === "none" ? "not known: OpenBao was not asked" : nextText(next)}`,
    ...report.findings.flatMap(({ message, advice }) => [
      `${paint("red", "problem")}      ${message}`,
      `  fix:       ${advice}`,
    ]),
    "",
    ...textTable(["version", "state", "created", "in OpenBao", "marker", "key_id"], versions.map(versionRow)),
  ];
}

function versionRow(planned: PlannedVersion): readonly string[] {
  const { version, state, createdAtUnix, shown, hasMarker, keyId } = planned;
  const created = new Date(createdAtUnix * 1000).toISOString().replace(".000Z", "Z");
  const isShown = shown === undefined ? "?" : shown ? "yes" : "no";
  return [String(version), state, created, isShown, hasMarker ? "kept" : "none", keyId];
}

function nextText(next: RotationStep): string {
  switch (next.kind) {
    case "none":
      return "nothing: the active version is the latest";
    case "observe":
      return `version ${next.version} waits to be seen by the running provider's next probe`;
    case "wait":
      return `version ${next.version} is promoted ${atText(next.earliestInMs)} at the earliest: ${countOf(next.missingObservations, "probe")} and ${formatDuration(next.missingMs)} are missing`;
    case "promote":
      return `version ${next.version} is promoted by the running provider's next probe`;
    case "blocked":
      return "nothing is promoted while there is a problem";
    default:
      return assertNever(next);
  }
}

const timeText = (wallMs: number): string => new Date(wallMs).toISOString().replace(/\.\d+Z$/, "Z");

function atText(inMs: number): string {
  const at = timeText(systemClock.wallMs() + inMs);
  return `in ${formatDuration(Math.ceil(inMs / 1000) * 1000)} (${at})`;
}

export interface PlanState {
  /** Undefined when there is no registry yet, or OpenBao could not be asked. */
  readonly next: RotationStep | undefined;
  readonly line: string;
}

/** Ends when there is nothing to do, or with a problem that waiting does not solve. `sleep` rejects at an interruption. */
export async function watchPlan(
  look: () => Promise<PlanState>,
  print: (line: string) => void,
  sleep: () => Promise<void>,
): Promise<"good" | "refused"> {
  let shown: string | undefined;
  for (;;) {
    const { next, line } = await look();
    if (line !== shown) {
      print(line);
      shown = line;
    }
    if (next?.kind === "none") {
      return "good";
    }
    if (next?.kind === "blocked") {
      return "refused";
    }
    await sleep();
  }
}
