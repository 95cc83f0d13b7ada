/**
 * docs/troubleshooting.md.
 *
 * @module Made from the tables of error classes and of checks; the compiler and a test refuse a missing entry.
 */
import type { ErrorClass } from "../../src/base/error-class.ts";
import { ALL_CHECKS } from "../../src/commands/doctor/doctor.ts";
import { PROBE_CHECKS } from "../../src/commands/probe/checks.ts";
import { VERIFY_CHECKS } from "../../src/commands/verify-key/checks.ts";
import { code, GENERATED } from "./markdown.ts";

interface ClassHelp {
  readonly means: string;
  /** What kube-apiserver and the cluster notice. */
  readonly effect: string;
  readonly steps: readonly string[];
}

const DOCTOR = "`bao-kms-provider doctor --config /etc/openbao-kms/config.yaml` names the cause.";
const LOG = "`journalctl -u bao-kms-provider` has the `reason` and `advice` of the first failure.";

const CLASSES: Readonly<Record<ErrorClass, ClassHelp>> = {
  config_invalid: {
    means: "The configuration, a flag, the environment or a file that they name was refused.",
    effect: "The provider does not start (exit code 3).",
    steps: [
      "Each problem is one line `error: FIELD …` with a `fix:` below it. Fix all of them, then check: `bao-kms-provider config --config /etc/openbao-kms/config.yaml`.",
      "A variable that is refused: `unset NAME`, or `UnsetEnvironment=NAME` in the unit.",
    ],
  },
  socket_unavailable: {
    means: "The socket or its directory is missing, unsafe, taken, or may not be reached.",
    effect: "kube-apiserver cannot connect. It continues with the seeds in its memory, and cannot restart.",
    steps: [
      "Run the `install -d` line of the message; on packaged systems `systemd-tmpfiles --create openbao-kms.conf` does the same.",
      "As kube-apiserver's user: `bao-kms-provider probe`, or as root `bao-kms-provider probe --as-apiserver`.",
    ],
  },
  auth_failed: {
    means:
      "OpenBao refused the login, or the credential is missing, unreadable or not what the configuration expects.",
    effect:
      "Status shows a reason. kube-apiserver continues to read what it has in memory and to write with its present seed.",
    steps: [
      DOCTOR,
      "Compare issuer, audience and subject of the JWT with the role: `bao read auth/jwt/role/NAME`.",
      "Compare the clocks of this machine, the issuer and OpenBao: `timedatectl`.",
    ],
  },
  auth_expired: {
    means: "The credential or the token has expired, or expires too soon to be used.",
    effect: "As for auth_failed. The provider notices a fresh credential by itself.",
    steps: ["Write a fresh credential to its file, and find out why it was not renewed in time."],
  },
  openbao_rate_limited: {
    means: "OpenBao answers 429: a quota is used up.",
    effect: "Calls are slowed down; the provider waits as long as OpenBao asks.",
    steps: ["`bao list sys/quotas/rate-limit`, and raise the one that covers the Transit and auth mounts."],
  },
  openbao_sealed: {
    means: "OpenBao is sealed or not initialized.",
    effect:
      "Status keeps answering with the key_id and a reason: writes continue with the present seed; a restarting kube-apiserver waits.",
    steps: ["`bao operator unseal` on each node. The provider recovers by itself."],
  },
  openbao_unavailable: {
    means: "OpenBao cannot be reached, fails, or does not answer as OpenBao does.",
    effect: "As for openbao_sealed.",
    steps: [
      "`curl --cacert /etc/openbao-kms/tls/ca.crt https://OPENBAO:8200/v1/sys/health` from this machine.",
      DOCTOR,
    ],
  },
  transit_key_missing: {
    means: "The key, its mount or a required version does not exist.",
    effect:
      "When the active version is proven lost, Status fails and writes stop within minutes, so that no unreadable data is written.",
    steps: [
      "Create nothing in its place. See what exists: `bao read MOUNT/keys/KEY`.",
      "A soft-deleted key: `bao write -f MOUNT/keys/KEY/soft-delete-restore`. A key that is gone: restore OpenBao from a backup that has it.",
      "`bao-kms-provider verify-key --config FILE` says which versions still decrypt.",
    ],
  },
  transit_policy_denied: {
    means: "The token lacks a permission, or the key or mount does not have the required settings.",
    effect: "Nothing new is encrypted while the key's profile is not as required; Decrypt is always tried.",
    steps: ["`bao-kms-provider policy openbao --config FILE | bao policy write openbao-kms -`", DOCTOR],
  },
  key_id_unknown: {
    means: "A value in etcd names a version that this key does not have, or that was removed on purpose.",
    effect: "That value cannot be read through this provider.",
    steps: [
      "Another key, mount, cluster id or lineage: compare `bao-kms-provider config` with the node that wrote it; the fingerprints must be the same.",
      "A removed version: `bao-kms-provider restore-versions --versions N` while Transit still has it.",
    ],
  },
  key_id_malformed: {
    means: "A value in etcd carries a key_id that no release of this provider makes.",
    effect: "That value cannot be read.",
    steps: [
      "See which provider wrote it: `bao-kms-provider audit`; keep that provider in the EncryptionConfiguration.",
    ],
  },
  aad_missing: {
    means: "A value in etcd lacks an annotation that every value of this provider has.",
    effect: "That value cannot be read.",
    steps: [
      "It was changed in etcd or written by something else: `bao-kms-provider audit` names it. Restore it from a backup.",
    ],
  },
  aad_mismatch: {
    means: "A value does not belong to its annotations, key_id or key: it was moved, mixed up or damaged.",
    effect: "That value cannot be read.",
    steps: ["`bao-kms-provider audit` names damaged values. Restore them from a backup."],
  },
  annotation_invalid: {
    means: "An annotation of a value is not what it must be.",
    effect: "That value cannot be read.",
    steps: ["As for aad_mismatch."],
  },
  protocol_limit: {
    means: "A request or answer breaks a limit of KMS v2, or too many calls wait for their turn.",
    effect: "That call is refused; other calls are not affected.",
    steps: [
      "RESOURCE_EXHAUSTED under load: see why OpenBao is slow; if it is not, raise server.maxConcurrentDecrypt or server.maxConcurrentEncrypt.",
    ],
  },
  status_stale: {
    means: "The key was not probed successfully for longer than status.statusMaxStaleness.",
    effect: "/ready is 503 and Status shows a reason.",
    steps: [LOG],
  },
  timeout: {
    means: "An answer did not come in time.",
    effect: "That call failed; kube-apiserver retries.",
    steps: ["`bao-kms-provider benchmark --config FILE` shows how long OpenBao takes from here."],
  },
  canceled: {
    means: "The caller gave up, or the command was interrupted.",
    effect: "None beyond that call.",
    steps: ["Many of them: see `timeout`."],
  },
  registry_invalid: {
    means:
      "The key registry is missing, damaged, older than its checkpoint, or of another key; or it cannot be written.",
    effect:
      "A provider that starts refuses it and ends; one that is running continues with what it has and promotes nothing.",
    steps: [
      "Copy registry and checkpoint, both, from a healthy node of the same control plane (same owner, mode 0600).",
      "Without one: `bao-kms-provider rebuild-registry`. Never delete it to continue: the record of the versions in use would be lost.",
    ],
  },
  token_device: {
    means: "The PKCS#11 token or its module failed, or refused the PIN.",
    effect:
      "No new login; the present token is used until it ends. Exit code 6 when the PIN was refused and there is no registry.",
    steps: ["A refused PIN is never tried again automatically: write the right one to the PIN file.", DOCTOR],
  },
  unknown: {
    means: "An unexpected failure.",
    effect: "That call or command failed.",
    steps: [LOG, "Please report it."],
  },
};

/** What kube-apiserver writes into its own log, and what it means. */
const APISERVER_MESSAGES = [
  {
    message: "StorageError: corrupt object",
    means:
      "kube-apiserver 1.37 writes this about every Secret that it cannot decrypt, each second, also while OpenBao or the provider is away for a moment. It is not a sign of lost data.",
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

Every failure has an error class. You find it in logs (\`error_class\`), metrics, health and JSON reports. Every message names the command or
change that fixes it. Start here: \`bao-kms-provider doctor --config /etc/openbao-kms/config.yaml\`, then
\`bao-kms-provider probe --as-apiserver\`.

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
    `When the message does not say more: ${whenFailed}`,
  ].join("\n");
}
