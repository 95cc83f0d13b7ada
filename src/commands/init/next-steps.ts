/**
 * What the operator does with the files, for each model.
 *
 * @module Pure: one line for each step.
 */
import { assertNever } from "../../base/assert-never.ts";
import type { ProviderConfig } from "../../config/schema.ts";
import { filesOfMachine, SECRET_NAME, secretKeys } from "./cluster-api.ts";
import { credentialFiles } from "./credential-files.ts";
import type { InstallationRequest } from "./installation.ts";
import { SERVICE_USER } from "./static-pod.ts";

export interface StepsRequest extends Pick<InstallationRequest, "model" | "isNewKey" | "node"> {
  readonly out: string;
  readonly config: ProviderConfig;
}

export function nextSteps({ out, config, model, isNewKey, node }: StepsRequest): readonly string[] {
  const setup =
    isNewKey || model === "cluster-api"
      ? `${out}/openbao-setup.sh, once for the cluster, with an OpenBao administrator's token`
      : `${out}/openbao-setup.sh, which adds this node to the key of the first, with an OpenBao administrator's token`;
  const onNode = [
    `kubeadm: add ${out}/kubeadm-config.yaml to its configuration; ${out}/patches, where it exists, is for --patches`,
    `${out}/encryption-config-readers.yaml on all control-plane nodes, then encryption-config.yaml on all`,
    ...(isNewKey && node !== undefined
      ? [`further nodes: bao-kms-provider init --values ${out}/values.yaml --node NAME --out DIR`]
      : []),
  ];
  switch (model) {
    case "systemd":
      return [setup, ...systemdSteps(out), ...onNode];
    case "static-pod":
      return [setup, ...staticPodSteps(out, config), ...onNode];
    case "cluster-api":
      return [setup, ...clusterApiSteps(out, config)];
    default:
      return assertNever(model);
  }
}

const systemdSteps = (out: string): readonly string[] => [
  `install ${out}/config.yaml as /etc/openbao-kms/config.yaml on this node, and start the provider`,
  "bao-kms-provider doctor --config /etc/openbao-kms/config.yaml",
];

const staticPodSteps = (out: string, config: ProviderConfig): readonly string[] => [
  "on this node: the directories and the socket's group, from sysusers.conf and tmpfiles.conf of deploy/static-pod",
  `${out}/config.yaml as /etc/openbao-kms/config.yaml (root:${SERVICE_USER} 0640), the CA as ${config.openbao.caCertFile}`,
  `the credential, for user ${SERVICE_USER}: ${credentialFiles(config.auth)
    .map(({ path }) => path)
    .join(", ")}`,
  `bao-kms-provider doctor --config /etc/openbao-kms/config.yaml --service-user ${SERVICE_USER}`,
  `${out}/bao-kms-provider.yaml to /etc/kubernetes/manifests: kubelet starts the pod at once`,
];

function clusterApiSteps(out: string, config: ProviderConfig): readonly string[] {
  const fromMachine = filesOfMachine(config);
  return [
    `the Secret ${SECRET_NAME} in the Cluster's namespace of the management cluster, with the keys ${secretKeys(config).join(", ")}`,
    ...(fromMachine.length === 0
      ? []
      : [`from the machine's image or from an agent on it, before kubeadm runs: ${fromMachine.join(", ")}`]),
    `in ${out}/kubeadm-control-plane.yaml: the name, replicas, version and machineTemplate of your cluster; then apply it`,
    "after the roll-out: the key of encryption-config.yaml in place of encryption-config-readers.yaml, and apply it again",
  ];
}
