/**
 * @module An operator who follows the pages of docs/operations on a kubeadm node, with the variables that rotation.md sets.
 * What each command achieved: the suite.
 */
import { DEFAULT_PROVISIONING } from "../fakes/openbao/provision.ts";
import { type CommandResult, runCommand } from "../harness/command.ts";
import { docBlock } from "../packaging/doc-blocks.ts";
import type { SystemdNode } from "./systemd-node.ts";

export interface NodeOperator {
  /** A block on the node as root, in a directory of its page's own below /root; `hash` is $HASH. */
  readonly run: (block: string, hash?: string) => Promise<CommandResult>;
  /** The same, which must succeed; returns what it printed. */
  readonly good: (block: string, hash?: string) => Promise<string>;
  /** Runs a block that plans, and returns the hash that its last lines tell the operator to give. */
  readonly hashOf: (block: string) => Promise<string>;
  /** A block with `bao` in it, where OpenBao is administered. */
  readonly outside: (block: string) => Promise<void>;
}

/** Of the page of a block, on the node. */
function directoryOf(block: string): string {
  return `/root/${block.split(".")[0]}`;
}

export function operatorOf({ node: { machine }, host: { openbao } }: SystemdNode): NodeOperator {
  const script = (block: string, hash: string): string =>
    `mkdir -p ${directoryOf(block)}; cd ${directoryOf(block)}\n${docBlock("rotation.md#variables")}\nHASH=${hash}\n${docBlock(block)}`;
  const good: NodeOperator["good"] = (block, hash = "") => machine.must(script(block, hash));
  return {
    run: (block, hash = "") => machine.sh(script(block, hash)),
    good,
    hashOf: async (block) => {
      const hash = /--expected-state-hash (\S+)/.exec(await good(block))?.[1];
      if (hash === undefined) {
        throw new Error(`${block} names no hash for --apply`);
      }
      return hash;
    },
    outside: async (block) => {
      const { mount, keyName } = DEFAULT_PROVISIONING;
      const text = docBlock(block).replace("transit/keys/kubernetes-etcd", `${mount}/keys/${keyName}`);
      const { status, stderr } = await runCommand(["sh", "-ec", text], { env: openbao.environment });
      if (status !== 0) {
        throw new Error(`${block} ended with ${status}: ${stderr}`);
      }
    },
  };
}
