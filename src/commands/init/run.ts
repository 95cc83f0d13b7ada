/**
 * What `init` does: reads its two input files, writes the installation, and prints the next steps.
 *
 * @module installation.ts plans the files, write-files.ts writes them.
 */
import { readSafeFile } from "../../base/safe-file.ts";
import type { CommandContext } from "../../cli/command.ts";
import type { ExitName } from "../../cli/exit-code.ts";
import { UsageError } from "../../cli/usage-error.ts";
import { MAX_CONFIG_BYTES } from "../../config/decode-config.ts";
import type { ProviderConfig } from "../../config/schema.ts";
import { decodeEncryptionConfig } from "../../kubernetes/encryption-config/decode.ts";
import { MAX_ENCRYPTION_CONFIG_BYTES } from "../../kubernetes/encryption-config/file-tree.ts";
import type { EncryptionConfig } from "../../kubernetes/encryption-config/types.ts";
import type { InitFlags } from "./command.ts";
import { type Installation, planInstallation } from "./installation.ts";
import { credentialFiles } from "./static-pod.ts";
import { systemRandom } from "./values.ts";
import { writeFiles } from "./write-files.ts";

export async function init(flags: InitFlags, { output }: CommandContext): Promise<ExitName> {
  const values = required(flags.values, "--values");
  const out = required(flags.out, "--out");
  const installation = planInstallation({
    values: { bytes: await readValues(values), file: values },
    model: flags.model,
    isNewKey: flags["new-key"],
    node: flags.node,
    current: await readCurrent(flags["current-encryption-config"]),
    policyName: flags["policy-name"],
    image: flags.image,
    socketGid: flags["socket-gid"],
    random: systemRandom,
  });
  await writeFiles(out, installation.files);
  output.result(summary(out, installation, flags));
  return "good";
}

function required(value: string | undefined, flag: string): string {
  if (value === undefined) {
    throw new UsageError(`${flag} is missing`, "see: bao-kms-provider init --help");
  }
  return value;
}

async function readValues(path: string): Promise<Uint8Array> {
  const { bytes } = await readSafeFile(path, {
    what: "the values file",
    field: "--values",
    maxBytes: MAX_CONFIG_BYTES,
    secret: false,
    serviceUid: process.getuid?.() ?? 0,
    errorClass: "config_invalid",
  });
  return bytes;
}

async function readCurrent(path: string | undefined): Promise<EncryptionConfig | undefined> {
  if (path === undefined) {
    return undefined;
  }
  const { bytes } = await readSafeFile(path, {
    what: "the EncryptionConfiguration",
    field: "--current-encryption-config",
    maxBytes: MAX_ENCRYPTION_CONFIG_BYTES,
    secret: true,
    serviceUid: process.getuid?.() ?? 0,
    errorClass: "config_invalid",
  });
  return decodeEncryptionConfig(bytes, path);
}

function summary(
  out: string,
  { files, config, fingerprint }: Installation,
  { model, "new-key": isNewKey, node }: InitFlags,
): string {
  const steps = [
    isNewKey
      ? `${out}/openbao-setup.sh, once for the cluster, with an OpenBao administrator's token`
      : `${out}/openbao-setup.sh, which adds this node to the key of the first, with an OpenBao administrator's token`,
    ...(model === "static-pod" ? staticPodSteps(out, config) : systemdSteps(out)),
    `kubeadm: add ${out}/kubeadm-config.yaml to its configuration; ${out}/patches, where it exists, is for --patches`,
    `${out}/encryption-config-readers.yaml on all control-plane nodes, then encryption-config.yaml on all`,
    ...(isNewKey && node !== undefined
      ? [`further nodes: bao-kms-provider init --values ${out}/values.yaml --node NAME --out DIR`]
      : []),
  ];
  return [
    ...files.map(({ name }) => `${out}/${name}`),
    "",
    `fingerprint  ${fingerprint}   (the same on every node of this control plane)`,
    "",
    "Next:",
    ...steps.map((step, index) => `  ${index + 1}. ${step}`),
    "",
  ].join("\n");
}

const systemdSteps = (out: string): readonly string[] => [
  `install ${out}/config.yaml as /etc/openbao-kms/config.yaml on this node, and start the provider`,
  "bao-kms-provider doctor --config /etc/openbao-kms/config.yaml",
];

const staticPodSteps = (out: string, config: ProviderConfig): readonly string[] => [
  "on this node: the directories and the socket's group, from sysusers.conf and tmpfiles.conf of deploy/static-pod",
  `${out}/config.yaml as /etc/openbao-kms/config.yaml (root:65532 0640), the CA as ${config.openbao.caCertFile}`,
  `the credential, for user 65532: ${credentialFiles(config.auth).join(", ")}`,
  "bao-kms-provider doctor --config /etc/openbao-kms/config.yaml --service-user 65532",
  `${out}/bao-kms-provider.yaml to /etc/kubernetes/manifests: kubelet starts the pod at once`,
];
