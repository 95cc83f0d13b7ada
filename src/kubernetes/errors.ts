/** @module The error class of migrate: what can go wrong between it and kube-apiserver. */
import { type ErrorClass, ProviderError } from "../base/error-class.ts";

type MigrateCode =
  /** The kubeconfig is missing, unsafe, or not one that can be used here. */
  | "kubeconfig_invalid"
  /** The exec plugin of the kubeconfig failed or answered something else than a credential. */
  | "exec_plugin_failed"
  /** kube-apiserver refused the credential or the permission. */
  | "kube_denied"
  /** kube-apiserver did not answer, or with an error, again and again. */
  | "kube_unavailable"
  /** An admission webhook does not answer, so that kube-apiserver refuses changes. */
  | "webhook_failed"
  /** kube-apiserver answered something that no kube-apiserver answers. */
  | "kube_reply_invalid"
  /** An API server writes under another key_id than the active one. */
  | "api_server_behind"
  /** Fewer API servers can be reached than are at work. */
  | "api_servers_missing"
  /** The cluster has no StorageVersionMigration. */
  | "migration_not_offered";

export class MigrateError extends ProviderError<MigrateCode> {}

const CLASS_OF: Readonly<Record<MigrateCode, ErrorClass>> = {
  kubeconfig_invalid: "config_invalid",
  exec_plugin_failed: "auth_failed",
  kube_denied: "auth_failed",
  kube_unavailable: "timeout",
  webhook_failed: "timeout",
  kube_reply_invalid: "protocol_limit",
  api_server_behind: "status_stale",
  api_servers_missing: "status_stale",
  migration_not_offered: "protocol_limit",
};

export function migrateError(
  code: MigrateCode,
  message: string,
  advice: string,
  cause?: unknown,
): MigrateError {
  return new MigrateError({ code, errorClass: CLASS_OF[code], message, advice, cause });
}
