/**
 * Free loopback ports that stay free while their server is away.
 *
 * @module Taken below the range from which the kernel gives ports to outgoing connections (32768 and up by default), so
 * that none of those sits on the port of a server that is to come back. No port is given twice by one process, and processes
 * that run side by side take theirs from different slices, since a server that is killed leaves its port free for a while.
 */
import { createServer, type Server } from "node:net";

const LOWEST = 15_000;
const BEYOND = 32_000;
const SLICES = 17;
const MAX_TRIES = 500;

const SLICE = (BEYOND - LOWEST) / SLICES;
const sliceStart = LOWEST + (process.pid % SLICES) * SLICE;
const given = new Set<number>();

export async function freePorts(count: number): Promise<readonly number[]> {
  const servers: Server[] = [];
  const ports: number[] = [];
  try {
    for (let tries = 0; ports.length < count; tries += 1) {
      if (tries === MAX_TRIES) {
        throw new Error(`no ${count} free ports from ${sliceStart} on`);
      }
      const port = sliceStart + Math.floor(Math.random() * SLICE);
      const server = given.has(port) ? undefined : await listenAt(port);
      if (server !== undefined) {
        given.add(port);
        servers.push(server);
        ports.push(port);
      }
    }
  } finally {
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }
  return ports;
}

/** A listener, or undefined when the port is taken. */
function listenAt(port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(undefined));
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}
