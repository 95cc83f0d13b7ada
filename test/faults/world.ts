/**
 * What the faults are done to: one real OpenBao, the compiled provider on a wire to it, and a steady load; etcd and
 * kube-apiserver when their binaries are given.
 *
 * @module Built once for all rows; each row leaves it well again. The registry lies on a small file system of its own, where
 * that is possible.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { makeJwtIssuer } from "../fakes/openbao/jwt-issuer.ts";
import { provision } from "../fakes/openbao/provision.ts";
import type { JsonObject } from "../fakes/openbao/reply.ts";
import { type RealOpenBao, startOpenBao } from "../harness/openbao.ts";
import { type Provider, prepareProvider } from "../harness/provider.ts";
import { openWire } from "../harness/wire.ts";
import { startClusterLoad } from "./cluster-load.ts";
import { openForgedAnswers } from "./forged-answers.ts";
import { startLoad } from "./load.ts";
import { openNameServer } from "./name-server.ts";
import { prepareOwnMachine } from "./own-machine.ts";

export type World = Awaited<ReturnType<typeof makeWorld>>;

/** Nothing is timed before the fault: on a busy machine a first Status takes tens of seconds. */
const SET_UP_MS = 60_000;
/** A younger token is not given up for a 403, because a standby may not know it yet. */
const YOUNG_TOKEN_MS = 10_500;
/** Of this process alone: port 53 can be had once for each address. */
const NAME_SERVER_HOST = `127.77.${(process.pid >> 8) % 256}.${process.pid % 256}`;
const STATE_BYTES = "256k";
const isRoot = process.getuid?.() === 0;

const CONFIG = {
  openbao: { timeout: "1s" },
  auth: { loginBeforeTokenExpiry: "2s", tokenRenewalIncrement: "20m" },
  // Not the 2 s of the other suites: a busy machine is no fault.
  status: { statusMaxStaleness: "4s" },
};

export async function makeWorld(binaries: {
  readonly bao: string;
  readonly cluster?: Parameters<typeof startClusterLoad>[0];
}) {
  await using undo = new AsyncDisposableStack();
  const openbao = await startOpenBao(binaries.bao);
  undo.defer(openbao.dispose);
  const issuer = makeJwtIssuer();
  const names = await provision(openbao.operator, issuer.publicKeyPem);
  const wire = await openWire(Number(new URL(openbao.address).port));
  undo.defer(wire.close);
  const forged = await openForgedAnswers(openbao);
  undo.defer(forged.close);
  const address = { address: `https://127.0.0.1:${wire.port}`, caPem: openbao.caPem };
  const provider = await prepareProvider({ openbao: address, names, issuer, config: CONFIG });
  undo.defer(provider.dispose);
  const statePath = prepareState(provider, undo);
  const nameServer = isRoot ? await openNameServer(NAME_SERVER_HOST) : undefined;
  undo.defer(() => nameServer?.close());
  const machine = isRoot ? prepareOwnMachine(provider.dir, NAME_SERVER_HOST) : undefined;
  await provider.start();
  const load = startLoad(provider.client);
  undo.defer(load.stop);
  // As every key that has lived for a while; a key that is made anew in its place has only a first version.
  const first = await load.moved("", SET_UP_MS);
  const keyPath = `${names.mount}/keys/${names.keyName}`;
  const post = (path: string, body: JsonObject = {}): Promise<JsonObject> =>
    openbao.operator.must("POST", path, body);
  await post(`${keyPath}/rotate`);
  await load.moved(first, SET_UP_MS);
  const cluster =
    binaries.cluster === undefined
      ? undefined
      : await startClusterLoad(binaries.cluster, provider.socketPath);
  undo.defer(async () => cluster?.dispose());

  const made = undo.move();
  const openbaoDir = (): string => readlinkSync(`/proc/${openbao.pid()}/cwd`);
  return {
    openbao,
    names,
    issuer,
    wire,
    forged,
    provider,
    load,
    cluster,
    statePath,
    post,
    /** Of the Transit key, without `/v1/`. */
    keyPath,
    /** Rotates the Transit key; what it returns waits until Status shows the new key_id, and resolves with it. */
    rotate: async () => {
      const before = load.keyId();
      await post(`${keyPath}/rotate`);
      return () => load.moved(before);
    },
    openbaoDir,
    /** Copies OpenBao's data; what it returns puts the copy back, with OpenBao killed and started. */
    backUp: () => backUp(openbao, openbaoDir()),
    /** Makes the provider log in again: its token is revoked, once it is old enough to be given up for that. */
    revokeToken: async () => {
      const login = provider.log().findLast(({ message }) => message === "auth.login");
      const loggedAt = login?.["ts"];
      const ageMs = typeof loggedAt === "string" ? Date.now() - Date.parse(loggedAt) : 0;
      await Bun.sleep(Math.max(0, YOUNG_TOKEN_MS - ageMs));
      await post(`sys/leases/revoke-prefix/auth/${names.jwtMount}`);
    },
    nameServer,
    machine,
    /** How the provider is started on a machine of its own. */
    ownMachine:
      machine === undefined
        ? undefined
        : { prefix: machine.prefix, configPath: namedConfig(provider, wire.port) },
    dispose: async () => made.disposeAsync(),
  };
}

/** The registry gets a directory of its own, for root on a file system that can be filled and made read-only. */
function prepareState(provider: Provider, undo: AsyncDisposableStack): string {
  const top = dirname(provider.statePath);
  if (isRoot) {
    run("mount", "-t", "tmpfs", "-o", `size=${STATE_BYTES},mode=750`, "tmpfs", top);
    undo.defer(async () => run("umount", "--lazy", top));
  }
  mkdirSync(join(top, "node"), { mode: 0o750 });
  const statePath = join(top, "node", "key-registry.json");
  const config = readFileSync(provider.configPath, "utf8");
  writeFileSync(provider.configPath, config.replace(provider.statePath, statePath), { mode: 0o640 });
  return statePath;
}

/** The same configuration with a name that only the name server of the own machine knows. */
function namedConfig(provider: Provider, port: number): string {
  const path = join(provider.dir, "own-machine.yaml");
  const config = readFileSync(provider.configPath, "utf8");
  writeFileSync(path, config.replace(`https://127.0.0.1:${port}`, `https://openbao.test:${port}`), {
    mode: 0o640,
  });
  return path;
}

function backUp(openbao: RealOpenBao, dir: string): () => Promise<void> {
  const data = join(dir, "data-0");
  const copy = join(dir, `copy-${Date.now()}`);
  cpSync(data, copy, { recursive: true });
  return async () => {
    await openbao.kill();
    rmSync(data, { recursive: true, force: true });
    cpSync(copy, data, { recursive: true });
    rmSync(copy, { recursive: true, force: true });
    await openbao.start();
  };
}

export function run(command: string, ...args: readonly string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0) {
    throw new Error(`${command} ${args.join(" ")}: ${stderr}`);
  }
}
