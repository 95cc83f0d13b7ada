/** @module `restore-versions`: shows which removed versions can come back and, with --apply, brings them back. */
import { versionList } from "../../base/words.ts";
import type { CommandContext } from "../../cli/command.ts";
import { UsageError } from "../../cli/errors.ts";
import type { ExitName } from "../../cli/exit-code.ts";
import { printReport } from "../../cli/output.ts";
import { withRestored } from "../../key/registry/changes.ts";
import { planRestore } from "../../key/rotation/plan-restore.ts";
import { changeRegistry } from "../change-registry.ts";
import { loadConfiguration } from "../configuration.ts";
import { readLiveKey } from "../key-inspection.ts";
import { requireRecorded } from "../recorded-versions.ts";
import { blockerLines, requireStateHash, stateHashLines } from "../reviewed-plan.ts";
import type { RestoreFlags } from "./command.ts";

export async function restoreVersions(flags: RestoreFlags, context: CommandContext): Promise<ExitName> {
  const wanted = versionNumbers(flags.versions);
  const { config } = await loadConfiguration(flags, context);
  const { stored } = await requireRecorded(config);
  const { restore, blockers } = planRestore(stored.record, await readLiveKey(config, context), wanted);
  const numbers = restore.map(({ version }) => version);
  const applied = flags.apply && blockers.length === 0;
  let stateHash = stored.hash;
  if (applied) {
    requireStateHash(flags["expected-state-hash"], stored.hash);
    const next = withRestored(stored.record, numbers);
    stateHash = await changeRegistry(config, stored.hash, next, context.signal);
  }
  const { output } = context;
  const lines = [
    applied
      ? `${output.paint("green", "✓")} restored: ${versionList(numbers)} (taken by Decrypt again)`
      : `would restore: ${versionList(numbers)}`,
    ...blockerLines(blockers, output.paint),
    ...stateHashLines(stateHash, !applied && blockers.length === 0),
  ];
  printReport(output, flags.output, lines, { restore: numbers, applied, stateHash, blockers });
  return blockers.length === 0 ? "good" : "refused";
}

function versionNumbers(text: string | undefined): readonly number[] {
  const parts = text?.split(",") ?? [];
  if (parts.length === 0 || !parts.every((part) => /^[1-9]\d{0,8}$/.test(part))) {
    throw new UsageError(
      "--versions must be numbers separated by commas",
      "write for example --versions 1,2",
    );
  }
  return parts.map(Number);
}
