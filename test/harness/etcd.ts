/**
 * @module A real etcd. Members on loopback, each with and without mutual TLS, without fsync, in one temporary directory. Calls
 * go over the JSON gateway.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as v from "valibot";
import { makeTestCa } from "../fakes/tls/test-ca.ts";
import { type Child, startChild } from "./child.ts";
import { eventually } from "./eventually.ts";
import { freePorts } from "./free-port.ts";

interface StoredObject {
  readonly key: string;
  readonly value: Buffer;
}

const rangeReply = v.object({
  header: v.object({ revision: v.string() }),
  kvs: v.optional(v.array(v.object({ key: v.string(), value: v.optional(v.string(), "") })), []),
});

const START_TIMEOUT_MS = 30_000;
const PER_TRANSACTION = 500;

export async function startEtcd(binary: string, members = 1) {
  const dir = mkdtempSync(join(tmpdir(), "etcd-"));
  const path = (name: string): string => join(dir, name);
  const ports = await freePorts(members * 3);
  const urls = (scheme: string, first: number): readonly string[] =>
    ports.slice(first * members, (first + 1) * members).map((port) => `${scheme}://127.0.0.1:${port}`);
  const [addresses, peers, endpoints] = [urls("http", 0), urls("http", 1), urls("https", 2)];
  await writeCertificates(path);
  const children: readonly Child[] = addresses.map((address, member) =>
    startChild(
      binary,
      [
        `--name=m${member}`,
        `--data-dir=${path(`m${member}`)}`,
        `--listen-client-urls=${address},${endpoints[member]}`,
        `--advertise-client-urls=${address}`,
        `--listen-peer-urls=${peers[member]}`,
        `--initial-advertise-peer-urls=${peers[member]}`,
        `--initial-cluster=${peers.map((peer, each) => `m${each}=${peer}`).join(",")}`,
        `--trusted-ca-file=${path("ca.crt")}`,
        `--cert-file=${path("server.crt")}`,
        `--key-file=${path("server.key")}`,
        "--client-cert-auth",
        "--unsafe-no-fsync",
        "--log-level=warn",
        `--max-txn-ops=${PER_TRANSACTION}`,
        "--max-request-bytes=10485760",
      ],
      { cwd: dir },
    ),
  );
  const post = async (target: string, body: unknown): Promise<unknown> => {
    const living = addresses.find((_, member) => children[member]?.exited() === false);
    const response = await fetch(`${living}/v3/kv/${target}`, {
      method: "POST",
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(20_000),
    });
    const text = await response.text();
    if (!response.ok) {
      throw new Error(`etcd ${target}: ${response.status} ${text}`);
    }
    return JSON.parse(text);
  };
  const range = async (body: object) => v.parse(rangeReply, await post("range", body));
  const objects = async (body: object): Promise<readonly StoredObject[]> =>
    (await range(body)).kvs.map(({ key, value }) => ({
      key: Buffer.from(key, "base64").toString(),
      value: Buffer.from(value, "base64"),
    }));
  const dispose = async (): Promise<void> => {
    await Promise.all(children.map((child) => child.kill()));
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    await eventually("etcd answers", () => range({ key: base64("x") }), {
      timeoutMs: START_TIMEOUT_MS,
      giveUp: () => {
        const ended = children.find((child) => child.exited());
        return ended === undefined ? undefined : `it has exited: ${ended.output()}`;
      },
    });
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    /** Of the first member, without TLS. */
    address: addresses[0] ?? "",
    /** Every member with mutual TLS, as kubeadm sets it up: the key is root's, mode 0600. */
    endpoints,
    /** The files that --etcd-ca, --etcd-cert and --etcd-key name. */
    tls: { ca: path("ca.crt"), cert: path("client.crt"), key: path("client.key") },
    dir,
    dataDir: (member: number) => path(`m${member}`),
    /** Everything under a prefix, keys ascending. */
    list: (prefix: string) => objects({ key: base64(prefix), range_end: base64(endOfPrefix(prefix)) }),
    get: async (key: string) => (await objects({ key: base64(key) }))[0]?.value,
    put: async (entries: readonly (readonly [key: string, value: Uint8Array])[]) => {
      for (let first = 0; first < entries.length; first += PER_TRANSACTION) {
        const part = entries.slice(first, first + PER_TRANSACTION);
        await post("txn", {
          success: part.map(([key, value]) => ({ requestPut: { key: base64(key), value: base64(value) } })),
        });
      }
    },
    remove: async (key: string) => {
      await post("deleterange", { key: base64(key) });
    },
    /** Compacts everything below the newest revision. */
    compact: async () => {
      const { revision } = (await range({ key: base64("x") })).header;
      await post("compaction", { revision, physical: true });
    },
    kill: async (member: number) => children[member]?.kill(),
    /** Saves a snapshot with etcdctl and returns its path. */
    snapshot: (etcdctl: string, name: string) => {
      const words = [`--endpoints=${addresses[0]}`, "snapshot", "save", path(name)];
      const { status, stderr } = spawnSync(etcdctl, words, { encoding: "utf8" });
      if (status !== 0) {
        throw new Error(`etcdctl snapshot save: ${stderr}`);
      }
      return path(name);
    },
    dispose,
  };
}

export type RealEtcd = Awaited<ReturnType<typeof startEtcd>>;

async function writeCertificates(path: (name: string) => string): Promise<void> {
  const ca = await makeTestCa({ commonName: "etcd test CA" });
  // etcd's JSON gateway calls etcd itself with the server's certificate.
  const server = await ca.server({ extendedKeyUsages: ["serverAuth", "clientAuth"] });
  const client = await ca.client({ commonName: "healthcheck-client" });
  writeFileSync(path("ca.crt"), ca.certPem);
  writeFileSync(path("server.crt"), server.chainPem);
  writeFileSync(path("server.key"), server.keyPem, { mode: 0o600 });
  writeFileSync(path("client.crt"), client.chainPem);
  writeFileSync(path("client.key"), client.keyPem, { mode: 0o600 });
}

function base64(bytes: string | Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

/** The first key behind all that begin with an ASCII prefix. */
function endOfPrefix(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}
