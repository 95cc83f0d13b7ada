/**
 * @module A kubeadm node with the provider as its systemd service, as docs/deployment/systemd.md installs it, and OpenBao
 * outside. kube-apiserver does not use the provider yet: provider-node.ts.
 */
import { docBlock } from "../packaging/doc-blocks.ts";
import { defaultNames } from "../systemd/identity-table.ts";
import { providerMachine } from "../systemd/provider-machine.ts";
import { kubeNode, newKubeMachine } from "./kube-node.ts";
import { openRelay } from "./relay.ts";

export type SystemdNode = Awaited<ReturnType<typeof newSystemdNode>>;

/** `changes` are to the provider's sample configuration, by path. */
export async function newSystemdNode(changes: Readonly<Record<string, string>> = {}) {
  await using undo = new AsyncDisposableStack();
  const host = await providerMachine(defaultNames, newKubeMachine);
  undo.defer(host.dispose);
  const node = kubeNode(host.machine);
  undo.defer(await openRelay(host.machine, Number(new URL(host.openbao.address).port)));
  await node.init();
  await host.configure(changes);
  await host.machine.must(docBlock("systemd.md#start"));
  const made = undo.move();
  return { node, host, dispose: async () => made.disposeAsync() };
}
