/**
 * @module The cold start of a real kube-apiserver over stored Secrets, with our provider (JIT off), with `identity` and with a
 * native plugin in turns: `bun scripts/bench/cold-start.ts [--secrets N] [--seeds N] [--rounds N] [--native-plugin FILE]`.
 */
import { parseArgs } from "node:util";
import { makeJwtIssuer } from "../../test/fakes/openbao/jwt-issuer.ts";
import { provision } from "../../test/fakes/openbao/provision.ts";
import { inParallel } from "../../test/harness/cluster.ts";
import { startEtcd } from "../../test/harness/etcd.ts";
import {
  encryptionConfiguration,
  type KubeApiServer,
  type KubeApiServerOptions,
  startKubeApiServer,
} from "../../test/harness/kube-apiserver.ts";
import { startOpenBao } from "../../test/harness/openbao.ts";
import { prepareProvider } from "../../test/harness/provider.ts";
import { needBinary } from "../../test/harness/real-suite.ts";
import { directTargetOf } from "./direct-target.ts";
import { type Figure, figure, figureLine } from "./figure.ts";
import { answered, firstMinuteAfterRotation } from "./rotation-minute.ts";
import { startVaultKubernetesKms } from "./rounds.ts";
import { unitEnvironment } from "./unit-environment.ts";

const { values: flags } = parseArgs({
  options: {
    secrets: { type: "string", default: "10000" },
    seeds: { type: "string", default: "20" },
    rounds: { type: "string", default: "5" },
    "native-plugin": { type: "string" },
  },
});
const SECRETS = positive(flags.secrets);
const SEEDS = positive(flags.seeds);
const ROUNDS = positive(flags.rounds);
/** As many as a control plane has. */
const SERVERS = 3;
/** How much of identity's time may be lost to anything but the Decrypts. */
const TOLERANCE = 1.03;
/** Polling kube-apiserver more often would slow what is timed. */
const POLL_MS = 20;
const WRITERS = 16;

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) {
    console.error(`cold-start: ${text} is not a whole number above 0`);
    process.exit(2);
  }
  return value;
}

interface Contender {
  readonly name: string;
  readonly servers: readonly KubeApiServer[];
  readonly readyMs: number[];
  readonly listMs: number[];
  readonly togetherMs: number[];
}

/** Writes the Secrets, with one restart for each seed: kube-apiserver makes a new seed at each start. */
async function fill(server: KubeApiServer): Promise<void> {
  for (let seed = 0; seed < SEEDS; seed += 1) {
    const names = Array.from({ length: Math.ceil(SECRETS / SEEDS) }, (_, index) => `s-${seed}-${index}`);
    await inParallel(names, WRITERS, async (name) => {
      const { status, text } = await server.request("POST", "/api/v1/namespaces/default/secrets", {
        apiVersion: "v1",
        kind: "Secret",
        metadata: { name },
        stringData: { password: `value of ${name}` },
      });
      if (status !== 201) {
        throw new Error(`Secret ${name} was not written: ${status} ${text.slice(0, 300)}`);
      }
    });
    await server.kill();
    await server.start();
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

async function round({ servers, readyMs, listMs, togetherMs }: Contender): Promise<void> {
  const [first] = servers;
  await Promise.all(servers.map((each) => each.kill()));
  if (first !== undefined) {
    readyMs.push(await timed(() => first.start(POLL_MS)));
    listMs.push(
      await timed(() => first.request("GET", "/api/v1/secrets", undefined, { timeoutMs: 120_000 })),
    );
    await first.kill();
  }
  togetherMs.push(await timed(() => Promise.all(servers.map((each) => each.start(POLL_MS)))));
}

async function main(): Promise<void> {
  const [bao, etcdBinary, apiServer] = [needBinary("bao"), needBinary("etcd"), needBinary("kube-apiserver")];
  await using undo = new AsyncDisposableStack();
  const openbao = await startOpenBao(bao);
  undo.defer(openbao.dispose);
  const issuer = makeJwtIssuer();
  const names = await provision(openbao.operator, issuer.publicKeyPem);
  const provider = await prepareProvider({ openbao, names, issuer, env: unitEnvironment("off") });
  undo.defer(provider.dispose);
  await provider.start();
  const contender = async (name: string, how: Partial<KubeApiServerOptions> = {}): Promise<Contender> => {
    const etcd = await startEtcd(etcdBinary);
    undo.defer(etcd.dispose);
    const servers: KubeApiServer[] = [];
    for (let index = 0; index < SERVERS; index += 1) {
      const server = await startKubeApiServer(apiServer, {
        etcdAddress: etcd.address,
        kmsSocketPath: provider.socketPath,
        kmsName: "openbao",
        ...how,
      });
      undo.defer(server.dispose);
      servers.push(server);
      await (index === 0 ? fill(server) : server.kill());
    }
    console.log(`${name}: ${SECRETS} Secrets under ${SEEDS} seeds`);
    return { name, servers, readyMs: [], listMs: [], togetherMs: [] };
  };
  const ours = await contender("ours");
  const identity = await contender("identity", {
    encryptionConfig: encryptionConfiguration(["secrets", "configmaps"], [{ identity: {} }]),
  });
  const plugin = flags["native-plugin"];
  const others: Contender[] = [];
  if (plugin !== undefined) {
    const native = await startVaultKubernetesKms(plugin, provider, await directTargetOf(openbao, names));
    undo.defer(native.stop);
    others.push(await contender("native plugin", { kmsSocketPath: native.socketPath }));
  }
  const before = await answered(provider, "decrypt");
  for (let index = 0; index < ROUNDS; index += 1) {
    for (const each of [ours, identity, ...others]) {
      await round(each);
    }
  }
  const after = await answered(provider, "decrypt");
  const starts = ROUNDS * (1 + SERVERS);
  conclude(
    [ours, identity, ...others],
    (after.count - before.count) / starts,
    (after.seconds - before.seconds) / starts,
  );
  const [server] = ours.servers;
  if (server !== undefined) {
    const rotate = (): Promise<unknown> =>
      openbao.operator.must("POST", `${names.mount}/keys/${names.keyName}/rotate`);
    (await firstMinuteAfterRotation(server, provider, rotate)).forEach((each) =>
      console.log(figureLine(each)),
    );
  }
}

function conclude(
  contenders: readonly [ours: Contender, identity: Contender, ...others: Contender[]],
  perStart: number,
  decryptSeconds: number,
): void {
  const [ours, identity] = contenders;
  const figures: readonly Figure[] = contenders.flatMap(({ name, readyMs, listMs, togetherMs }) => [
    figure(`${name}: start to serving`, "ms", readyMs),
    figure(`${name}: full list`, "ms", listMs),
    figure(`${name}: ${SERVERS} servers at once`, "ms", togetherMs),
  ]);
  figures.forEach((each) => console.log(figureLine(each)));
  console.log(
    `${perStart.toFixed(1)} Decrypts a start, ${(decryptSeconds * 1000).toFixed(1)} ms of the provider's time`,
  );
  const ratio = figure(
    "start and list, less the Decrypts / identity",
    "",
    ours.readyMs.map((ready, index) => {
      const ourMs = ready + (ours.listMs[index] ?? 0) - decryptSeconds * 1000;
      return ourMs / ((identity.readyMs[index] ?? 0) + (identity.listMs[index] ?? 0));
    }),
    { atMost: TOLERANCE },
  );
  console.log(figureLine(ratio));
  process.exitCode = ratio.met === false ? 1 : 0;
}

await main();
