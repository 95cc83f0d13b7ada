/**
 * @module An operator who follows the pages of docs/operations on a kubeadm node, with the variables that rotation.md sets.
 * What each command achieved: the suite.
 */
import { DEFAULT_PROVISIONING } from "../fakes/openbao/provision.ts";
import { runCommand } from "../harness/command.ts";
import { docBlock } from "../packaging/doc-blocks.ts";
import type { SystemdNode } from "./systemd-node.ts";

export function operatorOf({ node: { machine }, host: { openbao } }: SystemdNode) {
  /** `hash` is $HASH. */
  const script = (block: string, hash: string): string =>
    `mkdir -p /root/${block.split(".")[0]}; cd /root/${block.split(".")[0]}\n${docBlock("rotation.md#variables")}\nHASH=${hash}\n${docBlock(block)}`;
  /** A block that must succeed; returns what it printed. */
  const good = (block: string, hash = ""): Promise<string> => machine.must(script(block, hash));
  return {
    /** A block on the node as root, in a directory of its page's own below /root. */
    run: (block: string) => machine.sh(script(block, "")),
    good,
    /** Runs a block that plans, and returns the hash that its last lines tell the operator to give. */
    hashOf: async (block: string): Promise<string> => {
      const hash = /--expected-state-hash (\S+)/.exec(await good(block))?.[1];
      if (hash === undefined) {
        throw new Error(`${block} names no hash for --apply`);
      }
      return hash;
    },
    /** A block with `bao` in it, where OpenBao is administered. */
    outside: async (block: string): Promise<void> => {
      const { mount, keyName } = DEFAULT_PROVISIONING;
      const text = docBlock(block).replace("transit/keys/kubernetes-etcd", `${mount}/keys/${keyName}`);
      const { status, stderr } = await runCommand(["sh", "-ec", text], { env: openbao.environment });
      if (status !== 0) {
        throw new Error(`${block} ended with ${status}: ${stderr}`);
      }
    },
  };
}
