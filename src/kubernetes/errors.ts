/** @module Why work with kube-apiserver fails: each code with the error class of reports. */
import { ProviderError } from "../base/error-class.ts";

const CLASS_OF = {
  /** The kubeconfig is missing, unsafe, or not one that can be used here. */
  kubeconfig_invalid: "config_invalid",
  /** The exec plugin of the kubeconfig failed or answered something else than a credential. */
  exec_plugin_failed: "auth_failed",
  /** kube-apiserver refused the credential or the permission. */
  kube_denied: "auth_failed",
  /** kube-apiserver did not answer, or with an error, again and again. */
  kube_unavailable: "timeout",
  /** An admission webhook does not answer, so that kube-apiserver refuses changes. */
  webhook_failed: "timeout",
  /** kube-apiserver answered something that no kube-apiserver answers. */
  kube_reply_invalid: "protocol_limit",
  /** An API server writes under another key_id than the active one. */
  api_server_behind: "status_stale",
  /** Fewer API servers can be reached than are at work. */
  api_servers_missing: "status_stale",
  /** The cluster has no StorageVersionMigration. */
  migration_not_offered: "protocol_limit",
} as const;

type KubernetesCode = keyof typeof CLASS_OF;

export class KubernetesError extends ProviderError<KubernetesCode> {
  constructor(code: KubernetesCode, message: string, advice: string, cause?: unknown) {
    super({ code, errorClass: CLASS_OF[code], message, advice, cause });
  }
}
