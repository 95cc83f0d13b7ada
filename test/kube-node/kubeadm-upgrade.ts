/**
 * @module What `kubeadm upgrade` needs on a node of the tests, and a kube-apiserver for it to upgrade. kubeadm upgrades four
 * components; two of them are stand-ins here. The commands: docs/deployment/kubeadm.md.
 */
import { readFileSync } from "node:fs";
import { eventually } from "../harness/eventually.ts";
import { docBlock } from "../packaging/doc-blocks.ts";
import { importPause, type KubeNode, kubernetesVersion } from "./kube-node.ts";

const MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml";
/** The image that kube-apiserver has before the upgrade: the same one under the name of an earlier release. */
const EARLIER = "v1.0.0";
const RESTART_TIMEOUT_MS = 120_000;

export const apiServerManifest = ({ machine }: KubeNode): string =>
  readFileSync(machine.path(MANIFEST), "utf8");

/** kubeadm insists on their manifests, and no test needs what they do. */
export async function addStandIns({ machine }: KubeNode): Promise<void> {
  for (const name of ["controller-manager", "scheduler"]) {
    await importPause(machine, `registry.k8s.io/kube-${name}:${kubernetesVersion()}`, `kube-${name}`);
    await machine.must(`kubeadm init phase control-plane ${name} --config /root/kubeadm.yaml`);
  }
}

export async function runEarlierApiServer({ machine, kubectl, ready }: KubeNode): Promise<void> {
  const image = "registry.k8s.io/kube-apiserver";
  await machine.must(
    `ctr --namespace k8s.io images tag --force ${image}:${kubernetesVersion()} ${image}:${EARLIER}
     sed -i 's#${image}:.*#${image}:${EARLIER}#' ${MANIFEST}`,
  );
  await eventually(
    "kube-apiserver runs as the earlier release",
    async () =>
      // Of the specification: kubelet writes the status of the new process into the old mirror pod first.
      (
        await kubectl(
          "-n kube-system get pods --selector component=kube-apiserver -o jsonpath='{.items[*].spec.containers[0].image}'",
        )
      ).endsWith(`:${EARLIER}`),
    { timeoutMs: RESTART_TIMEOUT_MS, everyMs: 1000 },
  );
  await ready();
}

/** A block of the page's section on upgrades; `flags` are what this node needs besides. Returns what it printed. */
export function upgrade({ machine }: KubeNode, block: string, flags = ""): Promise<string> {
  return machine.must(
    `export KUBECONFIG=/etc/kubernetes/admin.conf
     KUBERNETES=${kubernetesVersion()}
     ${docBlock(block).trimEnd()} ${flags}`,
  );
}
