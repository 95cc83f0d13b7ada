/** The provider as a systemd service on a control-plane node made by kubeadm, across cold boots. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { releaseTools } from "../packaging/artefacts.ts";
import { docBlock } from "../packaging/doc-blocks.ts";
import { defaultNames } from "../systemd/identity-table.ts";
import { type ProviderMachine, providerMachine, unit } from "../systemd/provider-machine.ts";
import { describeOnMachine, machineTimeoutMs } from "../systemd/systemd-suite.ts";
import { type KubeNode, newKubeNode, nodeTools } from "./kube-node.ts";
import { configureApiServer, notOurs, readSecrets, untilKmsWrites, writeSecrets } from "./provider-node.ts";
import { openRelay, type Relay } from "./relay.ts";

setDefaultTimeout(machineTimeoutMs);

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
});
