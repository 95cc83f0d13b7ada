/**
 * A real etcd.
 *
 * @module One member on loopback, with and without TLS, without fsync, in a temporary directory. Reads go over its JSON gateway.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as v from "valibot";
import { makeTestCa } from "../fakes/tls/test-ca.ts";
import { startChild } from "./child.ts";
import { eventually } from "./eventually.ts";
import { freePorts } from "./free-port.ts";

export interface StoredObject {
  readonly key: string;
  readonly value: Buffer;
}

export interface RealEtcd {
  readonly address: string;
  /** The same member with mutual TLS, as kubeadm sets it up: the key is root's, mode 0600. */
  readonly tls: {
    readonly address: string;
    readonly ca: string;
    readonly cert: string;
    readonly key: string;
  };
  readonly dataDir: string;
  /** Everything under a prefix, keys ascending. */
  readonly list: (prefix: string) => Promise<readonly StoredObject[]>;
  readonly get: (key: string) => Promise<Buffer | undefined>;
  readonly dispose: () => Promise<void>;
}

const rangeReply = v.object({
  kvs: v.optional(v.array(v.object({ key: v.string(), value: v.optional(v.string(), "") })), []),
});

const START_TIMEOUT_MS = 30_000;

export async function startEtcd(binary: string): Promise<RealEtcd> {
  const dir = mkdtempSync(join(tmpdir(), "etcd-"));
  const [clientPort = 0, peerPort = 0, tlsPort = 0] = await freePorts(3);
  const tls = await writeCertificates(dir, tlsPort);
  const address = `http://127.0.0.1:${clientPort}`;
  const peer = `http://127.0.0.1:${peerPort}`;
  const child = startChild(
    binary,
    [
      "--name=default",
      `--data-dir=${join(dir, "data")}`,
      `--listen-client-urls=${address},${tls.address}`,
      `--trusted-ca-file=${tls.ca}`,
      `--cert-file=${join(dir, "server.crt")}`,
      `--key-file=${join(dir, "server.key")}`,
      "--client-cert-auth",
      `--advertise-client-urls=${address}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=default=${peer}`,
      "--unsafe-no-fsync",
      "--log-level=warn",
    ],
    { cwd: dir },
  );
  const dispose = async (): Promise<void> => {
    await child.kill();
    rmSync(dir, { recursive: true, force: true });
  };
  const range = async (body: Readonly<Record<string, string>>): Promise<readonly StoredObject[]> => {
    const response = await fetch(`${address}/v3/kv/range`, {
      method: "POST",
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(10_000),
    });
    return v.parse(rangeReply, await response.json()).kvs.map(({ key, value }) => ({
      key: Buffer.from(key, "base64").toString(),
      value: Buffer.from(value, "base64"),
    }));
  };
  const encoded = (text: string): string => Buffer.from(text).toString("base64");
  try {
    await eventually("etcd answers", async () => (await fetch(`${address}/health`)).ok, {
      timeoutMs: START_TIMEOUT_MS,
      giveUp: () => (child.exited() ? `it has exited: ${child.output()}` : undefined),
    });
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    address,
    tls,
    dataDir: join(dir, "data"),
    list: (prefix) => range({ key: encoded(prefix), range_end: encoded(endOfPrefix(prefix)) }),
    get: async (key) => (await range({ key: encoded(key) }))[0]?.value,
    dispose,
  };
}

async function writeCertificates(dir: string, port: number): Promise<RealEtcd["tls"]> {
  const path = (name: string): string => join(dir, name);
  const ca = await makeTestCa({ commonName: "etcd test CA" });
  const server = await ca.server({ extendedKeyUsages: ["serverAuth", "clientAuth"] });
  const client = await ca.client({ commonName: "healthcheck-client" });
  writeFileSync(path("ca.crt"), ca.certPem);
  writeFileSync(path("server.crt"), server.chainPem);
  writeFileSync(path("server.key"), server.keyPem, { mode: 0o600 });
  writeFileSync(path("client.crt"), client.chainPem);
  writeFileSync(path("client.key"), client.keyPem, { mode: 0o600 });
  return {
    address: `https://127.0.0.1:${port}`,
    ca: path("ca.crt"),
    cert: path("client.crt"),
    key: path("client.key"),
  };
}

/** The first key behind all that begin with an ASCII prefix. */
function endOfPrefix(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}
