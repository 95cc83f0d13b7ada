/**
 * One real OpenBao, and on it for each test a key, a policy, a login and a provider of its own, so that no test finds what
 * another has broken.
 *
 * @module Set-up and the two expectations of every outage. What goes wrong: the suites.
 */
import { afterAll, afterEach, beforeAll, beforeEach, expect } from "bun:test";
import { randomBytes } from "node:crypto";
import type { EncryptResponse } from "../../src/kms/gen/v2/api_pb.ts";
import { makeJwtIssuer } from "../fakes/openbao/jwt-issuer.ts";
import { type Provisioning, provision } from "../fakes/openbao/provision.ts";
import { eventually } from "./eventually.ts";
import { codeOf } from "./kms-client.ts";
import { type RealOpenBao, startOpenBao } from "./openbao.ts";
import { opens, untilNotOk, untilOk } from "./outage.ts";
import { type Provider, type ProviderOptions, prepareProvider } from "./provider.ts";
import { describeReal } from "./real-suite.ts";

export const TEST_TIMEOUT_MS = 60_000;
/** A younger token is not given up for a 403, because a standby may not know it yet. */
export const YOUNG_TOKEN_MS = 10_500;

export interface FaultStage {
  readonly openbao: RealOpenBao;
  readonly names: Provisioning;
  readonly provider: Provider;
  /** What was encrypted last by `takeSample`. */
  readonly sample: EncryptResponse;
  readonly seed: Uint8Array;
  readonly open: (baoBinary: string) => Promise<void>;
  readonly close: () => Promise<void>;
  readonly provisionNext: (overrides?: Partial<Provisioning>) => Promise<void>;
  /** A provider that is not started yet. */
  readonly prepare: (options?: Partial<ProviderOptions>) => Promise<void>;
  /** All of the above, started, with a sample. */
  readonly startFresh: () => Promise<void>;
  readonly takeSample: () => Promise<void>;
  readonly keyPath: () => string;
  readonly post: (path: string, body?: Parameters<RealOpenBao["operator"]["must"]>[2]) => Promise<unknown>;
  readonly decryptCode: () => Promise<string>;
  readonly encryptCode: () => Promise<string>;
  readonly opensSample: () => Promise<boolean>;
  /** OpenBao cannot be asked or says no: Status keeps the key_id, and liveness has nothing to do with it. */
  readonly expectOutage: () => Promise<string>;
  /** All is as when the sample was taken, in the same process. */
  readonly expectRecovery: () => Promise<void>;
}

interface Parts {
  openbao?: RealOpenBao;
  names?: Provisioning;
  provider?: Provider;
  sample?: EncryptResponse;
}

export function makeFaultStage(): FaultStage {
  const issuer = makeJwtIssuer("RS256");
  const seed = new Uint8Array(randomBytes(32));
  const parts: Parts = {};
  let count = 0;
  let pid = 0;
  const have = <Name extends keyof Parts>(name: Name): NonNullable<Parts[Name]> => {
    const part = parts[name];
    if (part === undefined) {
      throw new Error(`the stage has no ${name} yet`);
    }
    return part;
  };

  const stage: FaultStage = {
    get openbao() {
      return have("openbao");
    },
    get names() {
      return have("names");
    },
    get provider() {
      return have("provider");
    },
    get sample() {
      return have("sample");
    },
    seed,
    open: async (baoBinary) => {
      parts.openbao = await startOpenBao(baoBinary);
    },
    close: async () => parts.openbao?.dispose(),
    provisionNext: async (overrides = {}) => {
      count += 1;
      parts.names = await provision(stage.openbao.operator, issuer.publicKeyPem, {
        mount: `transit-${count}`,
        jwtMount: `jwt-${count}`,
        policyName: `kms-provider-${count}`,
        ...overrides,
      });
    },
    prepare: async (options = {}) => {
      parts.provider = await prepareProvider({
        openbao: stage.openbao,
        names: stage.names,
        issuer,
        ...options,
      });
    },
    startFresh: async () => {
      await stage.provisionNext();
      await stage.prepare();
      await stage.provider.start();
      await stage.takeSample();
    },
    takeSample: async () => {
      parts.sample = await stage.provider.client.encrypt(seed);
      pid = stage.provider.pid();
    },
    keyPath: () => `${stage.names.mount}/keys/${stage.names.keyName}`,
    post: (path, body = {}) => stage.openbao.operator.must("POST", path, body),
    decryptCode: () => codeOf(stage.provider.client.decrypt(stage.sample)),
    encryptCode: () => codeOf(stage.provider.client.encrypt(seed)),
    opensSample: () => opens(stage.provider, stage.sample, seed),
    expectOutage: async () => {
      const healthz = await untilNotOk(stage.provider);
      expect((await stage.provider.client.status()).keyId).toBe(stage.sample.keyId);
      expect((await stage.provider.health("/live")).status).toBe(200);
      expect((await stage.provider.health("/ready")).status).toBe(503);
      return healthz;
    },
    expectRecovery: async () => {
      await untilOk(stage.provider);
      expect(await stage.opensSample()).toBe(true);
      expect(await stage.encryptCode()).toBe("OK");
      expect([stage.provider.pid(), stage.provider.exited()]).toEqual([pid, false]);
      expect((await stage.provider.client.status()).keyId).toBe(stage.sample.keyId);
      await eventually("ready again", async () => (await stage.provider.health("/ready")).status === 200, {
        timeoutMs: 30_000,
      });
    },
  };
  return stage;
}

/** A suite whose every test finds a provider that serves, and its sample. */
export function describeFaults(title: string, body: (stage: FaultStage) => void): void {
  describeReal(title, { needs: ["bao"], long: true }, (binary) => {
    const stage = makeFaultStage();
    beforeAll(() => stage.open(binary("bao")), TEST_TIMEOUT_MS);
    afterAll(() => stage.close());
    beforeEach(() => stage.startFresh(), TEST_TIMEOUT_MS);
    afterEach(() => stage.provider.dispose());
    body(stage);
  });
}
