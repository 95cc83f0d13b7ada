/** @module The declaration of `migrate`; run.ts does the work. */
import { defineCommand } from "../../cli/command.ts";
import type { ValuesOf } from "../../cli/option.ts";
import { liveSourceOptions } from "../audit-sources.ts";
import { configOption, outputOption } from "../shared-options.ts";

const migrateOptions = {
  ...configOption,
  ...liveSourceOptions,
  kubeconfig: {
    kind: "text",
    placeholder: "FILE",
    description: "Client certificate, token or exec plugin that may get and patch every encrypted resource",
  },
  "kube-context": { kind: "text", placeholder: "NAME", description: "In place of the current context" },
  "api-server": {
    kind: "list",
    placeholder: "URL",
    description: "An API server, reached directly; one for each",
  },
  rate: {
    kind: "count",
    placeholder: "N",
    default: 50,
    min: 1,
    max: 5000,
    description: "The most objects to rewrite in a second",
  },
  away: {
    kind: "flag",
    description:
      "Leave this provider: rewrite what is ours to the provider that the EncryptionConfiguration now names first",
  },
  "storage-version-migration": {
    kind: "flag",
    description:
      "With --apply: ask the cluster for a StorageVersionMigration of each resource that holds stale objects, instead of rewriting them from here, wait for it, and audit again",
  },
  wait: {
    kind: "duration",
    placeholder: "D",
    defaultMs: 600_000,
    maxMs: 86_400_000,
    description:
      "With --storage-version-migration: how long to wait until the cluster is through; 0s only asks",
  },
  apply: { kind: "flag", description: "Rewrite; without it nothing is changed" },
  ...outputOption,
} as const;

/** The values of a command line. */
export type MigrateFlags = ValuesOf<typeof migrateOptions>;

export const migrateCommand = defineCommand({
  name: "migrate",
  summary: "Rewrite the stored objects that are not under the active version; a dry run by default",
  description: [
    "Audits the running etcd, and with --apply has kube-apiserver rewrite exactly the objects that are stale: those of ours under an older version, and those in plaintext or under another provider in Secrets and in every resource of which an object is ours. Then it audits again and shows before and after.",
    "Each object is sent an empty merge patch with its resourceVersion, and only metadata is asked for, which is thrown away: no object's content is read, and no concurrent change is lost. Conflicts are tried again, deletions are accepted. Custom resources are found by discovery.",
    "First every API server is proven, each reached directly: one stale object is rewritten through it, and etcd must then show the active key_id. The servers are those named, or those behind the Service kubernetes, and at least as many as there are Leases.",
    "After an interruption, run it again; it continues with the objects that are still stale. Admission webhooks see these patches like any other change.",
  ],
  options: migrateOptions,
  examples: ["migrate --config c.yaml --etcd-endpoints https://e1:2379 --kubeconfig admin.conf"],
  run: async (flags, context) => {
    const action = await import("./run.ts");
    return action.migrate(flags, context);
  },
});
