/** @module All checks in their order, and one run over them. It holds no lock and writes no state; its token is revoked at the end. */
import type { CheckResult } from "../check.ts";
import { runChecks } from "../check.ts";
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
import type { CheckId, DoctorCheck } from "./context.ts";
import { DoctorContext, type DoctorOptions } from "./context.ts";

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

interface DoctorReport {
  readonly results: readonly CheckResult<CheckId>[];
  /** Whether no check failed. Skipped is not passed, but it is not a failure either. */
  readonly isGood: boolean;
  readonly service: { readonly name: string; readonly uid: number } | undefined;
}

/** @throws the signal's reason when it aborts. */
export async function runDoctor(
  options: DoctorOptions,
  signal: AbortSignal,
  onResult: (result: CheckResult<CheckId>) => void = () => {},
): Promise<DoctorReport> {
  const context = new DoctorContext(options);
  try {
    const first = await runChecks(FIRST, context, signal, onResult);
    // The configured method decides which local checks there are.
    const auth = context.knows("loaded") ? context.fact("loaded").config.auth : undefined;
    const rest = checksFor(credentialChecks(auth));
    const results = await runChecks(rest, context, signal, onResult, first);
    const service = context.knows("service") ? context.fact("service") : undefined;
    return {
      results,
      isGood: !results.some(({ status }) => status === "failed"),
      service: service === undefined ? undefined : { name: service.name, uid: service.uid },
    };
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
