/** A real kube-apiserver over a real etcd, encrypted by a real OpenBao through the compiled executable. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  type Cluster,
  inParallel,
  type ObjectKind,
  recognisable,
  STORED_PREFIX,
  startCluster,
} from "../harness/cluster.ts";
import { eventually } from "../harness/eventually.ts";
import { describeReal } from "../harness/real-suite.ts";

const SECRETS = 300;
const CONFIG_MAPS = 50;
const WIDTH = 8;
const KILLS = 10;
/** kube-apiserver polls Status once a minute while healthy. */
const NOTICE_TIMEOUT_MS = 90_000;
const START_TIMEOUT_MS = 120_000;
const MINUTE_MS = 60_000;

interface Written {
  readonly kind: ObjectKind;
  readonly name: string;
  readonly text: string;
}

describeReal("kube-apiserver", { needs: ["bao", "etcd", "kube-apiserver"], long: true }, (binary) => {
  const binaries = () => ({
    bao: binary("bao"),
    etcd: binary("etcd"),
    kubeApiServer: binary("kube-apiserver"),
  });
  const objects: Written[] = [];
  let cluster: Cluster;

  const expectAllReadable = async (): Promise<void> => {
    await inParallel(objects, WIDTH, async ({ kind, name, text }) => {
      expect(await cluster.read(kind, name)).toBe(text);
    });
  };
  const metric = async (name: string): Promise<number> => {
    const text = await cluster.provider.metrics();
    const values = text
      .split("\n")
      .filter((line) => line.startsWith(name))
      .map((line) => Number(line.slice(line.lastIndexOf(" ") + 1)));
    return values.reduce((sum, value) => sum + value, 0);
  };
  const decrypts = (): Promise<number> => metric('openbao_kms_grpc_requests_total{method="Decrypt"');
  const currentKeyId = async (): Promise<string> => (await cluster.provider.client.status()).keyId;

  beforeAll(async () => {
    cluster = await startCluster(binaries());
  }, START_TIMEOUT_MS);
  afterAll(() => cluster.dispose());

  test(
    "300 Secrets and 50 ConfigMaps lie encrypted in etcd",
    async () => {
      const make = (kind: ObjectKind, count: number): readonly Written[] =>
        Array.from({ length: count }, (_, index) => ({ kind, name: `o-${index}`, text: recognisable() }));
      objects.push(...make("secrets", SECRETS), ...make("configmaps", CONFIG_MAPS));
      await inParallel(objects, WIDTH, ({ kind, name, text }) => cluster.write(kind, name, text));
      for (const kind of ["secrets", "configmaps"] as const) {
        const stored = await cluster.etcd.list(STORED_PREFIX[kind]);
        const ours = objects.filter((each) => each.kind === kind);
        expect(stored.length).toBeGreaterThanOrEqual(ours.length);
        expect(
          stored.filter(({ value }) => !value.toString("latin1").startsWith("k8s:enc:kms:v2:openbao:")),
        ).toEqual([]);
        const all = Buffer.concat(stored.map(({ value }) => value));
        expect(ours.filter(({ text }) => all.indexOf(text) >= 0)).toEqual([]);
      }
      await expectAllReadable();
    },
    MINUTE_MS,
  );

  test(
    "rotation: old and new key_ids side by side, rewriting moves all to the new one",
    async () => {
      const before = await currentKeyId();
      expect([...(await cluster.keyIds("secrets")).keys()]).toEqual([before]);
      const after = await cluster.rotate();
      const probe = { kind: "secrets", name: "o-0", text: recognisable() } as const;
      objects[0] = probe;
      await eventually(
        "kube-apiserver writes under the new key_id",
        async () => {
          await cluster.write(probe.kind, probe.name, probe.text);
          return (await cluster.keyIds("secrets")).has(after);
        },
        { timeoutMs: NOTICE_TIMEOUT_MS, everyMs: 1000 },
      );
      expect((await cluster.keyIds("secrets")).get(before)).toBe(SECRETS - 1);
      await expectAllReadable();
      await inParallel(objects, WIDTH, ({ kind, name, text }) => cluster.write(kind, name, text));
      expect((await cluster.keyIds("secrets")).get(after)).toBe(SECRETS);
      expect((await cluster.keyIds("secrets")).get(before)).toBeUndefined();
      expect(await currentKeyId()).toBe(after);
    },
    NOTICE_TIMEOUT_MS + MINUTE_MS,
  );

  test(
    "a cold restart of the API server reads everything, one Decrypt for each distinct seed",
    async () => {
      await cluster.api.stop();
      const before = await decrypts();
      await cluster.api.start();
      await expectAllReadable();
      expect((await decrypts()) - before).toBeLessThanOrEqual(4);
    },
    START_TIMEOUT_MS,
  );

  test(
    "killed with -9 ten times under a write load: no write fails, no object is lost",
    async () => {
      const written: Written[] = [];
      const enough = new AbortController();
      let failures = 0;
      const writer = async (id: number): Promise<void> => {
        for (let index = 0; !enough.signal.aborted; index += 1) {
          const object: Written = { kind: "secrets", name: `load-${id}-${index % 50}`, text: recognisable() };
          // As client-go does: a refused write is tried again for a while.
          await eventually(
            `the write of ${object.name}`,
            async () => {
              await cluster.write(object.kind, object.name, object.text);
              return true;
            },
            { timeoutMs: 30_000, everyMs: 250 },
          ).catch(() => {
            failures += 1;
          });
          written[id * 50 + (index % 50)] = object;
          await Bun.sleep(20);
        }
      };
      const load = Promise.all([0, 1].map(writer));
      for (let kill = 0; kill < KILLS; kill += 1) {
        await Bun.sleep(1000);
        await cluster.provider.kill();
        await Bun.sleep(200);
        await cluster.provider.start();
      }
      enough.abort();
      await load;
      expect(failures).toBe(0);
      objects.push(...written.filter((each) => each !== undefined));
      await cluster.api.restart();
      await expectAllReadable();
    },
    START_TIMEOUT_MS,
  );
});
