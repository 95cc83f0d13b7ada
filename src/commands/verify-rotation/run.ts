/** @module `verify-rotation`: joins registry, live metadata and evidence; etcd/verify-rotation.ts judges. */
import { visible } from "../../base/visible-text.ts";
import type { CommandContext } from "../../cli/command.ts";
import { UsageError } from "../../cli/errors.ts";
import type { ExitName } from "../../cli/exit-code.ts";
import { type Output, printReport } from "../../cli/output.ts";
import type { Evidence } from "../../etcd/evidence.ts";
import { grouped } from "../../etcd/group-label.ts";
import { type RotationVerdict, verifyRotation } from "../../etcd/verify-rotation.ts";
import { loadConfiguration } from "../configuration.ts";
import { allEvidence } from "../evidence.ts";
import { readLiveKey } from "../key-inspection.ts";
import { requireRecorded } from "../recorded-versions.ts";
import type { VerifyRotationFlags } from "./command.ts";

export async function judgeRotation(flags: VerifyRotationFlags, context: CommandContext): Promise<ExitName> {
  const { config } = await loadConfiguration(flags, context);
  const recorded = await requireRecorded(config);
  const metadata = await readLiveKey(config, context);
  const gathered = await allEvidence(flags, recorded, context);
  const [first, ...others] = gathered;
  if (first === undefined) {
    throw new UsageError("no evidence is named", "name --etcd-endpoints, --snapshot FILE or --evidence FILE");
  }
  const verdict = verifyRotation({
    content: recorded.stored.record,
    scope: recorded.identity,
    fingerprint: recorded.configuration.fingerprint,
    metadata,
    evidence: joined(first, others),
  });
  printReport(context.output, flags.output, verdictLines(verdict, context.output), verdict);
  return verdict.result === "done" ? "good" : "refused";
}

/** Several pieces of evidence read as one; of different configurations, it counts as of none. */
function joined(first: Evidence, others: readonly Evidence[]): Evidence {
  const { configuration, ...rest } = first;
  const same = others.every((each) => each.configuration?.fingerprint === configuration?.fingerprint);
  return {
    ...rest,
    ...(same && configuration !== undefined ? { configuration } : {}),
    audits: [first, ...others].flatMap(({ audits }) => audits),
    limitations: [...new Set([first, ...others].flatMap(({ limitations }) => limitations))],
  };
}

function verdictLines(verdict: RotationVerdict, { paint }: Output): readonly string[] {
  const { result, activeVersion, remaining, problems, confidence, limitations } = verdict;
  const left = remaining.reduce((sum, { objects }) => sum + objects, 0);
  const head = {
    done: `${paint("green", "✓")} done: every object is encrypted under version ${activeVersion}`,
    remaining: `${paint("yellow", "!")} ${grouped(left)} objects are not yet encrypted under version ${activeVersion}`,
    not_proven: `${paint("yellow", "!")} not proven`,
  }[result];
  return [
    head,
    ...remaining.map(
      ({ source, resource, under, objects }) =>
        `    ${grouped(objects)} ${visible(resource)}: ${under}  (${source})`,
    ),
    ...(remaining.length > 0 ? ["    rewrite them with `bao-kms-provider migrate`"] : []),
    ...problems.map((problem) => `${paint("red", "✗")} ${problem}`),
    "",
    `confidence  ${confidence}`,
    "not looked at:",
    ...limitations.map((each) => `  - ${visible(each)}`),
  ];
}
