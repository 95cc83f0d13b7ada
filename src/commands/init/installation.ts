/** @module All files of one node's installation: values and choices in; names, texts and modes out. */
import { createHash } from "node:crypto";
import { buildInfo } from "../../base/build-info.ts";
import { jsonText } from "../../cli/output.ts";
import type { ProviderConfig } from "../../config/schema.ts";
import { fingerprint } from "../../key/identity/fingerprint.ts";
import type { EncryptionConfig } from "../../kubernetes/encryption-config/config.ts";
import { configIdentity } from "../../provider/registry.ts";
import { keyNamespaceOf, openbaoPolicy } from "../openbao-policy.ts";
import { kubeadmControlPlane } from "./cluster-api.ts";
import { encryptionFiles } from "./encryption-files.ts";
import { refuseWhen } from "./errors.ts";
import { kubeApiServerPatch, kubeadmConfig, staticPodManifest } from "./manifests.ts";
import { setupScript } from "./setup-script.ts";
import { nodeConfig, type ValuesRequest } from "./values.ts";
import type { NewFile } from "./write-files.ts";

export interface InstallationRequest extends ValuesRequest {
  readonly model: "systemd" | "static-pod" | "cluster-api";
  readonly current: EncryptionConfig | undefined;
  readonly policyName: string;
  readonly image: string | undefined;
}

export type Installation = ReturnType<typeof planInstallation>;

const IMAGE = /^[a-z0-9][A-Za-z0-9./:_-]{0,254}@sha256:[0-9a-f]{64}$/;
/** As Kubernetes names nodes: RFC 1123, short enough for the names made of it. */
const NODE_NAME = /^[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?$/;
const POLICY_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;

/** @throws ConfigError, InitError */
export function planInstallation(request: InstallationRequest) {
  checkChoices(request);
  const { model, isNewKey, node, image } = request;
  const { config, text, furtherValues } = nodeConfig(request);
  // A role and a policy for each node: one node's access can be taken away alone.
  const policyName = node === undefined ? request.policyName : `${request.policyName}-${node}`;
  refuseWhen(
    model !== "systemd" && !isNumber(config.server.socketGroup),
    "server.socketGroup: a pod needs the group's number, because its image knows no host names",
    `give --socket-gid "$(getent group ${config.server.socketGroup} | cut -d: -f3)"`,
  );
  const { readers, writers } = encryptionFiles(
    config.transit.keyIdScope.providerName,
    config.server.socketPath,
    request.current,
  );
  const { auth } = config;
  const policy = openbaoPolicy({
    ...config.transit,
    keyNamespace: keyNamespaceOf(config),
    includeTokenRenewal: true,
    appRole: auth.method === "approle" ? { mountPath: auth.approle.mountPath, name: policyName } : undefined,
  });
  const files: readonly NewFile[] = [
    { name: "config.yaml", text, mode: 0o640 },
    ...(furtherValues === undefined ? [] : [{ name: "values.yaml", text: furtherValues, mode: 0o640 }]),
    { name: "encryption-config-readers.yaml", text: readers, mode: 0o600 },
    { name: "encryption-config.yaml", text: writers, mode: 0o600 },
    { name: "openbao-policy.hcl", text: policy, mode: 0o644 },
    { name: "openbao-setup.sh", text: setupScript(config, policyName, policy, isNewKey), mode: 0o755 },
    ...modelFiles(model, config, text, image),
  ];
  const mark = fingerprint(configIdentity(config));
  const record = jsonText({
    madeBy: buildInfo,
    model,
    node,
    fingerprint: mark,
    newKey: isNewKey,
    policyName,
    keepsCurrentProviders: request.current !== undefined,
    files: files.map(({ name, text: content }) => ({
      name,
      sha256: createHash("sha256").update(content).digest("hex"),
    })),
  });
  const recordFile: NewFile = { name: "installation.json", text: record, mode: 0o644 };
  return { files: [...files, recordFile], config, fingerprint: mark };
}

/** What differs between the models: for each node by itself, or one manifest for all machines. */
function modelFiles(
  model: InstallationRequest["model"],
  config: ProviderConfig,
  configText: string,
  image = "",
): readonly NewFile[] {
  const { socketGroup, socketPath } = config.server;
  const socketGid = Number(socketGroup);
  if (model === "cluster-api") {
    const text = kubeadmControlPlane(config, configText, image, socketGid);
    return [{ name: "kubeadm-control-plane.yaml", text, mode: 0o644 }];
  }
  const files = [{ name: "kubeadm-config.yaml", text: kubeadmConfig(socketPath), mode: 0o644 }];
  if (isNumber(socketGroup)) {
    const text = kubeApiServerPatch(socketGid);
    files.push({ name: "patches/kube-apiserver0+strategic.yaml", text, mode: 0o644 });
  }
  if (model === "static-pod") {
    const text = staticPodManifest(config, image, socketGid);
    files.push({ name: "bao-kms-provider.yaml", text, mode: 0o600 });
  }
  return files;
}

const isNumber = (text: string): boolean => /^\d+$/.test(text);

function checkChoices({ model, image, policyName, node }: InstallationRequest): void {
  refuseWhen(
    model === "cluster-api" && node !== undefined,
    "--node: the machines of a KubeadmControlPlane have one configuration",
    "leave it out, and write values without {node}",
  );
  refuseWhen(
    node !== undefined && !NODE_NAME.test(node),
    "--node: not a name of lower-case letters, digits, `-` and `.`",
    "give the node's name in Kubernetes: kubectl get nodes",
  );
  refuseWhen(
    !POLICY_NAME.test(policyName),
    "--policy-name: not a name of letters, digits, `_`, `.` and `-`",
    "leave it out for openbao-kms",
  );
  refuseWhen(
    model === "systemd" && image !== undefined,
    "--image: the systemd service has no image",
    "leave it out, or add --model static-pod or --model cluster-api",
  );
  refuseWhen(
    model !== "systemd" && !IMAGE.test(image ?? ""),
    "--image: a pod needs its image by digest",
    "give --image REGISTRY/NAME@sha256:DIGEST",
  );
}
