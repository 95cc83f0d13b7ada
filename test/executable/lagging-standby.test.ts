/**
 * A standby that lags behind, named first of two addresses: what it does not know yet is never taken for the truth.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { makeFakeOpenBao } from "../fakes/openbao/fake-openbao.ts";
import { type FakeServer, serveFakeOpenBao } from "../fakes/openbao/fake-server.ts";
import { makeJwtIssuer } from "../fakes/openbao/jwt-issuer.ts";
import { operator } from "../fakes/openbao/operator.ts";
import { type Provisioning, provision } from "../fakes/openbao/provision.ts";
import { opens, untilKeyIdChanges, untilOk } from "../harness/outage.ts";
import { type Provider, prepareProvider } from "../harness/provider.ts";

const SETUP_TIMEOUT_MS = 60_000;
/** Many times the probe interval of the test configuration. */
const OBSERVED_MS = 3000;
const openbao = makeFakeOpenBao();
const seed = new Uint8Array(randomBytes(32));
let active: FakeServer;
let standby: FakeServer;
let names: Provisioning;
let provider: Provider;

beforeAll(async () => {
  active = await serveFakeOpenBao(openbao);
  standby = await serveFakeOpenBao(openbao.standby(), { tls: active.tls });
  const issuer = makeJwtIssuer();
  names = await provision(operator(active, openbao.rootToken), issuer.publicKeyPem);
  provider = await prepareProvider({
    openbao: active,
    names,
    issuer,
    config: { openbao: { address: undefined, addresses: [standby.address, active.address] } },
  });
  await provider.start();
}, SETUP_TIMEOUT_MS);
afterAll(async () => {
  await provider.dispose();
  await Promise.all([active.stop(), standby.stop()]);
});

test(
  "a node that lags behind the active version: calls succeed through the other, nothing is recorded, nothing is lost",
  async () => {
    const root = operator(active, openbao.rootToken);
    const old = await provider.client.encrypt(seed);
    const slow = openbao.standby();
    slow.lag();
    await root.must("POST", `${names.mount}/keys/${names.keyName}/rotate`, {});
    const keyId = await untilKeyIdChanges(provider, old.keyId);
    const fresh = await provider.client.encrypt(seed);

    // The first address is answered by a node that has not heard of the active version, for many probes.
    await standby.stop();
    standby = await serveFakeOpenBao(slow, { tls: active.tls, port: standby.port });
    const end = performance.now() + OBSERVED_MS;
    while (performance.now() < end) {
      expect((await provider.client.status()).keyId).toBe(keyId);
      expect(await opens(provider, old, seed)).toBe(true);
      expect(await opens(provider, fresh, seed)).toBe(true);
      expect((await provider.client.encrypt(seed)).keyId).toBe(keyId);
      await Bun.sleep(50);
    }
    expect(slow.calls.length).toBeGreaterThan(0);

    slow.catchUp();
    await untilOk(provider);
    expect((await provider.client.status()).keyId).toBe(keyId);
  },
  SETUP_TIMEOUT_MS,
);
