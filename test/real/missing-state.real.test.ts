/** A node is deleted and made again in the middle of a rotation, under load, and needs no copied file. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { decodeRecord } from "../../src/key/registry/encoding.ts";
import type { EncryptResponse } from "../../src/kms/gen/v2/api_pb.ts";
import { makeJwtIssuer } from "../fakes/openbao/jwt-issuer.ts";
import { provision } from "../fakes/openbao/provision.ts";
import { eventually } from "../harness/eventually.ts";
import { codeOf } from "../harness/kms-client.ts";
import { type RealOpenBao, startOpenBao } from "../harness/openbao.ts";
import { opens, untilOk, untilStatusCode } from "../harness/outage.ts";
import { type Provider, prepareProvider } from "../harness/provider.ts";
import { describeReal } from "../harness/real-suite.ts";

const TEST_TIMEOUT_MS = 60_000;

describeReal("a node without a registry", { needs: ["bao"], long: true }, (binary) => {
  const issuer = makeJwtIssuer("RS256");
  let openbao: RealOpenBao;
  const nodes: Provider[] = [];
  beforeAll(async () => {
    openbao = await startOpenBao(binary("bao"));
  }, TEST_TIMEOUT_MS);
  afterEach(async () => {
    await Promise.all(nodes.splice(0).map((node) => node.dispose()));
  });
  afterAll(() => openbao.dispose());

  async function prepare(count: number) {
    const names = await provision(openbao.operator, issuer.publicKeyPem);
    for (let each = 0; each < count; each += 1) {
      nodes.push(
        await prepareProvider({
          openbao,
          names,
          issuer,
          config: {
            bootstrap: { missingState: "observe", retryInterval: "200ms" },
            status: { probeInterval: "1s" },
            rotation: { activationDelay: "3s", requireStableObservationCount: 2 },
          },
        }),
      );
    }
    const rotate = () => openbao.operator.must("POST", `${names.mount}/keys/${names.keyName}/rotate`, {});
    return { rotate, nodes };
  }

  const keyIdOf = async (node: Provider): Promise<string> => (await node.client.status()).keyId;

  test(
    "is made again in the middle of a rotation: reads at once, writes what the others read, and never goes back",
    async () => {
      const { rotate } = await prepare(2);
      const [steady, replaced] = nodes;
      if (steady === undefined || replaced === undefined) {
        throw new Error("two nodes were prepared");
      }
      await Promise.all(nodes.map((node) => node.start()));
      await Promise.all(nodes.map((node) => untilOk(node)));

      const stored: { readonly sample: EncryptResponse; readonly seed: Uint8Array }[] = [];
      const failures: string[] = [];
      const write = async (node: Provider): Promise<string> => {
        const seed = randomBytes(32);
        const encrypted = node.client.encrypt(seed);
        const code = await codeOf(encrypted);
        if (code === "OK") {
          stored.push({ sample: await encrypted, seed });
        }
        return code;
      };
      const load = new AbortController();
      const loaded = (async () => {
        while (!load.signal.aborted) {
          const code = await write(steady);
          const last = stored.at(-1);
          const opened = last === undefined || (await opens(steady, last.sample, last.seed));
          if (code !== "OK" || !opened) {
            failures.push(code);
          }
          await Bun.sleep(10);
        }
      })();

      const keyIds = [await keyIdOf(steady)];
      const promoted = (node: Provider, others: readonly string[]): Promise<true> =>
        eventually("promoted", async () => !others.includes(await keyIdOf(node)), { timeoutMs: 30_000 });
      expect(await write(replaced)).toBe("OK");
      await rotate();
      await Promise.all(nodes.map((node) => promoted(node, keyIds)));
      keyIds.push(await keyIdOf(steady));
      expect(await keyIdOf(replaced)).toBe(keyIds[1] ?? "");

      await rotate();
      await replaced.stop();
      for (const path of [replaced.statePath, `${replaced.statePath}.checkpoint`]) {
        rmSync(path);
      }
      const [first] = stored;
      if (first === undefined) {
        throw new Error("the load has written nothing");
      }
      replaced.spawn();
      await eventually(
        "it decrypts",
        async () => (await codeOf(replaced.client.decrypt(first.sample))) === "OK",
        {
          timeoutMs: 20_000,
        },
      );
      await untilStatusCode(replaced, "OK");
      await untilOk(replaced);
      expect(keyIds[0]).not.toBe(await keyIdOf(replaced));
      expect(await write(replaced)).toBe("OK");
      const decoded = decodeRecord(readFileSync(replaced.statePath));
      expect(decoded).toMatchObject({ kind: "record", record: { notes: [{ kind: "observed" }] } });
      expect(await replaced.metrics()).toContain('openbao_kms_registry_origin{origin="observed"} 1');
      const created = replaced.log().findLast(({ message }) => message === "registry.created");
      expect(created).toMatchObject({ code: "observed" });

      await Promise.all(nodes.map((node) => promoted(node, keyIds)));
      expect(await keyIdOf(replaced)).toBe(await keyIdOf(steady));
      load.abort();
      await loaded;
      expect(failures).toEqual([]);
      expect(stored.length).toBeGreaterThan(50);
      for (const { sample, seed } of stored) {
        for (const node of nodes) {
          expect(await opens(node, sample, seed)).toBe(true);
        }
      }
    },
    2 * TEST_TIMEOUT_MS,
  );
});
