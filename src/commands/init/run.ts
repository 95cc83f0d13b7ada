/** @module `init`: reads its two input files, writes the installation, and prints the next steps. */
import { randomBytes } from "node:crypto";
import { assertNever } from "../../base/assert-never.ts";
import type { CommandContext } from "../../cli/command.ts";
import { UsageError } from "../../cli/errors.ts";
import type { ExitName } from "../../cli/exit-code.ts";
import { MAX_CONFIG_BYTES } from "../../config/decode-config.ts";
import type { ProviderConfig } from "../../config/schema.ts";
import { credentialFiles } from "../credential-files.ts";
import { readEncryptionConfig, readInputFile } from "../input-file.ts";
import { filesOfMachine, SECRET_NAME, secretKeys } from "./cluster-api.ts";
import type { InitFlags } from "./command.ts";
import { type Installation, type InstallationRequest, planInstallation } from "./installation.ts";
import { SERVICE_USER } from "./manifests.ts";
import { writeFiles } from "./write-files.ts";

export async function init(flags: InitFlags, { output }: CommandContext): Promise<ExitName> {
  const values = required(flags.values, "--values");
  const out = required(flags.out, "--out");
  const current = flags["current-encryption-config"];
  const rules = { what: "the values file", field: "--values", maxBytes: MAX_CONFIG_BYTES, secret: false };
  const installation = planInstallation({
    values: { bytes: await readInputFile(values, rules), file: values },
    model: flags.model,
    isNewKey: flags["new-key"],
    node: flags.node,
    current:
      current === undefined ? undefined : await readEncryptionConfig(current, "--current-encryption-config"),
    policyName: flags["policy-name"],
    image: flags.image,
    socketGid: flags["socket-gid"],
    random: randomBytes,
  });
  await writeFiles(out, installation.files);
  output.result(summary(out, installation, flags));
  return "good";
}

function required(value: string | undefined, flag: string): string {
  if (value === undefined) {
    throw new UsageError(`${flag} is missing`, `give ${flag}`);
  }
  return value;
}

function summary(out: string, { files, config, fingerprint }: Installation, flags: InitFlags): string {
  const steps = nextSteps({ out, config, model: flags.model, isNewKey: flags["new-key"], node: flags.node });
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

export interface StepsRequest extends Pick<InstallationRequest, "model" | "isNewKey" | "node"> {
  readonly out: string;
  readonly config: ProviderConfig;
}

/** What the operator does with the files, one line for each step. */
export function nextSteps({ out, config, model, isNewKey, node }: StepsRequest): readonly string[] {
  const setup =
    isNewKey || model === "cluster-api"
      ? `Once for the cluster, with an OpenBao administrator's token: sh ${out}/openbao-setup.sh`
      : `With an OpenBao administrator's token, add this node's role and policy: sh ${out}/openbao-setup.sh`;
  const onNode = [
    `With kubeadm: add ${out}/kubeadm-config.yaml to its configuration. If ${out}/patches exists, name it as patches.directory there`,
    `Install ${out}/encryption-config-readers.yaml on all control-plane nodes; only then install ${out}/encryption-config.yaml on all`,
    ...(isNewKey && node !== undefined
      ? [`For each further node: bao-kms-provider init --values ${out}/values.yaml --node NAME --out DIR`]
      : []),
  ];
  switch (model) {
    case "systemd":
      return [setup, ...systemdSteps(out, config), ...onNode];
    case "static-pod":
      return [setup, ...staticPodSteps(out, config), ...onNode];
    case "cluster-api":
      return [setup, ...clusterApiSteps(out, config)];
    default:
      return assertNever(model);
  }
}

const systemdSteps = (out: string, config: ProviderConfig): readonly string[] => [
  `Install ${out}/config.yaml as /etc/openbao-kms/config.yaml on this node, and the CA as ${config.openbao.caCertFile}`,
  credentialStep(config, "the service"),
  "Check: bao-kms-provider doctor --config /etc/openbao-kms/config.yaml",
  "Start the provider: systemctl enable --now bao-kms-provider.service",
];

function credentialStep({ auth }: ProviderConfig, reader: string): string {
  const paths = credentialFiles(auth).map(({ path }) => path);
  return `Provide the credential, readable for ${reader}: ${paths.join(", ")}`;
}

const staticPodSteps = (out: string, config: ProviderConfig): readonly string[] => [
  "On this node, create the socket's group and the directories from deploy/static-pod/sysusers.conf and tmpfiles.conf",
  `Install ${out}/config.yaml as /etc/openbao-kms/config.yaml (root:${SERVICE_USER} 0640), and the CA as ${config.openbao.caCertFile}`,
  credentialStep(config, `user ${SERVICE_USER}`),
  `Check: bao-kms-provider doctor --config /etc/openbao-kms/config.yaml --service-user ${SERVICE_USER}`,
  `Copy ${out}/bao-kms-provider.yaml to /etc/kubernetes/manifests: kubelet starts the pod at once`,
];

function clusterApiSteps(out: string, config: ProviderConfig): readonly string[] {
  const fromMachine = filesOfMachine(config);
  return [
    `Create the Secret ${SECRET_NAME} in the Cluster's namespace of the management cluster, with the keys ${secretKeys(config).join(", ")}`,
    ...(fromMachine.length === 0
      ? []
      : [
          `Provide, from the machine's image or from an agent on it, before kubeadm runs: ${fromMachine.join(", ")}`,
        ]),
    `Write the name, replicas, version and machineTemplate of your cluster into ${out}/kubeadm-control-plane.yaml, and apply it`,
    "After the roll-out, use the key of encryption-config.yaml in place of encryption-config-readers.yaml, and apply it again",
  ];
}
