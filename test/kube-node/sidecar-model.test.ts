/** The provider as a sidecar of a hosted kube-apiserver, on a management cluster of one kubeadm node. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { type Provisioning, provision } from "../fakes/openbao/provision.ts";
import { eventually } from "../harness/eventually.ts";
import { releaseTools } from "../packaging/artefacts.ts";
import { describeOnMachine } from "../systemd/systemd-suite.ts";
import { type HostedControlPlane, hostedControlPlane, namespace } from "./hosted-control-plane.ts";
import { newKubeNode, nodeTimeoutMs, nodeTools } from "./kube-node.ts";
import { OURS } from "./provider-node.ts";

setDefaultTimeout(nodeTimeoutMs);

const PROVIDER = "bao-kms-provider";
const API = "kube-apiserver";
/** What tells each process of the hosted pod from the node's own. */
const PROGRAMS = {
  [PROVIDER]: "^/usr/bin/bao-kms-provider serve",
  [API]: "^/usr/local/bin/kube-apiserver --etcd-servers=http://127.0.0.1:22379",
} as const;
type Container = keyof typeof PROGRAMS;
/** Longer than the liveness probes bear (6 times 10 s, 8 times 5 s), and than a start's default grace of 60 s. */
const AWAY_MS = 75_000;
/** For what takes seconds on a machine that has nothing else to do. */
const WAIT_MS = 180_000;
/** kube-apiserver asks for Status once a minute. */
const NEW_KEY_TIMEOUT_MS = 240_000;

describeOnMachine(
  "sidecar of a hosted kube-apiserver",
  { ...releaseTools, ...nodeTools },
  () => {
    let made: Awaited<ReturnType<typeof newKubeNode>>;
    let node: typeof made.node;
    let openbao: typeof made.openbao;
    let hosted: HostedControlPlane;
    let names: Provisioning;

    beforeAll(async () => {
      made = await newKubeNode();
      ({ node, openbao } = made);
      names = await provision(
        openbao.operator,
        readFileSync(node.machine.path("/etc/kubernetes/pki/sa.pub"), "utf8"),
        { subject: `system:serviceaccount:${namespace}:default` },
      );
      hosted = await hostedControlPlane(node, openbao, names);
    });
    afterAll(() => made?.dispose());

    const restarts = async (): Promise<readonly number[]> => [
      (await hosted.container(PROVIDER)).restartCount,
      (await hosted.container(API)).restartCount,
    ];
    const write = (name: string): Promise<string> =>
      hosted.kubectl(`create secret generic ${name} --from-literal=password=plain-${name}`);
    const read = async (name: string): Promise<string> =>
      atob(await hosted.kubectl(`get secret ${name} --output jsonpath={.data.password}`));
    const stored = (name: string): Promise<string> => hosted.stored(`/registry/secrets/default/${name}`);
    const pid = (name: Container): Promise<string> => node.machine.must(`pgrep -f '${PROGRAMS[name]}'`);
    const kill = async (name: Container): Promise<void> => {
      const { restartCount } = await hosted.container(name);
      await node.machine.must(`kill -KILL ${await pid(name)}`);
      await eventually(
        `kubelet starts ${name} again`,
        async () => (await hosted.container(name)).restartCount === restartCount + 1,
        { timeoutMs: WAIT_MS, everyMs: 200 },
      );
    };

    test("without OpenBao kube-apiserver waits for the provider, and kubelet kills neither", async () => {
      await openbao.stop();
      await hosted.create();
      await eventually(
        "the provider runs",
        async () => (await hosted.container(PROVIDER)).state["running"] !== undefined,
        { timeoutMs: WAIT_MS },
      );
      await Bun.sleep(AWAY_MS);
      expect((await hosted.container(API)).state["waiting"]).toMatchObject({ reason: "PodInitializing" });
      expect(await restarts()).toEqual([0, 0]);
      await openbao.start();
      await hosted.ready();
      expect(await restarts()).toEqual([0, 0]);
    });

    test("Secrets are in the hosted etcd under the key; kube-apiserver has neither token nor registry", async () => {
      await write("first");
      expect(await stored("first")).toStartWith(OURS);
      expect(await stored("first")).not.toContain("plain-first");
      expect(await read("first")).toBe("plain-first");
      const proc = `/proc/${await pid(API)}`;
      const mounts = await node.machine.must(`grep -o ' /[a-z/]*openbao-kms ' ${proc}/mountinfo | sort`);
      expect(mounts.split(/\s+/)).toEqual(["/etc/openbao-kms", "/run/openbao-kms"]);
      const socket = await node.machine.must(`stat -c '%u:%g %a' ${proc}/root/run/openbao-kms/socket`);
      expect(socket).toBe("1000680000:65533 2750");
    });

    test("a rotation in OpenBao is promoted, and new writes have the new key_id", async () => {
      const before = await hosted.keyId();
      await openbao.operator.must("POST", `${names.mount}/keys/${names.keyName}/rotate`, {});
      const after = await eventually(
        "the new version is active",
        async () => {
          const keyId = await hosted.keyId();
          return keyId === before ? false : keyId;
        },
        { timeoutMs: WAIT_MS, everyMs: 500 },
      );
      await write("rotated");
      await eventually(
        "kube-apiserver writes with the new key_id",
        async () => {
          await hosted.kubectl(`patch secret rotated --patch '{"stringData":{"at":"${performance.now()}"}}'`);
          return (await stored("rotated")).includes(after);
        },
        { timeoutMs: NEW_KEY_TIMEOUT_MS, everyMs: 2000 },
      );
      expect(await read("first")).toBe("plain-first");
    });

    test("a new pod observes the rotated key, and reads what the old one wrote", async () => {
      const before = await hosted.keyId();
      await hosted.remove();
      await hosted.create();
      await hosted.ready();
      expect(await hosted.keyId()).toBe(before);
      const metrics = await node.machine.must("curl --fail --silent http://127.0.0.1:8081/metrics");
      expect(metrics).toMatch(/^openbao_kms_registry_origin\{origin="observed"\} 1$/m);
      expect(await read("first")).toBe("plain-first");
      expect(await read("rotated")).toBe("plain-rotated");
      expect(await restarts()).toEqual([0, 0]);
    });

    test.each([PROVIDER, API] as const)(
      "%s killed: kubelet starts it again, and Secrets are read and written",
      async (name) => {
        await kill(name);
        await hosted.ready();
        expect(await read("first")).toBe("plain-first");
        await write(`after-${name}`);
        expect(await stored(`after-${name}`)).toStartWith(OURS);
      },
    );

    test("OpenBao away for longer than the probes bear: both containers continue", async () => {
      const before = await restarts();
      await openbao.stop();
      await Bun.sleep(AWAY_MS);
      expect(await read("first")).toBe("plain-first");
      expect(await restarts()).toEqual([...before]);
      await openbao.start();
      await hosted.ready();
      expect(await restarts()).toEqual([...before]);
    });
  },
  { full: true },
);
