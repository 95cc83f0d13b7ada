/** @module The samples of deploy/ with this node's paths, group and image: the static pod, and what kubeadm needs to know. */
import { dirname } from "node:path";
import { isMap, isSeq, parseDocument } from "yaml";
import patch from "../../../deploy/kubernetes/kube-apiserver-non-root.yaml" with { type: "text" };
import clusterConfiguration from "../../../deploy/kubernetes/kubeadm-config.yaml" with { type: "text" };
import sample from "../../../deploy/static-pod/bao-kms-provider.yaml" with { type: "text" };
import type { ProviderConfig } from "../../config/schema.ts";
import { credentialFiles } from "../credential-files.ts";

/** The user of the image, by number: the host has no name for it. */
export const SERVICE_USER = 65_532;

export function staticPodManifest(config: ProviderConfig, image: string, socketGid: number): string {
  const pod = parseDocument(sample);
  const container = ["spec", "containers", 0];
  const mounts = mountsOf(config);
  const { host, port } = config.server.healthAddress;
  pod.commentBefore = ` Made by bao-kms-provider init. Copy to /etc/kubernetes/manifests on this node; not beside the deb or rpm, which would own
 ${dirname(config.server.socketPath)} too.`;
  pod.setIn(["spec", "securityContext", "supplementalGroups"], [socketGid]);
  pod.setIn([...container, "image"], image);
  for (const probe of ["startupProbe", "livenessProbe"]) {
    pod.setIn([...container, probe, "httpGet", "host"], host);
    pod.setIn([...container, probe, "httpGet", "port"], port);
  }
  pod.setIn(
    [...container, "volumeMounts"],
    mounts.map(({ name, path, isWritable }) =>
      isWritable ? { name, mountPath: path } : { name, mountPath: path, readOnly: true },
    ),
  );
  pod.setIn(
    ["spec", "volumes"],
    mounts.map(({ name, path, type }) => ({ name, hostPath: { path, type } })),
  );
  return pod.toString({ lineWidth: 0 });
}

/** What changes is mounted by directory: a mounted file would stay the old one after a rename. */
function mountsOf(config: ProviderConfig) {
  const directory = (name: string, path: string, isWritable = false) => {
    return { name, path, type: "Directory", isWritable };
  };
  const tls = dirname(config.openbao.caCertFile);
  const identities = [...new Set(credentialFiles(config.auth).map(({ path }) => dirname(path)))];
  return [
    { name: "config", path: "/etc/openbao-kms/config.yaml", type: "File", isWritable: false },
    directory("tls", tls),
    ...identities
      .map((path, index) => directory(index === 0 ? "identity" : `identity-${index + 1}`, path))
      .filter(({ path }) => path !== tls),
    directory("state", dirname(config.state.path), true),
    directory("socket", dirname(config.server.socketPath), true),
  ];
}

export function kubeadmConfig(socketPath: string): string {
  const document = parseDocument(clusterConfiguration);
  const volumes = document.getIn(["apiServer", "extraVolumes"]);
  for (const volume of isSeq(volumes) ? volumes.items : []) {
    if (isMap(volume) && volume.get("name") === "openbao-kms") {
      volume.set("hostPath", dirname(socketPath));
      volume.set("mountPath", dirname(socketPath));
    }
  }
  return document.toString({ lineWidth: 0 });
}

export function kubeApiServerPatch(socketGid: number): string {
  const document = parseDocument(patch);
  document.commentBefore =
    " Membership in the socket's group, for an API server that does not run as root; kubeadm's patches.directory names its folder";
  document.setIn(["spec", "securityContext", "supplementalGroups"], [socketGid]);
  return document.toString({ lineWidth: 0 });
}
