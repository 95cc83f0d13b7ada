/**
 * @module The path from a node to what runs on the host: TCP in the node's network, a Unix socket between, TCP on the host.
 * Run as a program, it is the half in the node's network: `relay.ts PORT SOCKET`.
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { eventually } from "../harness/eventually.ts";
import type { Machine } from "../systemd/machine.ts";

const START_TIMEOUT_MS = 10_000;

function serve(open: () => Socket): Server {
  return createServer((from) => {
    const to = open();
    for (const [one, other] of [
      [from, to],
      [to, from],
    ] as const) {
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
      one.pipe(other);
    }
  });
}

/** 127.0.0.1:`port` of the node becomes 127.0.0.1:`port` of the host. Returns what closes it. */
export async function openRelay(machine: Machine, port: number): Promise<() => Promise<void>> {
  const socket = join(machine.shared, `relay-${port}.sock`);
  const server = serve(() => connect(port, "127.0.0.1"));
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  const half = machine.net(process.execPath, import.meta.path, String(port), socket);
  const close = async (): Promise<void> => {
    server.close();
    await half.kill();
  };
  await eventually("the relay listens", () => half.output().includes("listening"), {
    timeoutMs: START_TIMEOUT_MS,
    giveUp: () => (half.exited() ? half.output() : undefined),
  }).catch(async (error: unknown) => {
    await close();
    throw error;
  });
  return close;
}

if (import.meta.main) {
  const [port = "", socket = ""] = process.argv.slice(2);
  serve(() => connect(socket)).listen(Number(port), "127.0.0.1", () => console.log("listening"));
}
