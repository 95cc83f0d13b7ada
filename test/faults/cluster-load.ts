/**
 * The steady load at kube-apiserver: Secrets are written and read, and all of them are read in the end.
 *
 * @module etcd and kube-apiserver over the provider's socket. Objects are Secrets of the default namespace.
 */
import { recognisable } from "../harness/cluster.ts";
import { startEtcd } from "../harness/etcd.ts";
import { startKubeApiServer } from "../harness/kube-apiserver.ts";

const PATH = "/api/v1/namespaces/default/secrets";
const OBJECTS = 100;
const PAUSE_MS = 250;

export async function startClusterLoad(
  binaries: { readonly etcd: string; readonly kubeApiServer: string },
  kmsSocketPath: string,
) {
  const etcd = await startEtcd(binaries.etcd);
  const api = await startKubeApiServer(binaries.kubeApiServer, {
    etcdAddress: etcd.address,
    kmsSocketPath,
    kmsName: "openbao",
  });
  /** What may be stored: the last acknowledged text, and those of later writes without an answer. */
  const objects = new Map<string, readonly string[]>();
  const stopped = new AbortController();
  let seen = { written: 0, refusedWrites: 0, read: 0, refusedReads: 0 };
  let paused = false;

  const write = async (name: string): Promise<void> => {
    const text = recognisable();
    const body = { apiVersion: "v1", kind: "Secret", metadata: { name }, stringData: { text } };
    const before = objects.get(name) ?? [];
    objects.set(name, [...before, text]);
    const reply = await (before.length === 0
      ? api.request("POST", PATH, body)
      : api
          .request("PUT", `${PATH}/${name}`, body)
          .then((first) => (first.status === 404 ? api.request("POST", PATH, body) : first)));
    if (reply.status < 300) {
      objects.set(name, [text]);
      seen.written += 1;
    } else {
      seen.refusedWrites += 1;
    }
  };
  const read = async (name: string): Promise<string | undefined> => {
    const { status, text } = await api.request("GET", `${PATH}/${name}`);
    const value = /"text":\s*"([^"]*)"/.exec(text)?.[1];
    return status === 200 && value !== undefined ? Buffer.from(value, "base64").toString() : undefined;
  };
  const loop = (async () => {
    for (let index = 0; !stopped.signal.aborted; index += 1) {
      await Bun.sleep(PAUSE_MS);
      if (paused) {
        continue;
      }
      const name = `load-${index % OBJECTS}`;
      await write(name).catch(() => {
        seen.refusedWrites += 1;
      });
      const other = `load-${(index * 7) % Math.max(1, objects.size)}`;
      const found = await read(other).catch(() => undefined);
      seen[found === undefined ? "refusedReads" : "read"] += 1;
    }
  })();
  return {
    /** What kube-apiserver did since the last call. */
    take: () => {
      const taken = seen;
      seen = { written: 0, refusedWrites: 0, read: 0, refusedReads: 0 };
      return taken;
    },
    count: () => objects.size,
    /** Which objects do not read as they were last written. */
    verify: async (): Promise<readonly string[]> => {
      paused = true;
      await Bun.sleep(2 * PAUSE_MS);
      const problems: string[] = [];
      for (const [name, texts] of objects) {
        const found = await read(name).catch(() => undefined);
        const isUncertain = texts.length > 1;
        if (found === undefined ? !isUncertain : !texts.includes(found)) {
          problems.push(`Secret ${name} ${found === undefined ? "cannot be read" : "has another content"}`);
        }
      }
      paused = false;
      return problems;
    },
    /** kube-apiserver is ended and started over the same etcd: all it knows is what is stored. */
    coldStart: async () => {
      paused = true;
      await api.restart();
      paused = false;
    },
    dispose: async () => {
      stopped.abort();
      await loop;
      await api.dispose();
      await etcd.dispose();
    },
  };
}
