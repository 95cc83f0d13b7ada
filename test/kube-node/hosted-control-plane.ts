/**
 * @module A hosted control plane on a kubeadm node: a pod with its own etcd and kube-apiserver, and the provider as its
 * sidecar. The pieces of deploy/sidecar and the commands of docs/deployment/sidecar.md, as an operator uses them.
 */
import { generateKeyPairSync } from "node:crypto";
import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { parseDocument } from "yaml";
import type { Provisioning } from "../fakes/openbao/provision.ts";
import { makeTestCa } from "../fakes/tls/test-ca.ts";
import { adminKubeconfig } from "../harness/admin-kubeconfig.ts";
import { eventually } from "../harness/eventually.ts";
import { root, testRelease, version } from "../packaging/artefacts.ts";
import { docBlock } from "../packaging/doc-blocks.ts";
import { openbaoFields, withFields } from "../packaging/sample-config.ts";
import { download } from "../systemd/provider-machine.ts";
import { type KubeNode, kubernetesVersion, versionOf } from "./kube-node.ts";

export const namespace = "hosted-1";
const POD_TIMEOUT_MS = 300_000;
const HOSTED = "/root/hosted.conf";
const OUTER = "export KUBECONFIG=/etc/kubernetes/super-admin.conf";

const containerState = v.object({
  name: v.string(),
  ready: v.boolean(),
  restartCount: v.number(),
  state: v.record(v.string(), v.unknown()),
});
const podStatus = v.object({
  status: v.object({
    initContainerStatuses: v.optional(v.array(containerState), []),
    containerStatuses: v.optional(v.array(containerState), []),
  }),
});

export type HostedControlPlane = Awaited<ReturnType<typeof hostedControlPlane>>;

/** Everything that the pod needs, on the node and in the management cluster. */
export async function hostedControlPlane(
  node: KubeNode,
  openbao: { readonly address: string; readonly caPem: string },
  names: Provisioning,
) {
  const { machine } = node;
  const inOuter = (text: string): Promise<string> => machine.must(`${OUTER}\ncd /root\n${text}`);
  download(machine, testRelease().artefact("_image", "oci.tar"));
  await machine.must(`cd /root\nVERSION=${version}\n${docBlock("install.md#containerd")}`);
  const image = await machine.must(
    "ctr -n k8s.io images ls -q | grep '^registry.example.com/bao-kms-provider@sha256:'",
  );

  cpSync(join(root, "deploy", "sidecar"), machine.path("/root/deploy/sidecar"), { recursive: true });
  editConfigMap(machine.path("/root/deploy/sidecar/provider-config.yaml"), openbao.address, names, machine);
  const patch = readFileSync(machine.path("/root/deploy/sidecar/pod-patch.yaml"), "utf8");
  machine.put(
    "/root/deploy/sidecar/pod-patch.yaml",
    // The operator's edits: the image, and no user, as the platform chooses it.
    patch.replace(/registry\.example\.com\S+/, image).replace(/ +runAsUser: 65532\n/, ""),
  );
  const base = readFileSync(join(import.meta.dir, "hosted.yaml"), "utf8");
  machine.put(
    "/root/pod.yaml",
    base.replace("ETCD", `${versionOf("etcd")}-0`).replace("KUBERNETES", kubernetesVersion()),
  );
  machine.put("/root/ca.crt", openbao.caPem);
  await putPki(node);
  // No controller runs on this node that would make the account.
  await inOuter(`kubectl create namespace ${namespace}
kubectl create serviceaccount default --namespace ${namespace}
kubectl create secret generic hosted-pki --namespace ${namespace} --from-file=/root/pki
install -d -o 1000680000 -m 0700 /var/lib/hosted-etcd`);
  await inOuter(docBlock("sidecar.md#objects"));
  await inOuter(docBlock("sidecar.md#pod"));

  /** kubectl as the administrator of the hosted cluster. */
  const kubectl = (words: string): Promise<string> => machine.must(`kubectl --kubeconfig ${HOSTED} ${words}`);
  const states = async () => {
    const { status } = v.parse(
      podStatus,
      JSON.parse(await inOuter(`kubectl get pod hosted --namespace ${namespace} --output json`)),
    );
    return [...status.initContainerStatuses, ...status.containerStatuses];
  };
  return {
    /** Makes the pod; it need not become ready. */
    create: async () => {
      await inOuter("kubectl apply --filename pod-with-provider.yaml");
    },
    remove: async () => {
      await inOuter(`kubectl delete pod hosted --namespace ${namespace} --timeout=300s`);
    },
    ready: async () => {
      await eventually(
        "the hosted kube-apiserver is ready",
        async () => (await kubectl("get --raw /readyz")) === "ok",
        { timeoutMs: POD_TIMEOUT_MS, everyMs: 500 },
      );
    },
    container: async (name: "bao-kms-provider" | "kube-apiserver" | "etcd") => {
      const found = (await states()).find((each) => each.name === name);
      if (found === undefined) {
        throw new Error(`the pod has no status of ${name}`);
      }
      return found;
    },
    kubectl,
    /** The value of one key in the hosted etcd, as text. */
    stored: (key: string) =>
      machine.must(`etcdctl --endpoints http://127.0.0.1:22379 get ${key} --print-value-only`),
    keyId: async () => {
      const text = await inOuter(
        `kubectl exec --namespace ${namespace} hosted --container bao-kms-provider -- \
bao-kms-provider probe --socket /run/openbao-kms/socket/kms.sock --output json`,
      );
      return v.parse(v.object({ keyId: v.string() }), JSON.parse(text)).keyId;
    },
  };
}

function editConfigMap(
  path: string,
  address: string,
  names: Provisioning,
  machine: KubeNode["machine"],
): void {
  const document = parseDocument(readFileSync(path, "utf8"));
  const key = ["data", "config.yaml"];
  const config = withFields(v.parse(v.string(), document.getIn(key)), {
    ...openbaoFields(address, names),
    "rotation.activationDelay": "5s",
    "status.probeInterval": "2s",
  });
  document.setIn(key, config);
  machine.put("/root/deploy/sidecar/provider-config.yaml", document.toString());
}

/** Certificates of the hosted cluster, for its pod and for its administrator. */
async function putPki({ machine }: KubeNode): Promise<void> {
  const ca = await makeTestCa({ commonName: "hosted cluster CA" });
  const server = await ca.server();
  const admin = await ca.client({ commonName: "admin", organization: "system:masters" });
  const account = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  machine.put("/root/pki/ca.crt", ca.certPem);
  machine.put("/root/pki/server.crt", server.chainPem);
  machine.put("/root/pki/server.key", server.keyPem);
  machine.put("/root/pki/sa.key", account.export({ type: "sec1", format: "pem" }));
  const kubeconfig = adminKubeconfig({ address: "https://127.0.0.1:7443", caPem: ca.certPem, admin });
  machine.put(HOSTED, kubeconfig, 0o600);
}
