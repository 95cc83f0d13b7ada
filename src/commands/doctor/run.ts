/** @module `doctor`: gives the checks what they need of this machine, and prints their results. */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import type { CommandContext } from "../../cli/command.ts";
import type { ExitName } from "../../cli/exit-code.ts";
import { jsonText } from "../../cli/output.ts";
import { loadConfig } from "../../config/load.ts";
import { isPinRefusal } from "../../pkcs11/errors.ts";
import { openOperatorAccess } from "../../provider/operator.ts";
import type { CheckResult } from "../check.ts";
import { checkJson, printCheck, printSummary } from "../check-report.ts";
import { readUserFiles, userIdentity } from "../service-identity.ts";
import type { DoctorFlags } from "./command.ts";
import { CHECK_IDS } from "./context.ts";
import { runDoctor } from "./doctor.ts";

const ID_WIDTH = Math.max(...CHECK_IDS.map((id) => id.length));

export async function doctor(flags: DoctorFlags, context: CommandContext): Promise<ExitName> {
  const { output, environment, signal } = context;
  const isText = flags.output === "text";
  const uid = process.getuid?.() ?? 0;
  const userFiles = readUserFiles();
  const self = userIdentity(String(uid), userFiles);
  if (isText) {
    output.result(`doctor runs as ${self.name} (uid ${uid})\n\n`);
  }
  const { results, isGood, service } = await runDoctor(
    {
      load: (serviceUid) => loadConfig({ path: flags.config, environment, serviceUid }),
      connect: openOperatorAccess,
      serviceUser: flags["service-user"],
      encryptionConfig: flags["encryption-config"],
      previousEncryptionConfig: flags["previous-encryption-config"],
      expectedFingerprint: flags["expect-fingerprint"],
      userFiles,
      resolverConfig: readOrEmpty("/etc/resolv.conf"),
      wallMs: Date.now,
      random: randomBytes,
      self: { uid, gid: process.getgid?.() ?? 0 },
    },
    signal,
    (result) => {
      if (isText) {
        printCheck(output, result, ID_WIDTH);
      }
    },
  );
  if (isText) {
    printSummary(output, results);
  } else {
    const user = { name: self.name, uid, isService: service === undefined ? null : service.uid === uid };
    output.result(jsonText({ good: isGood, user, service: service ?? null, checks: results.map(checkJson) }));
  }
  return isGood ? "good" : exitOf(results);
}

/** A configuration that could not be used and a refused PIN have their own exit codes, as for every other command. */
function exitOf(results: readonly CheckResult[]): ExitName {
  if (results.some(({ id, status }) => id.startsWith("config.") && status === "failed")) {
    return "configuration";
  }
  return results.some(({ findings }) => findings.some(isPinRefusal)) ? "pinRefused" : "refused";
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
