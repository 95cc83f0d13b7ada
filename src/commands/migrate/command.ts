/** @module The declaration of `migrate`. */
import type { Declaration, FlagsOf } from "../../cli/command.ts";
import { count, duration, flag, list, text } from "../../cli/option.ts";
import { liveSourceOptions } from "../audit-sources.ts";
import { configOption, outputOption } from "../shared-options.ts";

export const migrateCommand = {
  name: "migrate",
  summary: "Rewrite the stored objects that are not under the active version; a dry run by default",
  description: [
    "Audits the running etcd, and with --apply lets kube-apiserver rewrite exactly the stale objects: those of this provider under an older version, and those in plaintext or under another provider, in Secrets and in every resource of which this provider has encrypted an object. Then it audits again and shows before and after.",
    "It sends each object an empty merge patch with its resourceVersion and requests only metadata, which it discards: no object's content is read, and no concurrent change is lost. Conflicts are retried, deletions are accepted. Custom resources are found by discovery.",
    "First it proves every API server over a direct connection: it rewrites one stale object through it, and etcd must then show the active key_id. The servers are those that you name, or those behind the Service kubernetes, and at least as many as there are Leases.",
    "After an interruption, run it again: it continues with the objects that are still stale. Admission webhooks see these patches like any other change.",
  ],
  options: {
    ...configOption,
    ...liveSourceOptions,
    kubeconfig: text(
      "FILE",
      "Client certificate, token or exec plugin that may get and patch every encrypted resource",
    ),
    "kube-context": text("NAME", "The context to use instead of the current one"),
    "api-server": list("URL", "The address of one API server; repeat it for each server"),
    rate: { ...count("N", "At most this many objects per second are rewritten", 1, 5000), default: 50 },
    away: flag(
      "Leave this provider: rewrite its objects to the provider that the EncryptionConfiguration names first",
    ),
    "storage-version-migration": flag(
      "With --apply: instead of rewriting from here, create a StorageVersionMigration for each resource with stale objects, wait for it, and audit again",
    ),
    wait: {
      ...duration(
        "With --storage-version-migration: how long to wait for the cluster; 0s does not wait",
        86_400_000,
      ),
      default: 600_000,
    },
    apply: flag("Rewrite; without it nothing is changed"),
    ...outputOption,
  },
  examples: ["migrate --config c.yaml --etcd-endpoints https://e1:2379 --kubeconfig admin.conf"],
} as const satisfies Declaration;

export type MigrateFlags = FlagsOf<typeof migrateCommand>;
