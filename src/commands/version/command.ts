/** @module `version`: which build this is and which formats it speaks. */
import { buildInfo, PROGRAM } from "../../base/build-info.ts";
import { defineCommand } from "../../cli/command.ts";
import { jsonText } from "../../cli/output.ts";
import { outputOption } from "../shared-options.ts";

/** What is compatible with what: a change of one of these is a change of a contract. */
const FORMATS = { config: "v1alpha1", kms: "v2", keyId: "obk2", associatedData: "v1" } as const;

export const versionCommand = defineCommand({
  name: "version",
  summary: "Print the version and the build",
  description: [
    "Prints the version, the commit, the runtime, and the versions of the formats: configuration file, KMS, key_id and associated data.",
  ],
  options: outputOption,
  examples: ["version --output json"],
  run: async ({ output: format }, { output }) => {
    const report = { ...buildInfo, bun: Bun.version, formats: FORMATS };
    output.result(
      format === "json"
        ? jsonText(report)
        : [
            `${PROGRAM} ${report.version}`,
            `  commit           ${report.commit}`,
            `  bun              ${report.bun}`,
            `  configuration    ${FORMATS.config}`,
            `  KMS              ${FORMATS.kms}`,
            `  key_id           ${FORMATS.keyId}`,
            `  associated data  ${FORMATS.associatedData}`,
            "",
          ].join("\n"),
    );
    return "good";
  },
});
