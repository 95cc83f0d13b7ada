/**
 * Every fault of the stand-in against the compiled executable: Status keeps the key_id and says why, calls fail with a
 * sound code and never late, and all is well again without a restart.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import type { EncryptResponse } from "../../src/kms/gen/v2/api_pb.ts";
import { makeFakeOpenBao } from "../fakes/openbao/fake-openbao.ts";
import { type Fault, faults } from "../fakes/openbao/faults.ts";
import { eventually } from "../harness/eventually.ts";
import { codeOf } from "../harness/kms-client.ts";
import { opens, untilNotOk, untilOk } from "../harness/outage.ts";
import type { Provider } from "../harness/provider.ts";
import { type ProviderOnStandIn, startOnStandIn } from "./provider-on-stand-in.ts";

const SETUP_TIMEOUT_MS = 60_000;
const OPENBAO_TIMEOUT_MS = 500;

describe("OpenBao's faults, compiled executable", () => {
  const openbao = makeFakeOpenBao();
  const seed = new Uint8Array(randomBytes(32));
  let stage: ProviderOnStandIn;
  let provider: Provider;
  let sample: EncryptResponse;

  beforeAll(async () => {
    stage = await startOnStandIn({ openbao: { timeout: `${OPENBAO_TIMEOUT_MS}ms` } }, openbao);
    ({ provider } = stage);
    sample = await provider.client.encrypt(seed);
  }, SETUP_TIMEOUT_MS);
  afterAll(async () => {
    await stage.dispose();
  });

  test.each<[string, Fault]>([
    ["sealed", faults.sealed],
    ["denied", faults.denied],
    ["rate limited", faults.rateLimited()],
    ["rate limited with Retry-After", faults.rateLimited("1")],
    ["internal error", faults.internalError],
    ["unavailable", faults.unavailable],
    ["redirect", faults.redirect("https://127.0.0.1:1/v1/transit")],
    ["hang", faults.hang],
    ["slow, 20 bytes a second", faults.slow(20)],
    ["reset", faults.reset],
    ["torn", faults.torn],
    ["oversized", faults.oversized(2 << 20)],
    ["malformed", faults.malformed],
    ["cut JSON", faults.cutJson],
    ["wrong shape", faults.wrongShape],
  ])(
    "%s",
    async (_, fault) => {
      const remove = openbao.inject(fault);
      try {
        expect(await untilNotOk(provider)).toMatch(/^[a-z_]+$/);
        expect((await provider.client.status()).keyId).toBe(sample.keyId);
        const began = performance.now();
        expect(["OK", "INVALID_ARGUMENT", "INTERNAL", "UNKNOWN", "none"]).not.toContain(
          await codeOf(provider.client.decrypt(sample)),
        );
        expect(performance.now() - began).toBeLessThan(4 * OPENBAO_TIMEOUT_MS);
        expect((await provider.health("/live")).status).toBe(200);
      } finally {
        remove();
      }
      await untilOk(provider);
      expect(await opens(provider, sample, seed)).toBe(true);
      expect(provider.exited()).toBe(false);
    },
    SETUP_TIMEOUT_MS,
  );

  test("a sound body under a wrong content type is judged by its shape", async () => {
    const remove = openbao.inject(faults.wrongContentType);
    expect(await opens(provider, sample, seed)).toBe(true);
    remove();
  });

  test("a ciphertext of another version than asked for is never handed out", async () => {
    const remove = openbao.inject(faults.wrongVersion(7), { path: /encrypt/ });
    expect(await codeOf(provider.client.encrypt(seed))).not.toBe("OK");
    remove();
    await untilOk(provider);
    expect(await codeOf(provider.client.encrypt(seed))).toBe("OK");
  });

  test("many calls into a dead OpenBao take milliseconds, not timeouts", async () => {
    const remove = openbao.inject(faults.hang);
    await untilNotOk(provider);
    await eventually(
      "calls fail fast",
      async () => {
        const began = performance.now();
        await codeOf(provider.client.decrypt(sample));
        return performance.now() - began < 50;
      },
      { timeoutMs: 10_000 },
    );
    remove();
    await untilOk(provider);
  });
});
