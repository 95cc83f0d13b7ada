/** @module What kubeadm needs to know of the provider: the samples of deploy/kubernetes with this node's paths and group. */
import { dirname } from "node:path";
import { isMap, isSeq, parseDocument } from "yaml";
import patch from "../../../deploy/kubernetes/kube-apiserver-non-root.yaml" with { type: "text" };
import clusterConfiguration from "../../../deploy/kubernetes/kubeadm-config.yaml" with { type: "text" };

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
