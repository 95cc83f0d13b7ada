/** @module `verify-key`: runs its checks over one inspection and prints them. */
import type { CommandContext } from "../../cli/command.ts";
import type { ExitName } from "../../cli/exit-code.ts";
import { jsonText } from "../../cli/output.ts";
import { fingerprint } from "../../key/identity/fingerprint.ts";
import { runChecks } from "../check.ts";
import { checkJson, printCheck, printSummary } from "../check-report.ts";
import { inspectKey } from "../key-inspection.ts";
import { VERIFY_CHECKS, VERIFY_IDS } from "./checks.ts";
import type { VerifyKeyFlags } from "./command.ts";

const ID_WIDTH = Math.max(...VERIFY_IDS.map((id) => id.length));

export function verifyKey(flags: VerifyKeyFlags, context: CommandContext): Promise<ExitName> {
  return inspectKey(flags, context, async (inspection) => {
    const { output, signal } = context;
    const results = await runChecks(VERIFY_CHECKS, inspection, signal, (result) => {
      if (flags.output === "text") {
        printCheck(output, result, ID_WIDTH);
      }
    });
    const isGood = !results.some(({ status }) => status === "failed");
    if (flags.output === "text") {
      printSummary(output, results);
    } else {
      output.result(
        jsonText({
          good: isGood,
          partial: inspection.openbao.kind === "unasked",
          fingerprint: fingerprint(inspection.identity),
          checks: results.map(checkJson),
        }),
      );
    }
    return isGood ? "good" : "refused";
  });
}
