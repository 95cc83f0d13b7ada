/** @module The declaration of `audit`; run.ts does the work. */
import { defineCommand } from "../../cli/command.ts";
import type { ValuesOf } from "../../cli/option.ts";
import { sourceOptions } from "../audit-sources.ts";
import { configOption, outputOption } from "../shared-options.ts";

const auditOptions = {
  ...configOption,
  ...sourceOptions,
  list: {
    kind: "choice",
    placeholder: "WHICH",
    choices: ["none", "stale", "all"],
    default: "none",
    description:
      "Also list objects by name: all, or those that are not under the active version (plaintext: Secrets only); stale needs --config",
  },
  object: {
    kind: "text",
    placeholder: "OBJECT",
    description:
      "Also judge one object, for example secrets/default/db, before it is deleted as corrupt: whether a version in this node's registry derives to its key_id; needs --config",
  },
  "evidence-out": { kind: "text", placeholder: "FILE", description: "Write the evidence to a new file" },
  html: {
    kind: "text",
    placeholder: "FILE",
    description: "Write the report as a self-contained HTML page to a new file",
  },
  ...outputOption,
} as const;

/** The values of a command line. */
export type AuditFlags = ValuesOf<typeof auditOptions>;

export const auditCommand = defineCommand({
  name: "audit",
  summary: "Count stored objects by the key that each of them needs",
  description: [
    "Reads every object of a running etcd, or of snapshot files, and counts by resource how it is stored: in plaintext, under a key of the EncryptionConfiguration, under another KMS provider, or under this one, with its key_id and Transit version. Nothing is decrypted, and no value is kept.",
    "With --config, key_ids are tied to versions by this node's registry; without it, versions are what the objects' annotations state.",
    "A running etcd is read page by page at one revision. After a lost connection the read continues at the next endpoint. If the revision is compacted meanwhile, the read starts again, three times at most. A saved snapshot's digest is checked first, and damage anywhere in it is refused, never counted as fewer objects. A bare member/snap/db has no digest: damage that leaves its pages consistent cannot be seen, so it is good for a report and not as evidence.",
    "--evidence-out writes the counts with a digest, for verify-rotation, retire-versions and rebuild-registry, and for the change ticket; --html writes the same as one page.",
  ],
  options: auditOptions,
  examples: [
    "audit --snapshot /var/backups/etcd.db",
    "audit --config config.yaml --snapshot etcd.db --evidence-out evidence.json",
    "audit --config config.yaml --snapshot etcd.db --object secrets/default/db",
  ],
  run: async (flags, context) => {
    const { audit } = await import("./run.ts");
    return audit(flags, context);
  },
});
