/** @module The ids of doctor's checks: a closed set, in JSON reports and docs/troubleshooting.md, the same across releases. */
import type { Check } from "../check.ts";
import type { DoctorContext } from "./ports.ts";

export const CHECK_IDS = [
  "config.load",
  "config.validate",
  "socket.group",
  "socket.directory",
  "jwt.local",
  "oauth2.local",
  "oauth2.acquire",
  "spiffe.local",
  "spiffe.acquire",
  "approle.local",
  "auth.cert.local",
  "auth.cert.pkcs11",
  "auth.cert.signer",
  "kubernetes.encryption_config",
  "openbao.tls",
  "openbao.clock",
  "openbao.auth",
  "transit.capabilities",
  "transit.metadata",
  "transit.profile",
  "transit.disable_upsert",
  "transit.probe",
  "key_id.deterministic",
  "registry.state",
  "kms.status_encrypt",
] as const;

export type CheckId = (typeof CHECK_IDS)[number];
export type DoctorCheck = Check<CheckId, DoctorContext>;
