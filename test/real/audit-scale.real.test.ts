/** How long an audit takes and what memory it needs, as a process of its own, on snapshots of a real etcd. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { ourStoredValue } from "../fakes/etcd/envelope-bytes.ts";
import { TEST_IDENTITY } from "../fakes/key-scope.ts";
import { type RealEtcd, startEtcd } from "../harness/etcd.ts";
import { peakRssMib } from "../harness/peak-memory.ts";
import { describeReal } from "../harness/real-suite.ts";

const main = join(import.meta.dir, "..", "..", "src", "main.ts");
const scope = TEST_IDENTITY;
const values = [1, 2, 3].map((version) =>
  ourStoredValue(scope, { version, createdAtUnix: 1_700_000_000 + version }, 500),
);

async function fill(cluster: RealEtcd, from: number, to: number): Promise<void> {
  const batch = 5000;
  for (let first = from; first < to; first += batch) {
    await cluster.put(
      Array.from({ length: Math.min(batch, to - first) }, (_, n) => [
        `/registry/secrets/ns-${n % 50}/secret-${first + n}`,
        values[n % values.length] ?? new Uint8Array(),
      ]),
    );
  }
}

/** The most that was resident so far; 0 when the process has ended. */
function peakMegabytes(pid: number): number {
  try {
    return ((peakRssMib(pid) || 0) * 2 ** 20) / 1e6;
  } catch {
    return 0;
  }
}

async function measured(file: string): Promise<{ objects: number; seconds: number; megabytes: number }> {
  const began = performance.now();
  const child = Bun.spawn([process.execPath, main, "audit", "--snapshot", file, "--output", "json"], {
    stdout: "pipe",
    stderr: "pipe",
    env: { PATH: process.env["PATH"] ?? "" },
  });
  // Not wait4(2)'s figure: it starts with the memory of the process that forked, which runs whole suites of tests.
  let megabytes = 0;
  const watching = setInterval(() => {
    megabytes = Math.max(megabytes, peakMegabytes(child.pid));
  }, 10);
  const text = await new Response(child.stdout).text();
  expect(await child.exited).toBe(0);
  clearInterval(watching);
  const seconds = (performance.now() - began) / 1000;
  expect(megabytes).toBeGreaterThan(10);
  console.log(`audit of ${file}: ${seconds.toFixed(1)} s, ${megabytes.toFixed(0)} MB at most`);
  return { objects: JSON.parse(text).audits[0].objects, seconds, megabytes };
}

describeReal("audit: 50,000 objects", { needs: ["etcd", "etcdctl"] }, (binary) => {
  let cluster: RealEtcd;
  beforeAll(async () => {
    cluster = await startEtcd(binary("etcd"));
    await fill(cluster, 0, 50_000);
  }, 120_000);
  afterAll(() => cluster?.dispose());

  test("in under 5 s and 150 MB", async () => {
    const { objects, seconds, megabytes } = await measured(cluster.snapshot(binary("etcdctl"), "50k.snap"));
    expect(objects).toBe(50_000);
    expect(seconds).toBeLessThan(5);
    expect(megabytes).toBeLessThan(150);
  }, 60_000);
});

describeReal("audit: 1,000,000 objects", { needs: ["etcd", "etcdctl"], long: true }, (binary) => {
  let cluster: RealEtcd;
  beforeAll(async () => {
    cluster = await startEtcd(binary("etcd"));
    await fill(cluster, 0, 1_000_000);
  }, 600_000);
  afterAll(() => cluster?.dispose());

  test("in the same 150 MB", async () => {
    const { objects, megabytes } = await measured(cluster.snapshot(binary("etcdctl"), "1m.snap"));
    expect(objects).toBe(1_000_000);
    expect(megabytes).toBeLessThan(150);
  }, 300_000);
});
