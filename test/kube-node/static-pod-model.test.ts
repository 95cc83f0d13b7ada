/** The provider as a static pod on a control-plane node made by kubeadm: kubelet starts it beside kube-apiserver. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { identityClaims, makeJwtIssuer } from "../fakes/openbao/jwt-issuer.ts";
import { provision } from "../fakes/openbao/provision.ts";
import { eventually } from "../harness/eventually.ts";
import { type RealOpenBao, startOpenBao } from "../harness/openbao.ts";
import { releaseTools, testRelease, version } from "../packaging/artefacts.ts";
import { docBlock } from "../packaging/doc-blocks.ts";
import { openbaoFields, sampleWith } from "../packaging/sample-config.ts";
import { download } from "../systemd/provider-machine.ts";
import { describeOnMachine } from "../systemd/systemd-suite.ts";
import { binary, type KubeNode, newKubeNode, nodeTimeoutMs, nodeTools } from "./kube-node.ts";
import {
  configureApiServer,
  inFullMatrix,
  notOurs,
  readSecrets,
  untilKmsWrites,
  writeSecrets,
} from "./provider-node.ts";
import { openRelay, type Relay } from "./relay.ts";

setDefaultTimeout(nodeTimeoutMs);

const folder = `/root/bao-kms-provider_static-pod_${version}_linux_amd64`;
const manifest = "/etc/kubernetes/manifests/bao-kms-provider.yaml";
const kubeconfig = "export KUBECONFIG=/etc/kubernetes/super-admin.conf";

describeOnMachine("static pod on a kubeadm node", { ...releaseTools, ...nodeTools }, () => {
  let node: KubeNode;
  let openbao: RealOpenBao;
  let relay: Relay | undefined;
  const at = (directory: string, block: string): Promise<string> =>
    node.machine.must(`${kubeconfig}\nVERSION=${version}\ncd ${directory}\n${docBlock(block)}`);
  const live = (): Promise<unknown> =>
    eventually(
      "the pod answers",
      () => node.machine.must("curl --fail --silent http://127.0.0.1:8082/live"),
      {
        timeoutMs: 90_000,
        everyMs: 200,
      },
    );
  /** Process id of the provider, as the node sees it. */
  const pid = async (): Promise<string> =>
    (await node.machine.sh("pgrep -f '^/usr/bin/bao-kms-provider serve'")).stdout.trim();

  beforeAll(async () => {
    openbao = await startOpenBao(binary("bao"));
    const issuer = makeJwtIssuer();
    const names = await provision(openbao.operator, issuer.publicKeyPem);
    node = await newKubeNode();
    const { machine } = node;
    await machine.boot();
    relay = await openRelay(machine, Number(new URL(openbao.address).port));
    await node.init();

    download(machine, testRelease().artefact("_static-pod", "tar.gz"));
    download(machine, testRelease().artefact("_image", "oci.tar"));
    machine.put("/root/ca.crt", openbao.caPem);
    machine.put("/root/identity.jwt", issuer.sign(identityClaims(names, Date.now())));
    // Both pages name the same import; a second one changes nothing.
    await at("/root", "install.md#containerd");
    await at("/root", "static-pod.md#import");
    await at("/root", "static-pod.md#directories");
    // The operator's edit: the names of this OpenBao in the sample, before its last line installs the manifest.
    machine.put(
      `${folder}/deploy/config/provider-static-pod.yaml`,
      await sampleWith("provider-static-pod.yaml", openbaoFields(openbao.address, names)),
    );
    await at(folder, "static-pod.md#configure");
    await live();
  });
  afterAll(async () => {
    await relay?.close();
    await node?.remove();
    await openbao?.dispose();
  });

  test("kubelet starts the imported image under the manifest as shipped, and Secrets are ours", async () => {
    const text = readFileSync(node.machine.path(manifest), "utf8");
    expect(text).toMatch(/image: registry\.example\.com\/bao-kms-provider@sha256:(?!0{64})[0-9a-f]{64}\n/);
    expect(text).toContain("imagePullPolicy: IfNotPresent");
    await writeSecrets(node);
    await node.machine.must(
      docBlock("kubeadm.md#stage-readers").replace(
        "/usr/share/doc/bao-kms-provider/examples",
        `${folder}/deploy`,
      ),
    );
    await configureApiServer(node);
    await node.machine.must(
      `cd /etc/kubernetes/encryption
       install -m 0600 ${folder}/deploy/kubernetes/encryption-config.yaml encryption-config.yaml.new
       mv encryption-config.yaml.new encryption-config.yaml`,
    );
    await untilKmsWrites(node);
    await at("/root", "kubeadm.md#rewrite");
    expect(await notOurs(node)).toEqual([]);
    await at("/root", "static-pod.md#check");
    await at("/root", "static-pod.md#inside");
  });

  test("after a cold boot kubelet starts it beside kube-apiserver, and every Secret is read", async () => {
    await node.machine.powerOff();
    await node.machine.boot();
    await node.ready();
    await readSecrets(node);
    expect(await notOurs(node)).toEqual([]);
  });

  inFullMatrix("killed, it is restarted by kubelet, and kube-apiserver reads on", async () => {
    const before = await pid();
    await node.machine.must(`kill -KILL ${before}`);
    await eventually("another process", async () => ![before, ""].includes(await pid()), {
      timeoutMs: 60_000,
      everyMs: 200,
    });
    await live();
    await node.ready();
    await readSecrets(node);
  });

  inFullMatrix("a restart of kubelet leaves the process as it is", async () => {
    const before = await pid();
    await node.machine.must("systemctl restart kubelet.service");
    await eventually(
      "kubelet is back",
      () => node.machine.must("curl --fail --silent http://127.0.0.1:10248/healthz"),
      { timeoutMs: 60_000 },
    );
    await node.ready();
    expect(await pid()).toBe(before);
  });

  inFullMatrix("an image under another name and a changed manifest replace the pod", async () => {
    const before = await pid();
    await at(folder, "static-pod.md#own-registry");
    const gid = await node.machine.must("getent group openbao-kms-socket | cut -d: -f3");
    await node.machine.must(
      `sed "s/\\[996\\]/[${gid}]/" ${folder}/deploy/static-pod/bao-kms-provider.yaml > ${manifest}`,
    );
    await eventually("another process", async () => ![before, ""].includes(await pid()), {
      timeoutMs: 90_000,
      everyMs: 200,
    });
    await live();
    const image = await node.kubectl(
      "-n kube-system get pod bao-kms-provider-kms-test -o jsonpath={.spec.containers[0].image}",
    );
    expect(image).toStartWith("registry.internal.example/kms/bao-kms-provider@sha256:");
    await node.ready();
    await readSecrets(node);
    expect(await notOurs(node)).toEqual([]);
  });
});
