/** @module docs/troubleshooting.md, from the tables of error classes and checks; the compiler and a test refuse a missing entry. */
import type { ErrorClass } from "../../src/base/error-class.ts";
import { ALL_CHECKS } from "../../src/commands/doctor/run.ts";
import { PROBE_CHECKS } from "../../src/commands/probe/checks.ts";
import { VERIFY_CHECKS } from "../../src/commands/verify-key/run.ts";
import { code, GENERATED } from "./markdown.ts";

interface ClassHelp {
  readonly means: string;
  /** What kube-apiserver and the cluster notice. */
  readonly effect: string;
  readonly steps: readonly string[];
}

const DOCTOR = "Run `bao-kms-provider doctor --config /etc/openbao-kms/config.yaml`: it names the cause.";
const LOG =
  "Read the log: `journalctl -u bao-kms-provider`. The first failure has a `reason` and an `advice`.";

const CLASSES: Readonly<Record<ErrorClass, ClassHelp>> = {
  config_invalid: {
    means: "The configuration, a flag, an environment variable or a file that they name was refused.",
    effect: "The provider does not start (exit code 3).",
    steps: [
      "Each problem is one line `error: FIELD …` with a `fix:` below it. Fix all of them, then check with `bao-kms-provider config --config /etc/openbao-kms/config.yaml`.",
      "For a refused variable: `unset NAME`, or `UnsetEnvironment=NAME` in the unit.",
    ],
  },
  socket_unavailable: {
    means:
      "The socket or its directory is missing, unsafe or in use by another process, or this user may not connect.",
    effect:
      "kube-apiserver cannot connect. It continues with the seeds in its memory; after a restart it cannot decrypt.",
    steps: [
      "Run the `install -d` line of the message. On a system with the package, `systemd-tmpfiles --create openbao-kms.conf` does the same.",
      "Test the socket as root: `bao-kms-provider probe --as-apiserver`.",
    ],
  },
  auth_failed: {
    means:
      "OpenBao refused the login, or the credential is missing, unreadable, or does not match the configuration.",
    effect: "Status shows a reason. kube-apiserver continues to read and write with the seeds in its memory.",
    steps: [
      DOCTOR,
      "Compare issuer, audience and subject of the JWT with the role: `bao read auth/jwt/role/NAME`.",
      "Compare the clocks of this machine, the issuer and OpenBao: `timedatectl`.",
    ],
  },
  auth_expired: {
    means: "The credential or the token has expired, or expires too soon.",
    effect: "As for auth_failed. The provider uses a fresh credential by itself.",
    steps: ["Write a fresh credential to its file. Then find out why it was not renewed in time."],
  },
  openbao_rate_limited: {
    means: "OpenBao answers 429: a rate limit quota is exhausted.",
    effect: "Calls are slow; the provider waits as long as OpenBao asks.",
    steps: [
      "List the quotas with `bao list sys/quotas/rate-limit`, and raise the one that covers the Transit and auth mounts.",
    ],
  },
  openbao_sealed: {
    means: "OpenBao is sealed or not initialized.",
    effect:
      "Status keeps answering with the key_id and a reason: writes continue with the present seed; a restarting kube-apiserver waits.",
    steps: ["Run `bao operator unseal` on each OpenBao node. The provider recovers by itself."],
  },
  openbao_unavailable: {
    means: "OpenBao is unreachable or fails, or another server answers in its place.",
    effect: "As for openbao_sealed.",
    steps: [
      "From this machine, run `curl --cacert /etc/openbao-kms/tls/ca.crt https://OPENBAO:8200/v1/sys/health`.",
      DOCTOR,
    ],
  },
  transit_key_missing: {
    means: "The key, its mount or a required version does not exist.",
    effect:
      "When the active version is proven lost, Status fails and writes stop within minutes, so that no unreadable data is written.",
    steps: [
      "Do not create a new key in its place. List what exists: `bao read MOUNT/keys/KEY`.",
      "Restore a soft-deleted key with `bao write -f MOUNT/keys/KEY/soft-delete-restore`. If the key is gone, restore OpenBao from a backup that has it.",
      "`bao-kms-provider verify-key --config FILE` shows which versions still decrypt.",
    ],
  },
  transit_policy_denied: {
    means: "The token lacks a permission, or the key or mount does not have the required settings.",
    effect: "While the key lacks a required setting, nothing new is encrypted. Decrypt is always tried.",
    steps: [
      "Write the policy again: `bao-kms-provider policy openbao --config FILE | bao policy write openbao-kms -`.",
      DOCTOR,
    ],
  },
  key_id_unknown: {
    means:
      "A value in etcd has the key_id of a version that this key does not have, or that was removed on purpose.",
    effect: "That value cannot be read through this provider.",
    steps: [
      "Compare the fingerprint in `bao-kms-provider config` with that of the node that wrote the value. Another fingerprint means another key, mount, cluster id or lineage.",
      "Restore a removed version with `bao-kms-provider restore-versions --versions N`, while Transit still has it.",
    ],
  },
  key_id_malformed: {
    means: "A value in etcd has a key_id that no release of this provider writes.",
    effect: "That value cannot be read.",
    steps: [
      "Find out which provider wrote it with `bao-kms-provider audit`, and keep that provider in the EncryptionConfiguration.",
    ],
  },
  aad_missing: {
    means: "A value in etcd lacks an annotation that each value of this provider has.",
    effect: "That value cannot be read.",
    steps: [
      "It was changed in etcd or written by another program. `bao-kms-provider audit` names it. Restore it from a backup.",
    ],
  },
  aad_mismatch: {
    means: "A value does not match its annotations, key_id or key: it was moved, exchanged or damaged.",
    effect: "That value cannot be read.",
    steps: ["`bao-kms-provider audit` names damaged values. Restore them from a backup."],
  },
  annotation_invalid: {
    means: "An annotation of a value has the wrong form or content.",
    effect: "That value cannot be read.",
    steps: ["As for aad_mismatch."],
  },
  protocol_limit: {
    means: "A request or answer exceeds a limit of KMS v2, or too many calls wait for their turn.",
    effect: "That call is refused; other calls are not affected.",
    steps: [
      "For RESOURCE_EXHAUSTED under load, find out why OpenBao is slow. If it is not, raise server.maxConcurrentDecrypt or server.maxConcurrentEncrypt.",
    ],
  },
  status_stale: {
    means: "The last successful probe of the key is older than status.statusMaxStaleness.",
    effect: "/ready is 503 and Status shows a reason.",
    steps: [LOG],
  },
  timeout: {
    means: "An answer did not come in time.",
    effect: "That call failed; kube-apiserver retries.",
    steps: ["Measure OpenBao from this machine: `bao-kms-provider benchmark --config FILE`."],
  },
  canceled: {
    means: "The caller cancelled the call, or the command was interrupted.",
    effect: "Only that call failed.",
    steps: ["If there are many, continue with [timeout](#timeout)."],
  },
  registry_invalid: {
    means:
      "The key registry is missing, damaged, older than its checkpoint, of another key, or cannot be written.",
    effect:
      "At a start, the provider ends. A running provider continues with the registry in its memory and promotes nothing.",
    steps: [
      "Copy the registry and its checkpoint from a healthy node of the same control plane (same owner, mode 0600).",
      "Without a healthy node, run `bao-kms-provider rebuild-registry`. Never delete the registry: the record of the versions in use would be lost.",
    ],
  },
  token_device: {
    means: "The PKCS#11 token or its module failed, or refused the PIN.",
    effect:
      "No new login; the current OpenBao token is used until it expires. The exit code is 6 when the PIN was refused and there is no registry.",
    steps: [
      "A refused PIN is never tried again automatically. Write the correct PIN to the PIN file.",
      DOCTOR,
    ],
  },
  unknown: {
    means: "An unexpected error.",
    effect: "That call or command failed.",
    steps: [LOG, "Report it as a defect, with the version and the log line."],
  },
};

/** What kube-apiserver writes into its own log, and what it means. */
const APISERVER_MESSAGES = [
  {
    message: "StorageError: corrupt object",
    means:
      "kube-apiserver 1.37 writes this about every Secret that it cannot decrypt, each second, also while OpenBao or the provider is unavailable for a moment. It is not a sign of lost data.",
    steps: [
      "**Delete nothing.** From 1.37, kube-apiserver deletes an object it cannot decrypt when a delete request sets `ignoreStoreReadErrorWithClusterBreakingPotential`. A Secret deleted in this way is lost.",
      "`bao-kms-provider probe --socket /run/openbao-kms/kms.sock`: while it fails, the key cannot be reached, and that alone explains the message. Restore OpenBao or the provider first; the Secrets are then readable again.",
      "When `probe` succeeds and the message stays, run `bao-kms-provider audit`. It reads etcd without kube-apiserver and without decrypting, and counts damaged envelopes and key_ids that do not belong to this key.",
      "`bao-kms-provider audit --config FILE --object secrets/NAMESPACE/NAME` reports whether its key_id is derivable. Do not delete an object that is.",
      "Restore an object that the audit counts as damaged from a backup.",
    ],
  },
] as const;

interface PageCheck {
  readonly id: string;
  readonly proves: string;
  readonly needs: readonly string[];
  readonly whenFailed: string;
}

export function troubleshootingPage(): string {
  const commands: readonly (readonly [title: string, checks: readonly PageCheck[]])[] = [
    ["doctor", ALL_CHECKS],
    ["probe", PROBE_CHECKS],
    ["verify-key", VERIFY_CHECKS],
  ];
  return `# Troubleshooting
${GENERATED}

Every failure has an error class. The class is in the log (\`error_class\`), in metrics, in health answers and in JSON reports, and a failed command
ends with a \`see:\` line that leads to its entry here. Each message also has a \`fix\`: the command to run or the setting to change.

Start with these two commands:

\`\`\`text
bao-kms-provider doctor --config /etc/openbao-kms/config.yaml
bao-kms-provider probe --as-apiserver
\`\`\`

## By error class

${Object.entries(CLASSES).map(classText).join("\n\n")}

## By message of kube-apiserver

${APISERVER_MESSAGES.map(({ message, means, steps }) => classText([message, { means, steps }])).join("\n\n")}

## By check

${commands.map(([title, checks]) => `### ${title}\n\n${checks.map(checkText).join("\n\n")}`).join("\n\n")}
`;
}

type Help = Pick<ClassHelp, "means" | "steps"> & Partial<Pick<ClassHelp, "effect">>;

function classText([name, { means, effect, steps }]: readonly [string, Help]): string {
  const effects = effect === undefined ? [] : [`Effect: ${effect}`];
  return [`### ${name}`, means, ...effects, steps.map((step) => `- ${step}`).join("\n")].join("\n\n");
}

function checkText({ id, proves, needs, whenFailed }: PageCheck): string {
  return [
    `#### ${id}`,
    "",
    `Proves: ${proves}`,
    "",
    ...(needs.length === 0 ? [] : [`Needs: ${needs.map(code).join(", ")}`, ""]),
    `Fix, when the message has no other: ${whenFailed}`,
  ].join("\n");
}
