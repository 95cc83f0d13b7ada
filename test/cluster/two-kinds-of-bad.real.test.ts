/**
 * The two kinds of bad, shown with a real kube-apiserver: OpenBao away, which costs no write, and a lost key, which must stop
 * writes. Both take kube-apiserver's own three minutes, side by side.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Cluster, recognisable, startCluster } from "../harness/cluster.ts";
import { eventually } from "../harness/eventually.ts";
import { untilOk, untilStatusCode } from "../harness/outage.ts";
import { describeReal } from "../harness/real-suite.ts";

const START_TIMEOUT_MS = 120_000;
const MINUTE_MS = 60_000;

describeReal("two kinds of bad", { needs: ["bao", "etcd", "kube-apiserver"], long: true }, (binary) => {
  const binaries = () => ({
    bao: binary("bao"),
    etcd: binary("etcd"),
    kubeApiServer: binary("kube-apiserver"),
  });
  /** Longer than kube-apiserver continues without a good Status. */
  const OUTAGE_MS = 200_000;
  let away: Cluster;
  let lost: Cluster;
  beforeAll(async () => {
    [away, lost] = await Promise.all([startCluster(binaries()), startCluster(binaries())]);
  }, START_TIMEOUT_MS);
  afterAll(async () => {
    await Promise.all([away.dispose(), lost.dispose()]);
  });

  /** Writes once a second and says when, in milliseconds since the start, the first write was refused. */
  const writeFor = async (
    cluster: Cluster,
    durationMs: number,
    ended: () => boolean,
  ): Promise<number | undefined> => {
    const began = performance.now();
    for (let index = 0; performance.now() - began < durationMs && !ended(); index += 1) {
      const refused = await cluster.write("secrets", `w-${index % 20}`, recognisable()).then(
        () => false,
        () => true,
      );
      if (refused) {
        return performance.now() - began;
      }
      await Bun.sleep(1000);
    }
    return undefined;
  };

  test(
    "OpenBao away for more than 3 minutes: writes continue, and all recovers without help",
    async () => {
      const text = recognisable();
      await away.write("secrets", "before", text);
      await away.openbao.stop();
      // Meanwhile the other cluster's key is deleted, so that both take their three minutes together.
      const lostOutcome = loseAndRestore();
      expect(await writeFor(away, OUTAGE_MS, () => false)).toBeUndefined();
      expect(await away.read("secrets", "before")).toBe(text);
      await away.openbao.start();
      await untilOk(away.provider);
      await away.api.restart();
      expect(await away.read("secrets", "before")).toBe(text);
      const { firstRefusedMs, backMs } = await lostOutcome;
      // Between the poll that first sees the error and three minutes after the last good one, with room for slow machines.
      expect(firstRefusedMs ?? 0).toBeWithin(100_000, 260_000);
      // Read by scripts/compat: a kube-apiserver that treats the two alike shows here first.
      const seconds = (ms: number): string => `${Math.round(ms / 1000)} s`;
      console.log(`measured: writes while healthz is not ok: none refused in ${seconds(OUTAGE_MS)}`);
      console.log(`measured: first refused write while Status fails: after ${seconds(firstRefusedMs ?? 0)}`);
      expect(backMs).toBeLessThan(45_000);
    },
    OUTAGE_MS + 4 * MINUTE_MS,
  );

  /** The active version is lost: Status fails, writes stop within three minutes; restored, they are back soon. */
  const loseAndRestore = async () => {
    const text = recognisable();
    await lost.write("secrets", "before", text);
    const key = `${lost.names.mount}/keys/${lost.names.keyName}`;
    await lost.openbao.operator.must("DELETE", `${key}/soft-delete`);
    await untilStatusCode(lost.provider, "FAILED_PRECONDITION");
    const firstRefusedMs = await writeFor(lost, OUTAGE_MS + MINUTE_MS, () => false);
    expect(await lost.read("secrets", "before")).toBe(text);
    await lost.openbao.operator.must("POST", `${key}/soft-delete-restore`, {});
    const began = performance.now();
    await eventually(
      "writes are back",
      async () => {
        await lost.write("secrets", "after", recognisable());
        return true;
      },
      { timeoutMs: MINUTE_MS, everyMs: 1000 },
    );
    return { firstRefusedMs, backMs: performance.now() - began };
  };
});
