/** @module `retire-versions`: gathers what the plan needs, shows it and, with --apply, changes the registry. */
import { systemClock } from "../../base/clock.ts";
import { versionList } from "../../base/words.ts";
import type { CommandContext } from "../../cli/command.ts";
import { UsageError } from "../../cli/errors.ts";
import type { ExitName } from "../../cli/exit-code.ts";
import { printReport } from "../../cli/output.ts";
import type { ProviderConfig } from "../../config/schema.ts";
import { keyUsages } from "../../etcd/evidence.ts";
import { planRetire, withPlannedRemoval } from "../../key/rotation/plan-retire.ts";
import type { Blocker } from "../../key/rotation/usage.ts";
import { changeRegistry } from "../change-registry.ts";
import { loadConfiguration } from "../configuration.ts";
import { allEvidence } from "../evidence.ts";
import { readLiveKey } from "../key-inspection.ts";
import { readNodeReport } from "../node-report.ts";
import { requireRecorded } from "../recorded-versions.ts";
import { blockerLines, requireStateHash, stateHashLines } from "../reviewed-plan.ts";
import type { RetireFlags } from "./command.ts";

export async function retireVersions(flags: RetireFlags, context: CommandContext): Promise<ExitName> {
  const beforeVersion = flags["before-version"];
  if (beforeVersion === undefined) {
    throw new UsageError("--before-version is missing", "name the oldest version that stays");
  }
  const { config } = await loadConfiguration(flags, context);
  const recorded = await requireRecorded(config);
  const { stored } = recorded;
  const metadata = await readLiveKey(config, context);
  const sources = { ...flags, snapshot: [...flags.snapshot, ...flags["kept-snapshot"]] };
  const evidence = await allEvidence(sources, recorded, context);
  const nowUnixMs = systemClock.wallMs();
  const plan = planRetire({
    content: stored.record,
    scope: recorded.identity,
    fingerprint: recorded.configuration.fingerprint,
    metadata,
    beforeVersion,
    usages: evidence.flatMap(keyUsages),
    nodes: await Promise.all(flags["node-report"].map((path) => readNodeReport(path, "--node-report"))),
    nowUnixMs,
  });
  const reason = flags["override-reason"];
  const remainingBlockers = plan.blockers.filter(({ overridable }) => !overridable || reason === undefined);
  const applied = flags.apply && remainingBlockers.length === 0;
  let stateHash = stored.hash;
  if (applied) {
    requireStateHash(flags["expected-state-hash"], stored.hash);
    const override =
      reason === undefined || plan.blockers.length === 0
        ? undefined
        : { by: `uid ${process.getuid?.() ?? 0}`, reason: overrideText(reason, plan.blockers) };
    const next = withPlannedRemoval(stored.record, plan, override, nowUnixMs);
    stateHash = await changeRegistry(config, stored.hash, next, context.signal);
  }
  const { output } = context;
  const versions = plan.remove.map(({ version }) => version);
  const raiseMinDecryption =
    plan.raiseMinDecryptionTo === undefined
      ? undefined
      : `${writeKeyCommand(config)} min_decryption_version=${plan.raiseMinDecryptionTo}`;
  const lines = [
    versions.length === 0
      ? "nothing to remove"
      : applied
        ? `${output.paint("green", "✓")} removed: ${versionList(versions)} (refused by Decrypt from now on)`
        : `would remove: ${versionList(versions)}`,
    ...blockerLines(remainingBlockers, output.paint),
    ...plan.blockers
      .filter((each) => !remainingBlockers.includes(each))
      .map(({ message }) => `${output.paint("yellow", "!")} overridden: ${message}`),
    ...stateHashLines(stateHash, !applied && remainingBlockers.length === 0 && versions.length > 0),
    raiseMinDecryption === undefined
      ? "min_decryption_version: leave it as it is until the reports of all nodes show these versions as removed"
      : `every node has them removed; OpenBao can now refuse them too:\n    ${raiseMinDecryption}`,
  ];
  const { blockers } = plan;
  printReport(output, flags.output, lines, {
    remove: versions,
    applied,
    stateHash,
    blockers,
    raiseMinDecryption,
  });
  return remainingBlockers.length === 0 ? "good" : "refused";
}

/** How the key's configuration is written, without the setting. */
function writeKeyCommand({ openbao, transit }: ProviderConfig): string {
  const namespace = openbao.namespace === "" ? "" : `-namespace=${openbao.namespace} `;
  return `bao write ${namespace}${transit.mountPath}/keys/${transit.keyName}/config`;
}

function overrideText(reason: string, blockers: readonly Blocker[]): string {
  return `${reason} (in spite of: ${[...new Set(blockers.map(({ code }) => code))].join(", ")})`;
}
