/** What a namespace that is locked or sealed answers, on a real OpenBao. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import * as v from "valibot";
import { systemClock } from "../../src/base/clock.ts";
import { ProviderError } from "../../src/base/error-class.ts";
import { Secret } from "../../src/base/secret.ts";
import { createOpenBaoClient, type OpenBaoClient } from "../../src/openbao/client/client.ts";
import { createTransitClient } from "../../src/openbao/transit/client.ts";
import { type RealOpenBao, startOpenBao } from "../harness/openbao.ts";
import { openbaoTransport } from "../harness/openbao-transport.ts";
import { describeReal } from "../harness/real-suite.ts";

const shares = v.object({ data: v.object({ key_shares: v.array(v.string()) }) });

const TEST_TIMEOUT_MS = 60_000;

describeReal("namespaces of OpenBao", { needs: ["bao"], long: true }, (binary) => {
  let bao: RealOpenBao;

  beforeAll(async () => {
    bao = await startOpenBao(binary("bao"));
  }, TEST_TIMEOUT_MS);
  afterAll(() => bao.dispose());

  const openbaoIn = async (namespace: string): Promise<OpenBaoClient> =>
    createOpenBaoClient({
      transport: await openbaoTransport(bao.caFile),
      clock: systemClock,
      addresses: [bao.address],
      namespace,
      timeoutMs: 5000,
      observer: {},
    });

  /** One call as an administrator; `undefined` when it was refused. */
  const post = async (namespace: string, path: string, body: object = {}): Promise<unknown> => {
    const response = await fetch(`${bao.address}/v1/${path}`, {
      method: "POST",
      headers: { "X-Vault-Token": bao.rootToken, "X-Vault-Namespace": namespace },
      body: JSON.stringify(body),
      tls: { ca: bao.caPem },
    });
    const text = await response.text();
    return response.ok ? (text === "" ? {} : JSON.parse(text)) : undefined;
  };

  const readKeyIn = async (namespace: string): Promise<string> => {
    const openbao = await openbaoIn(namespace);
    const token = new Secret(bao.rootToken);
    const client = createTransitClient(
      { call: (call) => openbao.call({ ...call, token }) },
      { mountPath: "transit", keyName: "etcd" },
    );
    return await client.readKey(AbortSignal.timeout(10_000)).then(
      () => "ok",
      (error: unknown) =>
        error instanceof ProviderError ? `${error.code} ${error.errorClass}` : String(error),
    );
  };

  test(
    "one that is locked is named as locked",
    async () => {
      await post("", "sys/namespaces/locked");
      await post("locked", "sys/mounts/transit", { type: "transit" });
      await post("locked", "transit/keys/etcd");
      expect(await readKeyIn("locked")).toBe("ok");
      expect(await post("locked", "sys/namespaces/api-lock/lock")).toBeDefined();
      expect(await readKeyIn("locked")).toBe("namespace_locked openbao_unavailable");
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "one that is sealed is named as sealed, although OpenBao is not; releases without such namespaces have none to seal",
    async () => {
      const seal = 'seal "shamir" {\n shares = 1\n threshold = 1\n}';
      const made = v.safeParse(shares, await post("", "sys/namespaces/sealed", { seal }));
      expect(await readKeyIn("sealed")).toBe(
        made.success ? "namespace_sealed openbao_sealed" : "mount_missing transit_key_missing",
      );
    },
    TEST_TIMEOUT_MS,
  );
});
