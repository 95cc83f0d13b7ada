/** @module One JSON call to OpenBao: to the right node, again where that is safe, always inside its deadline. */
import type { Clock } from "../../base/clock.ts";
import type { ErrorClass } from "../../base/error-class.ts";
import type { Operation } from "../../base/operation.ts";
import type { HttpTransport } from "../../http/https.ts";
import { makeAttempt, type OpenBaoCall, type OpenBaoNode, type OpenBaoReply } from "./attempt.ts";
import { Circuit, type CircuitState } from "./circuit.ts";
import { type OpenBaoCode, OpenBaoError } from "./errors.ts";
import { NodeChoice, RetryState } from "./retry.ts";

export interface OpenBaoClient {
  /** @throws OpenBaoError */
  readonly call: (call: OpenBaoCall) => Promise<OpenBaoReply>;
}

/** One finished call, for metrics and logs. */
export interface CallReport {
  readonly operation: Operation;
  readonly status: "ok" | OpenBaoCode;
  readonly errorClass: ErrorClass | undefined;
  readonly durationMs: number;
  readonly requestId: string | undefined;
}

export interface OpenBaoObserver {
  /** A call that reached the network ended, with all its retries. */
  readonly onCall?: (report: CallReport) => void;
  /** The state of the address whose circuit is the most passable: `open` means that no call goes out. */
  readonly onCircuit?: (kind: CircuitState<unknown>["kind"]) => void;
  /** Calls now go to another address; its place in the list. */
  readonly onNode?: (index: number) => void;
}

interface OpenBaoOptions {
  readonly transport: HttpTransport;
  readonly clock: Clock;
  /** One, or the nodes of one cluster; https, without a slash at the end. */
  readonly addresses: readonly [string, ...string[]];
  readonly namespace: string;
  /** `openbao.timeout`. */
  readonly timeoutMs: number;
  readonly observer?: OpenBaoObserver;
}

/** The same connection, with calls in another namespace. */
export function inNamespace(openbao: OpenBaoClient, namespace: string): OpenBaoClient {
  return { call: (call) => openbao.call({ namespace, ...call }) };
}

export function createOpenBaoClient(options: OpenBaoOptions): OpenBaoClient {
  const { clock, observer } = options;
  const attempt = makeAttempt(options.transport, clock, options.namespace);
  const [first, ...others] = options.addresses;
  const makeNode = (address: string): OpenBaoNode => ({
    address,
    circuit: new Circuit(clock, () => observer?.onCircuit?.(mostPassable(nodes))),
  });
  const nodes: readonly [OpenBaoNode, ...OpenBaoNode[]] = [makeNode(first), ...others.map(makeNode)];
  const choice = new NodeChoice(nodes, clock);
  let current: OpenBaoNode = nodes[0];

  const stayAt = (node: OpenBaoNode): void => {
    choice.stay(node);
    if (node !== current) {
      current = node;
      observer?.onNode?.(nodes.indexOf(node));
    }
  };

  const run = async (call: OpenBaoCall): Promise<OpenBaoReply> => {
    const endMs = clock.monotonicMs() + (call.timeoutMs ?? options.timeoutMs);
    const course = new RetryState(call, choice, () => endMs - clock.monotonicMs());
    for (;;) {
      const { node } = course;
      try {
        const reply = await attempt(node, call, course.begin());
        stayAt(node);
        return reply;
      } catch (error) {
        if (!(error instanceof OpenBaoError)) {
          throw error;
        }
        const pauseMs = course.nextPause(error);
        if (pauseMs > 0) {
          // A caller that gives up during a pause gets the answer that caused the pause.
          await clock.sleep(pauseMs, call.signal).catch(() => Promise.reject(error));
          course.afterPause();
        }
      }
    }
  };

  return {
    call: async (call) => {
      const startedMs = clock.monotonicMs();
      const report = (status: CallReport["status"], errorClass?: ErrorClass, requestId?: string): void =>
        observer?.onCall?.({
          operation: call.operation,
          status,
          errorClass,
          durationMs: clock.monotonicMs() - startedMs,
          requestId,
        });
      try {
        const reply = await run(call);
        report("ok", undefined, reply.requestId);
        return reply;
      } catch (error) {
        if (error instanceof OpenBaoError && error.code !== "circuit_open") {
          report(error.code, error.errorClass);
        }
        throw error;
      }
    },
  };
}

function mostPassable(nodes: readonly OpenBaoNode[]): CircuitState<unknown>["kind"] {
  const kinds = new Set(nodes.map(({ circuit }) => circuit.state.kind));
  return kinds.has("closed") ? "closed" : kinds.has("half_open") ? "half_open" : "open";
}
