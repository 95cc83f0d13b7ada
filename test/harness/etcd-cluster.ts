/**
 * A real etcd cluster with mutual TLS.
 *
 * @module Members on loopback in one temporary directory, a client certificate, and the writes, compactions and snapshots
 * that the audit's suites need. Writes go over etcd's JSON gateway.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeTestCa } from "../fakes/tls/test-ca.ts";
import { type Child, startChild } from "./child.ts";
import { eventually } from "./eventually.ts";
import { freePorts } from "./free-port.ts";

export interface EtcdCluster {
  readonly endpoints: readonly string[];
  readonly dir: string;
  /** The files that --etcd-ca, --etcd-cert and --etcd-key name. */
  readonly tls: { readonly ca: string; readonly cert: string; readonly key: string };
  readonly dataDir: (member: number) => string;
  readonly put: (objects: readonly (readonly [key: string, value: Uint8Array])[]) => Promise<void>;
  readonly remove: (key: string) => Promise<void>;
  /** Compacts everything below the newest revision. */
  readonly compact: () => Promise<void>;
  readonly kill: (member: number) => Promise<void>;
  /** Saves a snapshot with etcdctl and returns its path. */
  readonly snapshot: (name: string) => string;
  readonly dispose: () => Promise<void>;
}

export interface EtcdClusterBinaries {
  readonly etcd: string;
  readonly etcdctl: string;
}

const START_TIMEOUT_MS = 30_000;
const PER_TRANSACTION = 500;

export async function startEtcdCluster(binaries: EtcdClusterBinaries, members = 1): Promise<EtcdCluster> {
  const dir = mkdtempSync(join(tmpdir(), "etcd-cluster-"));
  const path = (name: string): string => join(dir, name);
  const ca = await makeTestCa({ commonName: "etcd test CA" });
  // etcd's JSON gateway calls etcd itself with the server's certificate.
  const server = await ca.server({ extendedKeyUsages: ["serverAuth", "clientAuth"] });
  const client = await ca.client({ commonName: "audit" });
  writeFileSync(path("ca.crt"), ca.certPem);
  writeFileSync(path("server.crt"), server.chainPem);
  writeFileSync(path("server.key"), server.keyPem, { mode: 0o600 });
  writeFileSync(path("client.crt"), client.chainPem);
  writeFileSync(path("client.key"), client.keyPem, { mode: 0o600 });
  const ports = await freePorts(members * 2);
  const endpoints = ports.slice(0, members).map((port) => `https://127.0.0.1:${port}`);
  const peers = ports.slice(members).map((port) => `http://127.0.0.1:${port}`);
  const children: Child[] = endpoints.map((endpoint, member) => {
    mkdirSync(path(`m${member}`));
    return startChild(
      binaries.etcd,
      [
        `--name=m${member}`,
        `--data-dir=${path(`m${member}/data`)}`,
        `--listen-client-urls=${endpoint}`,
        `--advertise-client-urls=${endpoint}`,
        `--listen-peer-urls=${peers[member]}`,
        `--initial-advertise-peer-urls=${peers[member]}`,
        `--initial-cluster=${peers.map((peer, each) => `m${each}=${peer}`).join(",")}`,
        `--trusted-ca-file=${path("ca.crt")}`,
        `--cert-file=${path("server.crt")}`,
        `--key-file=${path("server.key")}`,
        "--client-cert-auth",
        "--unsafe-no-fsync",
        "--log-level=error",
        `--max-txn-ops=${PER_TRANSACTION}`,
        "--max-request-bytes=10485760",
      ],
      { cwd: dir },
    );
  });
  const post = async (target: string, body: unknown): Promise<unknown> => {
    const living = endpoints.find((_, member) => children[member]?.exited() === false);
    const response = await fetch(`${living}/v3/${target}`, {
      method: "POST",
      body: JSON.stringify(body),
      tls: { ca: ca.certPem, cert: client.chainPem, key: client.keyPem, rejectUnauthorized: true },
      signal: AbortSignal.timeout(20_000),
    });
    const text = await response.text();
    if (!response.ok) {
      throw new Error(`etcd ${target}: ${response.status} ${text}`);
    }
    return JSON.parse(text);
  };
  const base64 = (bytes: string | Uint8Array): string => Buffer.from(bytes).toString("base64");
  const dispose = async (): Promise<void> => {
    await Promise.all(children.map((child) => child.kill()));
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    await eventually("etcd answers", () => post("kv/range", { key: base64("x") }).then(() => true), {
      timeoutMs: START_TIMEOUT_MS,
    });
  } catch (error) {
    const output = children.map((child) => child.output()).join("");
    await dispose();
    throw new Error(`etcd did not start: ${output}`, { cause: error });
  }
  return {
    endpoints,
    dir,
    tls: { ca: path("ca.crt"), cert: path("client.crt"), key: path("client.key") },
    dataDir: (member) => path(`m${member}/data`),
    put: async (objects) => {
      for (let first = 0; first < objects.length; first += PER_TRANSACTION) {
        const part = objects.slice(first, first + PER_TRANSACTION);
        await post("kv/txn", {
          success: part.map(([key, value]) => ({ requestPut: { key: base64(key), value: base64(value) } })),
        });
      }
    },
    remove: async (key) => {
      await post("kv/deleterange", { key: base64(key) });
    },
    compact: async () => {
      const reply = await post("kv/range", { key: base64("x") });
      const revision = /"revision":"(\d+)"/.exec(JSON.stringify(reply))?.[1];
      await post("kv/compaction", { revision, physical: true });
    },
    kill: async (member) => {
      await children[member]?.kill();
    },
    snapshot: (name) => {
      const file = path(name);
      const { status, stderr } = spawnSync(
        binaries.etcdctl,
        [
          `--endpoints=${endpoints[0]}`,
          `--cacert=${path("ca.crt")}`,
          `--cert=${path("client.crt")}`,
          `--key=${path("client.key")}`,
          "snapshot",
          "save",
          file,
        ],
        { encoding: "utf8" },
      );
      if (status !== 0) {
        throw new Error(`etcdctl snapshot save: ${stderr}`);
      }
      return file;
    },
    dispose,
  };
}
