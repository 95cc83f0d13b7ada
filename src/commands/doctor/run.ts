/** @module `doctor`: all checks in their order, with what they need of this machine, and their results. It takes no lock and writes no state. */

import { randomBytes } from "node:crypto";
import type { CommandContext } from "../../cli/command.ts";
import type { ExitName } from "../../cli/exit-code.ts";
import { loadConfig } from "../../config/load.ts";
import { isPinRefusal } from "../../pkcs11/errors.ts";
import { openOperatorAccess } from "../../provider/operator.ts";
import { type CheckResult, checkReport, runChecks } from "../check.ts";
import { readOrEmpty } from "../file-or-nothing.ts";
import { readUserFiles, userIdentity } from "../service-identity.ts";
import { configLoad, configValidate } from "./checks/configuration.ts";
import { CREDENTIAL_CHECKS, credentialChecks } from "./checks/credentials.ts";
import { keyIdDeterministic, registryState } from "./checks/key.ts";
import { kmsStatusEncrypt } from "./checks/kms.ts";
import { kubernetesEncryptionConfig } from "./checks/kubernetes.ts";
import { openbaoAuth, openbaoClock, openbaoTls } from "./checks/openbao.ts";
import { socketDirectory, socketGroup } from "./checks/socket.ts";
import {
  transitCapabilities,
  transitDisableUpsert,
  transitMetadata,
  transitProbe,
  transitProfile,
} from "./checks/transit.ts";
import type { DoctorFlags } from "./command.ts";
import { CHECK_IDS, type DoctorCheck, DoctorContext } from "./context.ts";

const FIRST: readonly DoctorCheck[] = [configLoad, configValidate];
const LOCAL: readonly DoctorCheck[] = [socketGroup, socketDirectory];
const REMOTE: readonly DoctorCheck[] = [
  kubernetesEncryptionConfig,
  openbaoTls,
  openbaoClock,
  openbaoAuth,
  transitCapabilities,
  transitMetadata,
  transitProfile,
  transitDisableUpsert,
  transitProbe,
  keyIdDeterministic,
  registryState,
  kmsStatusEncrypt,
];

/** Every check of every method, for the reference and troubleshooting pages. */
export const ALL_CHECKS: readonly DoctorCheck[] = [...FIRST, ...LOCAL, ...CREDENTIAL_CHECKS, ...REMOTE];

export async function doctor(flags: DoctorFlags, context: CommandContext): Promise<ExitName> {
  const { output, environment, signal } = context;
  const uid = process.getuid?.() ?? 0;
  const userFiles = readUserFiles();
  const self = userIdentity(String(uid), userFiles);
  if (flags.output === "text") {
    output.result(`doctor runs as ${self.name} (uid ${uid})\n\n`);
  }
  const doctorContext = new DoctorContext({
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
  });
  const { onResult, end } = checkReport(output, flags.output, CHECK_IDS);
  const results = await runAll(doctorContext, signal, onResult);
  const isGood = end(results, () => {
    const service = doctorContext.knows("service") ? doctorContext.fact("service") : undefined;
    const user = { name: self.name, uid, isService: service === undefined ? null : service.uid === uid };
    const ofService = service === undefined ? null : { name: service.name, uid: service.uid };
    return { user, service: ofService };
  });
  return isGood ? "good" : exitOf(results);
}

/** Its token is revoked at the end. @throws the signal's reason when it aborts. */
async function runAll(
  context: DoctorContext,
  signal: AbortSignal,
  onResult: (result: CheckResult) => void,
): Promise<readonly CheckResult[]> {
  try {
    const first = await runChecks(FIRST, context, signal, onResult);
    // The configured method decides which local checks there are.
    const auth = context.knows("loaded") ? context.fact("loaded").config.auth : undefined;
    return await runChecks(checksFor(credentialChecks(auth)), context, signal, onResult, first);
  } finally {
    if (context.knows("access")) {
      await context.fact("access").close();
    }
  }
}

/** What follows the first checks: with the local ones of one method, which a login then needs. */
function checksFor(local: readonly DoctorCheck[]): readonly DoctorCheck[] {
  const login: DoctorCheck = { ...openbaoAuth, needs: [...openbaoAuth.needs, ...local.map(({ id }) => id)] };
  const remote = REMOTE.map((check) => (check === openbaoAuth ? login : check));
  return [...LOCAL, ...local, ...remote];
}

/** A configuration that could not be used and a refused PIN have their own exit codes, as for every other command. */
function exitOf(results: readonly CheckResult[]): ExitName {
  if (results.some(({ id, status }) => id.startsWith("config.") && status === "failed")) {
    return "configuration";
  }
  return results.some(({ findings }) => findings.some(isPinRefusal)) ? "pinRefused" : "refused";
}
