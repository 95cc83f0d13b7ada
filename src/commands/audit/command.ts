/** @module The declaration of `audit`. */
import type { Declaration, FlagsOf } from "../../cli/command.ts";
import { choice, text } from "../../cli/option.ts";
import { sourceOptions } from "../audit-sources.ts";
import { configOption, outputOption } from "../shared-options.ts";

export const auditCommand = {
  name: "audit",
  summary: "Count stored objects by the key that each one needs",
  description: [
    "Reads every object of a running etcd, or of snapshot files, and counts by resource how they are stored: in plaintext, under a key of the EncryptionConfiguration, under another KMS provider, or under this one, with key_id and Transit version. It decrypts nothing and keeps no value.",
    "With --config, this node's registry maps key_ids to versions; without it, versions are those that the objects' annotations state.",
    "A running etcd is read page by page at one revision. After a lost connection the read continues at the next endpoint. If the revision is compacted during the read, the read starts again, at most three times. The digest of a saved snapshot is checked first, and damage anywhere in it is refused and never counted as fewer objects. A copy of member/snap/db has no digest, so some damage stays unnoticed: use it for a report and not as evidence.",
    "--evidence-out writes the counts with a digest, for verify-rotation, retire-versions and rebuild-registry, and for the change ticket; --html writes the same as one page.",
  ],
  options: {
    ...configOption,
    ...sourceOptions,
    list: choice(
      "WHICH",
      ["none", "stale", "all"],
      "Also list objects by name: all, or those that are not under the active version (plaintext: Secrets only); stale needs --config",
    ),
    object: text(
      "OBJECT",
      "Also judge one object, for example secrets/default/db, before it is deleted as corrupt: whether a version in this node's registry derives to its key_id; needs --config",
    ),
    "evidence-out": text("FILE", "Write the evidence to a new file"),
    html: text("FILE", "Write the report as a self-contained HTML page to a new file"),
    ...outputOption,
  },
  examples: [
    "audit --snapshot /var/backups/etcd.db",
    "audit --config config.yaml --snapshot etcd.db --evidence-out evidence.json",
    "audit --config config.yaml --snapshot etcd.db --object secrets/default/db",
  ],
} as const satisfies Declaration;

export type AuditFlags = FlagsOf<typeof auditCommand>;
