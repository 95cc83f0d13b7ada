/** The provider as a systemd service on a control-plane node made by kubeadm, across cold boots. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { eventually } from "../harness/eventually.ts";
import { releaseTools } from "../packaging/artefacts.ts";
import { docBlock } from "../packaging/doc-blocks.ts";
import { paths, unit } from "../systemd/provider-machine.ts";
import { describeOnMachine } from "../systemd/systemd-suite.ts";
import { nodeTimeoutMs, nodeTools } from "./kube-node.ts";
import { addStandIns, apiServerManifest, runEarlierApiServer, upgrade } from "./kubeadm-upgrade.ts";
import {
  configureApiServer,
  inFullMatrix,
  notOurs,
  readSecrets,
  runsWithEncryption,
  untilKmsWrites,
  writeSecrets,
} from "./provider-node.ts";
import { newSystemdNode, type SystemdNode } from "./systemd-node.ts";

setDefaultTimeout(nodeTimeoutMs);

/** kube-apiserver fails /livez for a minute while it cannot read its stored objects. */
const LIVE_TIMEOUT_MS = 120_000;
/** Longer than the 20 s for which the unit holds kubelet back. */
const LATE_MS = 40_000;
const API = "kubectl --kubeconfig /etc/kubernetes/super-admin.conf --request-timeout=5s";

describeOnMachine("systemd service on a kubeadm node", { ...releaseTools, ...nodeTools }, () => {
  let made: SystemdNode;
  let node: SystemdNode["node"];
  let host: SystemdNode["host"];

  beforeAll(async () => {
    made = await newSystemdNode();
    ({ node, host } = made);
  });
  afterAll(() => made?.dispose());

  /** Boots the node without OpenBao, which is back when `body` has ended, however it ends. */
  const bootWithoutOpenBao = async (body: () => Promise<void>): Promise<void> => {
    await node.machine.powerOff();
    await host.openbao.stop();
    try {
      await node.machine.boot();
      await body();
    } finally {
      await host.openbao.start();
    }
    await node.ready();
    await readSecrets(node);
    expect(await notOurs(node)).toEqual([]);
  };

  test("an existing cluster is switched over by the page's commands, in two phases", async () => {
    await writeSecrets(node);
    await node.machine.must(docBlock("kubeadm.md#stage-readers"));
    await configureApiServer(node);
    await readSecrets(node);
    expect((await notOurs(node)).length).toBe(10);
    await node.machine.must(docBlock("kubeadm.md#stage-writers"));
    await untilKmsWrites(node);
    await node.machine.must(
      `export KUBECONFIG=/etc/kubernetes/admin.conf\n${docBlock("kubeadm.md#rewrite")}`,
    );
    expect(await notOurs(node)).toEqual([]);
    await readSecrets(node);
  });

  test("after a cold boot the socket is there before kubelet starts, and every Secret is read", async () => {
    await node.machine.powerOff();
    await node.machine.boot();
    await node.ready();
    await readSecrets(node);
    expect(await notOurs(node)).toEqual([]);
    const at = async (name: string, property: string): Promise<number> =>
      Number(await node.machine.must(`systemctl show --property=${property} --value ${name}`));
    // The unit counts as active when its ExecStartPost has ended.
    const socket = await at(unit, "ActiveEnterTimestampMonotonic");
    const kubelet = await at("kubelet.service", "ExecMainStartTimestampMonotonic");
    expect(socket).toBeGreaterThan(0);
    expect(kubelet).toBeGreaterThan(socket);
  });

  inFullMatrix(
    "OpenBao 40 seconds late at a cold boot: the node waits, and then every Secret is read",
    async () => {
      await bootWithoutOpenBao(async () => {
        await Bun.sleep(LATE_MS);
        expect((await node.machine.sh(`${API} get --raw /livez`)).status).not.toBe(0);
      });
    },
  );

  inFullMatrix(
    "OpenBao away for a whole boot: all but Secrets works, and kubelet restarts nothing",
    async () => {
      const { machine, kubectl } = node;
      let apiServer = "";
      await bootWithoutOpenBao(async () => {
        expect(await machine.must("systemctl is-active kubelet.service")).toBe("active");
        // With a registry from an earlier run the provider stays up, and Status serves the key_id.
        expect(await machine.must(`systemctl is-active ${unit}`)).toBe("active");
        const probe = await machine.sh(`bao-kms-provider probe --socket ${paths.socket} --output json`);
        const { keyId, healthz, checks } = JSON.parse(probe.stdout);
        expect(probe.status).toBe(4);
        expect(keyId).toStartWith("obk2.");
        expect(healthz).toBe("openbao_unavailable");
        expect(checks.flatMap(({ findings }: { findings: readonly { code: string }[] }) => findings)).toEqual(
          [
            expect.objectContaining({ code: "not_healthy" }),
            expect.objectContaining({ code: "call_refused" }),
          ],
        );

        await eventually("kube-apiserver is live", async () => (await kubectl("get --raw /livez")) === "ok", {
          timeoutMs: LIVE_TIMEOUT_MS,
          everyMs: 1000,
        });
        apiServer = await machine.must("pgrep -x kube-apiserver");
        await kubectl("create configmap written-while-away --from-literal=text=away");
        expect(await kubectl("get configmap written-while-away -o jsonpath={.data.text}")).toBe("away");
        const read = await machine.sh(`${API} get secrets`);
        expect(read.status).not.toBe(0);
        expect(read.stderr).toContain("StorageError: corrupt object");
        expect((await machine.sh(`${API} create secret generic away --from-literal=a=b`)).status).not.toBe(0);
        expect((await machine.sh(`${API} get --raw /readyz`)).status).not.toBe(0);
      });
      expect(await machine.must("pgrep -x kube-apiserver")).toBe(apiServer);
    },
  );

  inFullMatrix(
    "kubeadm upgrade apply, on the first node, keeps kube-apiserver's flags and mounts",
    async () => {
      const ours = apiServerManifest(node);
      await addStandIns(node);
      expect(await upgrade(node, "kubeadm.md#upgrade-diff")).not.toMatch(/^[-+]/m);
      await runEarlierApiServer(node);
      const difference = (await upgrade(node, "kubeadm.md#upgrade-diff")).match(/^[-+](?![-+]).*$/gm);
      expect(difference?.map((line) => line.split(":")[0])).toEqual(["-    image", "+    image"]);
      await upgrade(node, "kubeadm.md#upgrade-apply", "--yes --skip-phases=preflight,addon");
      await node.ready();
      expect(apiServerManifest(node)).toBe(ours);
      expect(await runsWithEncryption(node)).toBe(true);
      await readSecrets(node);
    },
  );

  inFullMatrix("kubeadm upgrade node, on the others, does too", async () => {
    const ours = apiServerManifest(node);
    await runEarlierApiServer(node);
    await upgrade(node, "kubeadm.md#upgrade-node", "--skip-phases=preflight,addon");
    await node.ready();
    expect(apiServerManifest(node)).toBe(ours);
    expect(await runsWithEncryption(node)).toBe(true);
    await readSecrets(node);
    expect(await notOurs(node)).toEqual([]);
  });
});
