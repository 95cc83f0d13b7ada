/**
 * @module A kubeadm node with the provider as its systemd service, as docs/deployment/systemd.md installs it, and OpenBao
 * outside. kube-apiserver does not use the provider yet: provider-node.ts.
 */
import { docBlock } from "../packaging/doc-blocks.ts";
import { defaultNames } from "../systemd/identity-table.ts";
import { type ProviderMachine, providerMachine } from "../systemd/provider-machine.ts";
import { type KubeNode, kubeNode, newKubeMachine } from "./kube-node.ts";
import { openRelay } from "./relay.ts";

export interface SystemdNode {
  readonly node: KubeNode;
  readonly host: ProviderMachine;
  readonly dispose: () => Promise<void>;
}

/** `changes` are to the provider's sample configuration, by path. */
export async function newSystemdNode(changes: Readonly<Record<string, string>> = {}): Promise<SystemdNode> {
  const host = await providerMachine(defaultNames, newKubeMachine);
  const node = kubeNode(host.machine);
  const undo = [host.dispose];
  const dispose = async (): Promise<void> => {
    for (let step = undo.pop(); step !== undefined; step = undo.pop()) {
      await step();
    }
  };
  try {
    undo.push((await openRelay(host.machine, Number(new URL(host.openbao.address).port))).close);
    await node.init();
    await host.configure(changes);
    await host.machine.must(docBlock("systemd.md#start"));
    return { node, host, dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}
