/** @module Which of several addresses of one OpenBao cluster a call goes to. */
import type { Clock } from "../../base/clock.ts";
import type { OpenBaoNode } from "./attempt.ts";

/** A return to the first address is tried at most this often. */
const RETURN_AFTER_MS = 60_000;

export interface NodeChoice {
  /** Where a call starts. */
  readonly first: () => OpenBaoNode;
  /** The next address in order, starting at the current one, that is not in `tried` and lets calls through. */
  readonly next: (tried: ReadonlySet<OpenBaoNode>) => OpenBaoNode | undefined;
  /** The next address that is not in `tried`, whatever its circuit says. */
  readonly nextAtAll: (tried: ReadonlySet<OpenBaoNode>) => OpenBaoNode | undefined;
  /** Calls no longer start here while there is another address that lets calls through. */
  readonly leave: (node: OpenBaoNode) => void;
  /** Calls now stay here. */
  readonly stay: (node: OpenBaoNode) => void;
}

export function nodeChoice(
  nodes: readonly [OpenBaoNode, ...OpenBaoNode[]],
  clock: Pick<Clock, "monotonicMs">,
): NodeChoice {
  const [home] = nodes;
  let current: OpenBaoNode = home;
  let returnAtMs = 0;
  const stay = (node: OpenBaoNode): void => {
    if (node !== current) {
      current = node;
      returnAtMs = clock.monotonicMs() + RETURN_AFTER_MS;
    }
  };
  const inOrder = (): readonly OpenBaoNode[] => {
    const start = nodes.indexOf(current);
    return [...nodes.slice(start), ...nodes.slice(0, start)];
  };
  const next: NodeChoice["next"] = (tried) =>
    inOrder().find((node) => !tried.has(node) && node.circuit.passable);
  return {
    first: () => {
      if (current !== home && clock.monotonicMs() >= returnAtMs && home.circuit.passable) {
        returnAtMs = clock.monotonicMs() + RETURN_AFTER_MS;
        return home;
      }
      return current;
    },
    next,
    nextAtAll: (tried) => inOrder().find((node) => !tried.has(node)),
    leave: (node) => {
      if (node === current) {
        stay(next(new Set([node])) ?? node);
      }
    },
    stay,
  };
}
