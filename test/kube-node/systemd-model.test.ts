/** The provider as a systemd service on a control-plane node made by kubeadm, across cold boots. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { releaseTools } from "../packaging/artefacts.ts";
import { docBlock } from "../packaging/doc-blocks.ts";
import { defaultNames } from "../systemd/identity-table.ts";
import { type ProviderMachine, providerMachine, unit } from "../systemd/provider-machine.ts";
import { describeOnMachine } from "../systemd/systemd-suite.ts";
import { type KubeNode, newKubeNode, nodeTimeoutMs, nodeTools } from "./kube-node.ts";
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

/** Longer than the 20 s for which the unit holds kubelet back. */
const LATE_MS = 40_000;
const AWAY_MS = 60_000;
const API = "kubectl --kubeconfig /etc/kubernetes/super-admin.conf --request-timeout=5s";

describeOnMachine("systemd service on a kubeadm node", { ...releaseTools, ...nodeTools }, () => {
  let node: KubeNode;
  let host: ProviderMachine;
  let relay: Relay;
  const port = (): number => Number(new URL(host.openbao.address).port);

  beforeAll(async () => {
    host = await providerMachine(defaultNames, async () => {
      node = await newKubeNode();
      return node.machine;
    });
    relay = await openRelay(node.machine, port());
    await node.init();
    await node.machine.must(docBlock("systemd.md#start"));
  });
  afterAll(async () => {
    await relay?.close();
    await host?.dispose();
  });

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
    // The unit counts as active when its ExecStartPost has seen the socket answer.
    const socket = await at(unit, "ActiveEnterTimestampMonotonic");
    const kubelet = await at("kubelet.service", "ExecMainStartTimestampMonotonic");
    expect(socket).toBeGreaterThan(0);
    expect(kubelet).toBeGreaterThan(socket);
  });

  inFullMatrix(
    "OpenBao 40 seconds late at a cold boot: the node waits, and then every Secret is read",
    async () => {
      await node.machine.powerOff();
      await host.openbao.stop();
      await node.machine.boot();
      await Bun.sleep(LATE_MS);
      expect((await node.machine.sh(`${API} get --raw /livez`)).status).not.toBe(0);
      await host.openbao.start();
      await node.ready();
      await readSecrets(node);
      expect(await notOurs(node)).toEqual([]);
    },
  );

  inFullMatrix(
    "OpenBao away for a whole boot: the unit and kubelet run, the API does not become ready",
    async () => {
      await node.machine.powerOff();
      await host.openbao.stop();
      await node.machine.boot();
      await Bun.sleep(AWAY_MS);
      expect(await node.machine.must("systemctl is-active kubelet.service")).toBe("active");
      // With a registry from an earlier run the provider stays up, and Status serves the key_id.
      expect(await node.machine.must(`systemctl is-active ${unit}`)).toBe("active");
      const { keyId, healthz } = await host.client().status();
      expect(keyId).toStartWith("obk2.");
      expect(healthz).not.toBe("ok");
      expect((await node.machine.sh(`${API} get secrets`)).status).not.toBe(0);
      await host.openbao.start();
      await node.ready();
      await readSecrets(node);
      expect(await notOurs(node)).toEqual([]);
    },
  );
});
