/** @module `version`: which build this is and which formats it speaks. */
import { buildInfo, PROGRAM } from "../../base/build-info.ts";
import type { CommandContext } from "../../cli/command.ts";
import type { ExitName } from "../../cli/exit-code.ts";
import { printReport } from "../../cli/output.ts";
import type { VersionFlags } from "./command.ts";

/** What is compatible with what: a change of one of these is a change of a contract. */
const FORMATS = { config: "v1alpha1", kms: "v2", keyId: "obk2", associatedData: "v1" } as const;

export async function version(
  { output: format }: VersionFlags,
  { output }: CommandContext,
): Promise<ExitName> {
  const report = { ...buildInfo, bun: Bun.version, formats: FORMATS };
  const lines = [
    `${PROGRAM} ${report.version}`,
    `  commit           ${report.commit}`,
    `  bun              ${report.bun}`,
    `  configuration    ${FORMATS.config}`,
    `  KMS              ${FORMATS.kms}`,
    `  key_id           ${FORMATS.keyId}`,
    `  associated data  ${FORMATS.associatedData}`,
  ];
  printReport(output, format, lines, report);
  return "good";
}
