/** @module What the operator does with the files, for each model; one line for each step. Pure. */
import { assertNever } from "../../base/assert-never.ts";
import type { ProviderConfig } from "../../config/schema.ts";
import { credentialFiles } from "../credential-files.ts";
import { filesOfMachine, SECRET_NAME, secretKeys } from "./cluster-api.ts";
import type { InstallationRequest } from "./installation.ts";
import { SERVICE_USER } from "./static-pod.ts";

export interface StepsRequest extends Pick<InstallationRequest, "model" | "isNewKey" | "node"> {
  readonly out: string;
  readonly config: ProviderConfig;
}

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
