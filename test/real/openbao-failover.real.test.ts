/**
 * @module `openbao.addresses` on a real three-node raft cluster whose leader is killed, stopped, sealed and brought back under
 * load. No wrong answer, no failed call that had three seconds; the time until the cluster led again is printed.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ProviderError } from "../../src/base/error-class.ts";
import type { TransitAccess } from "../../src/provider/transit-access.ts";
import { configFile, onOpenBao } from "../fakes/config-file.ts";
import { identityClaims, makeJwtIssuer } from "../fakes/openbao/jwt-issuer.ts";
import { type Provisioning, provision } from "../fakes/openbao/provision.ts";
import { type OpenBaoNode, type RaftCluster, startRaftCluster } from "../harness/openbao.ts";
import { describeReal } from "../harness/real-suite.ts";
import { transitAccess } from "../harness/transit-access.ts";

const AAD = btoa("associated");
const CALL_MS = 3000;

describeReal("failover between real OpenBao nodes", { needs: ["bao"], long: true }, (binary) => {
  const issuer = makeJwtIssuer();
  let dir: string;
  let cluster: RaftCluster;
  let names: Provisioning;
  let access: TransitAccess;
  let moves: number;

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), "failover-"));
    cluster = await startRaftCluster(binary("bao"));
    names = await provision((await cluster.leader()).operator, issuer.publicKeyPem);
    writeFileSync(join(dir, "jwt"), issuer.sign(identityClaims(names, Date.now())), { mode: 0o600 });
    const text = configFile((fields) => {
      const { openbao, ...rest } = onOpenBao(fields, { address: "", caCertFile: cluster.caFile }, names);
      const { address: _, ...shared } = openbao;
      return {
        ...rest,
        openbao: { ...shared, addresses: cluster.nodes.map(({ address }) => address) },
        auth: {
          jwt: { mountPath: `auth/${names.jwtMount}`, role: names.role, jwtFile: join(dir, "jwt") },
        },
      };
    });
    moves = 0;
    access = await transitAccess(text, {
      openbaoObserver: () => ({
        onNode: () => {
          moves += 1;
        },
      }),
    });
    await access.transit.readKey(AbortSignal.timeout(10_000));
  }, 120_000);
  afterAll(async () => {
    await access.session.close(2000);
    await cluster.dispose();
    rmSync(dir, { recursive: true });
  });

  /** Encrypts and decrypts without a pause, eight at a time, until told to stop; what failed, by code. */
  const load = () => {
    const failures: string[] = [];
    let calls = 0;
    let slowestMs = 0;
    const stop = new AbortController();
    const one = async (worker: number): Promise<void> => {
      for (let round = 0; !stop.signal.aborted; round += 1) {
        const plaintext = new TextEncoder().encode(`worker ${worker} round ${round}`);
        const startedMs = performance.now();
        try {
          const ciphertext = await access.transit.encrypt(
            { plaintext, associatedData: AAD, keyVersion: 1 },
            AbortSignal.timeout(CALL_MS),
          );
          const back = await access.transit.decrypt(
            { ciphertext, associatedData: AAD },
            AbortSignal.timeout(CALL_MS),
          );
          if (Buffer.compare(back, plaintext) !== 0) {
            failures.push("wrong plaintext");
          }
        } catch (error) {
          failures.push(error instanceof ProviderError ? error.code : String(error));
        }
        calls += 2;
        slowestMs = Math.max(slowestMs, performance.now() - startedMs);
        await Bun.sleep(5);
      }
    };
    const workers = Promise.all(Array.from({ length: 8 }, (_, worker) => one(worker)));
    return async () => {
      stop.abort();
      await workers;
      return { failures, calls, slowestMs };
    };
  };

  const troubles: readonly [
    string,
    (node: OpenBaoNode) => unknown,
    (node: OpenBaoNode) => Promise<unknown>,
  ][] = [
    ["killed", (node) => node.kill(), (node) => node.start()],
    ["sealed", (node) => node.seal(), (node) => node.unseal()],
    ["stopped", (node) => node.pause(), async (node) => node.resume()],
  ];
  describe.each(troubles)("the leader is %s", (how, harm, repair) => {
    test("and no call fails", async () => {
      const leader = await cluster.leader();
      const stop = load();
      await Bun.sleep(500);
      const harmedMs = performance.now();
      await harm(leader);
      const next = await cluster.leader();
      const electionMs = performance.now() - harmedMs;
      await Bun.sleep(1000);
      await repair(leader);
      await Bun.sleep(1000);
      const { failures, calls, slowestMs } = await stop();
      console.log(
        `leader ${how}: a new one after ${Math.round(electionMs)} ms; ${calls} calls, slowest pair ${Math.round(slowestMs)} ms`,
      );
      expect(failures).toEqual([]);
      expect(next.address === leader.address && how !== "stopped").toBe(false);
      expect(moves).toBeLessThan(20);
    }, 120_000);
  });
});
