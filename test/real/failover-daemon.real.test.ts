/**
 * `openbao.addresses` of the compiled provider on a real three-node raft cluster, behind a network that can be partitioned: no wrong
 * answer, no failed call that had three seconds, and the key_id stays what it is.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { makeJwtIssuer } from "../fakes/openbao/jwt-issuer.ts";
import { type Provisioning, provision } from "../fakes/openbao/provision.ts";
import { type RaftCluster, startRaftCluster } from "../harness/openbao.ts";
import { type Provider, prepareProvider } from "../harness/provider.ts";
import { describeReal } from "../harness/real-suite.ts";
import { openWire, type Wire } from "../harness/wire.ts";

const OUTAGE_MS = 5000;
const CALM_MS = 1500;
const SLOW_MS = 500;

describeReal("failover of the compiled provider", { needs: ["bao"], long: true }, (binary) => {
  const issuer = makeJwtIssuer();
  let cluster: RaftCluster;
  let proxies: readonly Wire[] = [];
  let names: Provisioning;
  const providers: Provider[] = [];
  beforeAll(async () => {
    cluster = await startRaftCluster(binary("bao"));
    proxies = await Promise.all(cluster.nodes.map(({ address }) => openWire(Number(new URL(address).port))));
    names = await provision((await cluster.leader()).operator, issuer.publicKeyPem);
  }, 120_000);
  afterAll(async () => {
    await Promise.all([...providers.map((each) => each.dispose()), ...proxies.map((proxy) => proxy.close())]);
    await cluster?.dispose();
  });

  /** It starts at the leader, so that what befalls the leader befalls it. */
  const provide = async (): Promise<Provider> => {
    const leading = await proxyOf();
    const inOrder = [...proxies].sort((left, right) => Number(right === leading) - Number(left === leading));
    const addresses = inOrder.map(({ port }) => `https://127.0.0.1:${port}`);
    const provider = await prepareProvider({
      openbao: { address: "", caPem: cluster.caPem },
      names,
      issuer,
      config: { openbao: { address: undefined, addresses } },
    });
    providers.push(provider);
    await provider.start();
    return provider;
  };
  const proxyOf = async (): Promise<Wire | undefined> => {
    const { address } = await cluster.leader();
    return proxies[cluster.nodes.findIndex((node) => node.address === address)];
  };

  const harms: readonly (readonly [string, () => Promise<() => Promise<void>>])[] = [
    [
      "the network to the leader loses everything",
      async () => {
        const proxy = await proxyOf();
        await proxy?.route({ kind: "half-open" });
        return async () => proxy?.repair();
      },
    ],
    [
      "the network to two of three loses everything",
      async () => {
        const leading = await proxyOf();
        const standby = proxies.find((proxy) => proxy !== leading);
        const lost = [leading, standby];
        await Promise.all(lost.map((proxy) => proxy?.route({ kind: "half-open" })));
        return async () => {
          await Promise.all(lost.map((proxy) => proxy?.repair()));
        };
      },
    ],
    [
      "the leader is killed",
      async () => {
        const leader = await cluster.leader();
        await leader.kill();
        return () => leader.start();
      },
    ],
    [
      "the leader stands still",
      async () => {
        const leader = await cluster.leader();
        leader.pause();
        return async () => leader.resume();
      },
    ],
  ];

  test.each(harms)(
    "%s",
    async (what, harm) => {
      const provider = await provide();
      const { keyId } = await provider.client.status();
      const seed = new Uint8Array(32).fill(5);
      const failures: string[] = [];
      const keyIds = new Set([keyId]);
      const over = new AbortController();
      let calls = 0;
      let slowestMs = 0;
      let lastSlowMs = 0;
      const callers = Array.from({ length: 6 }, async () => {
        while (!over.signal.aborted) {
          const startedMs = performance.now();
          try {
            const sealed = await provider.client.encrypt(seed);
            keyIds.add(sealed.keyId);
            if (Buffer.compare((await provider.client.decrypt(sealed)).plaintext, seed) !== 0) {
              failures.push("another plaintext");
            }
          } catch (error) {
            failures.push(String(error));
          }
          const endedMs = performance.now();
          slowestMs = Math.max(slowestMs, endedMs - startedMs);
          lastSlowMs = endedMs - startedMs > SLOW_MS ? endedMs : lastSlowMs;
          calls += 2;
          await Bun.sleep(10);
        }
      });
      await Bun.sleep(CALM_MS);
      const harmedMs = performance.now();
      const repair = await harm();
      await Bun.sleep(OUTAGE_MS);
      await repair();
      await Bun.sleep(CALM_MS);
      over.abort();
      await Promise.all(callers);
      const recoveredMs = Math.max(0, lastSlowMs - harmedMs);
      console.log(
        `${what}: ${calls} calls, ${failures.length} failed, slowest pair ${Math.round(slowestMs)} ms, quick again after ${Math.round(recoveredMs)} ms`,
      );
      expect(failures).toEqual([]);
      expect([...keyIds]).toEqual([keyId]);
      expect((await provider.client.status()).healthz).toBe("ok");
      await provider.stop();
    },
    60_000,
  );
});
