/** How much memory the provider ever has under each attack, measured by the kernel on a process of its own. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ATTACKS, HOARDERS, hoardOnce } from "./attacks.ts";
import { kmsClient } from "./harness.ts";
import { rawConnection } from "./raw-http2.ts";
import { type ServedProcess, serveInProcess } from "./served-process.ts";

const MOST_MIB = 128;
/** What an attack by itself does not end is ended here; the process stays the same, and with it its highest mark. */
const ATTACK_MS = 1000;

let served: ServedProcess;
beforeAll(async () => {
  served = await serveInProcess();
});
afterAll(() => served.stop());

async function stillServes(): Promise<void> {
  const client = kmsClient(served.path);
  expect((await client.status({ timeoutMs: 20_000 })).healthz).toBe("ok");
  client.close();
}

describe(`less than ${MOST_MIB} MiB`, () => {
  test.each(HOARDERS)(
    "%s, on 64 connections",
    async (_name, hoard) => {
      await hoardOnce(served.path, hoard);
      await stillServes();
      expect(served.peakRssMib()).toBeLessThan(MOST_MIB);
    },
    30_000,
  );

  test.each(ATTACKS)(
    "%s, on 16 connections",
    async (_name, attack) => {
      const peers = await Promise.all(Array.from({ length: 16 }, () => rawConnection(served.path)));
      const attacking = Promise.all(peers.map(attack));
      await Promise.race([attacking, Bun.sleep(ATTACK_MS)]);
      for (const peer of peers) {
        peer.destroy();
      }
      await stillServes();
      await attacking;
      expect(served.peakRssMib()).toBeLessThan(MOST_MIB);
    },
    30_000,
  );
});
