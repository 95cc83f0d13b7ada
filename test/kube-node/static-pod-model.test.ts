/** The provider as a static pod on a control-plane node made by kubeadm: kubelet starts it beside kube-apiserver. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { identityClaims, makeJwtIssuer } from "../fakes/openbao/jwt-issuer.ts";
import { provision } from "../fakes/openbao/provision.ts";
import { eventually } from "../harness/eventually.ts";
import { releaseTools, testRelease, version } from "../packaging/artefacts.ts";
import { docBlock } from "../packaging/doc-blocks.ts";
import { openbaoFields, sampleWith } from "../packaging/sample-config.ts";
import { download } from "../systemd/provider-machine.ts";
import { describeOnMachine } from "../systemd/systemd-suite.ts";
import { newKubeNode, nodeTimeoutMs, nodeTools } from "./kube-node.ts";
import { makeOtherRelease } from "./other-release.ts";
import {
  configureApiServer,
  inFullMatrix,
  notOurs,
  readSecrets,
  untilKmsWrites,
  writeSecrets,
} from "./provider-node.ts";

setDefaultTimeout(nodeTimeoutMs);

/** The liveness probe takes a minute, the end of a hung process 15 s, and kubelet's delay between restarts grows. */
const REPLACED_TIMEOUT_MS = 300_000;
const folder = `/root/bao-kms-provider_static-pod_${version}_linux_amd64`;
const manifest = "/etc/kubernetes/manifests/bao-kms-provider.yaml";
const kubeconfig = "export KUBECONFIG=/etc/kubernetes/super-admin.conf";

describeOnMachine("static pod on a kubeadm node", { ...releaseTools, ...nodeTools }, () => {
  let made: Awaited<ReturnType<typeof newKubeNode>>;
  let node: typeof made.node;
  const at = (directory: string, block: string, release = version): Promise<string> =>
    node.machine.must(`${kubeconfig}\nVERSION=${release}\ncd ${directory}\n${docBlock(block)}`);
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
  /** Resolves when kubelet has put another process in the place of `before` and Secrets are read through it. */
  const replaced = async (before: string): Promise<void> => {
    await eventually("another process", async () => ![before, ""].includes(await pid()), {
      timeoutMs: REPLACED_TIMEOUT_MS,
      everyMs: 200,
    });
    await live();
    await node.ready();
    await readSecrets(node);
  };
  /** The image of the pod that runs, as the API server has it. */
  const runsImage = (image: string): Promise<unknown> =>
    eventually(
      "the pod of that image is ready",
      async () =>
        (await node.kubectl(
          "-n kube-system get pod bao-kms-provider-kms-test -o jsonpath='{.spec.containers[0].image} {.status.containerStatuses[0].ready}'",
        )) === `${image} true`,
      { timeoutMs: REPLACED_TIMEOUT_MS, everyMs: 500 },
    );

  beforeAll(async () => {
    made = await newKubeNode();
    ({ node } = made);
    const { machine } = node;
    const { openbao } = made;
    const issuer = makeJwtIssuer();
    const names = await provision(openbao.operator, issuer.publicKeyPem);
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
  afterAll(() => made?.dispose());

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
    await at("/root", "static-pod.md#inside-containerd");
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
    await replaced(before);
  });

  inFullMatrix("hung, it is killed by kubelet's liveness probe; Secrets are read meanwhile", async () => {
    const before = await pid();
    await node.machine.must(`kill -STOP ${before}`);
    await readSecrets(node);
    await replaced(before);
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

  inFullMatrix(
    "the next release's image and manifest replace the pod, and this release's put it back",
    async () => {
      const [, shipped = ""] = /image: (\S+)/.exec(readFileSync(node.machine.path(manifest), "utf8")) ?? [];
      const next = makeOtherRelease("9.9.9", node.machine.path("/root"));
      expect(next).not.toBe(shipped);
      for (const [release, image] of [
        ["9.9.9", next],
        [version, shipped],
      ] as const) {
        const before = await pid();
        await at("/root", "static-pod.md#upgrade", release);
        await replaced(before);
        await runsImage(image);
      }
      expect(await notOurs(node)).toEqual([]);
    },
  );

  inFullMatrix("an image under a site's own name replaces the pod", async () => {
    const before = await pid();
    await at(folder, "static-pod.md#own-registry");
    const gid = await node.machine.must("getent group openbao-kms-socket | cut -d: -f3");
    const text = readFileSync(
      node.machine.path(`${folder}/deploy/static-pod/bao-kms-provider.yaml`),
      "utf8",
    ).replace("[996]", `[${gid}]`);
    node.machine.put(manifest, text);
    await replaced(before);
    const [, image = ""] = /image: (\S+)/.exec(text) ?? [];
    expect(image).toStartWith("registry.internal.example/kms/bao-kms-provider@sha256:");
    await runsImage(image);
    expect(await notOurs(node)).toEqual([]);
  });
});
