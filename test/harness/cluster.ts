/**
 * @module OpenBao, the compiled provider, etcd and kube-apiserver together, and objects in them. One control plane as small as
 * it can be. What is done to it: the suites.
 */
import { randomBytes } from "node:crypto";
import { classifyStoredValue } from "../../src/etcd/stored/stored-value.ts";
import { makeJwtIssuer } from "../fakes/openbao/jwt-issuer.ts";
import { provision } from "../fakes/openbao/provision.ts";
import { type RealEtcd, startEtcd } from "./etcd.ts";
import { type KubeApiServer, type KubeApiServerOptions, startKubeApiServer } from "./kube-apiserver.ts";
import { startOpenBao } from "./openbao.ts";
import { untilKeyIdChanges } from "./outage.ts";
import { type ProviderOptions, prepareProvider } from "./provider.ts";

export type ObjectKind = "secrets" | "configmaps";

export interface ClusterBinaries {
  readonly bao: string;
  readonly etcd: string;
  readonly kubeApiServer: string;
}

const PATHS = {
  secrets: {
    api: "/api/v1/namespaces/default/secrets",
    kind: "Secret",
    stored: "/registry/secrets/default/",
  },
  configmaps: {
    api: "/api/v1/namespaces/default/configmaps",
    kind: "ConfigMap",
    stored: "/registry/configmaps/default/",
  },
} as const;

export const STORED_PREFIX = { secrets: PATHS.secrets.stored, configmaps: PATHS.configmaps.stored } as const;

/** Text that no ciphertext holds by chance. */
export function recognisable(): string {
  return `plaintext-${randomBytes(12).toString("hex")}`;
}

export async function startCluster(
  binaries: ClusterBinaries,
  config: NonNullable<ProviderOptions["config"]> = {},
  encryption: Pick<KubeApiServerOptions, "alsoEncrypted" | "olderProviders" | "extraFlags"> = {},
  user: Pick<ProviderOptions, "uid"> = {},
) {
  await using undo = new AsyncDisposableStack();
  const openbao = await startOpenBao(binaries.bao);
  undo.defer(openbao.dispose);
  const issuer = makeJwtIssuer();
  const names = await provision(openbao.operator, issuer.publicKeyPem);
  const provider = await prepareProvider({ openbao, names, issuer, config, ...user });
  undo.defer(provider.dispose);
  await provider.start();
  const etcd = await startEtcd(binaries.etcd);
  undo.defer(etcd.dispose);
  const api = await startKubeApiServer(binaries.kubeApiServer, {
    etcdAddress: etcd.address,
    kmsSocketPath: provider.socketPath,
    kmsName: "openbao",
    ...encryption,
  });
  undo.defer(api.dispose);
  /** Makes a new version of the Transit key, and resolves with its key_id when the provider shows it. */
  const rotate = async (): Promise<string> => {
    const before = (await provider.client.status()).keyId;
    await openbao.operator.must("POST", `${names.mount}/keys/${names.keyName}/rotate`, {});
    return untilKeyIdChanges(provider, before);
  };
  const made = undo.move();
  return {
    openbao,
    names,
    provider,
    etcd,
    api,
    rotate,
    ...objects(api, etcd),
    dispose: () => made.disposeAsync(),
  };
}

export type Cluster = Awaited<ReturnType<typeof startCluster>>;

function objects(api: KubeApiServer, etcd: RealEtcd) {
  return {
    /** Creates or replaces an object whose content is `text`. @throws when the API server refuses. */
    write: async (kind: ObjectKind, name: string, text: string) => {
      const { api: path, kind: kindName } = PATHS[kind];
      const body = {
        apiVersion: "v1",
        kind: kindName,
        metadata: { name },
        ...(kind === "secrets" ? { stringData: { text } } : { data: { text } }),
      };
      const created = await api.request("POST", path, body);
      const reply = created.status === 409 ? await api.request("PUT", `${path}/${name}`, body) : created;
      if (reply.status >= 300) {
        throw new Error(`${kindName} ${name} was not written: ${reply.status} ${reply.text.slice(0, 500)}`);
      }
    },
    /** The content of an object. @throws when it cannot be read. */
    read: async (kind: ObjectKind, name: string) => {
      const { api: path, kind: kindName } = PATHS[kind];
      const { status, text } = await api.request("GET", `${path}/${name}`);
      const value = /"text":\s*"([^"]*)"/.exec(text)?.[1];
      if (status !== 200 || value === undefined) {
        throw new Error(`${kindName} ${name} was not read: ${status} ${text.slice(0, 500)}`);
      }
      return kind === "secrets" ? Buffer.from(value, "base64").toString() : value;
    },
    /** How many stored objects of a kind are encrypted under which key_id; what is not ours counts under its kind. */
    keyIds: async (kind: ObjectKind): Promise<ReadonlyMap<string, number>> => {
      const counts = new Map<string, number>();
      for (const { value } of await etcd.list(PATHS[kind].stored)) {
        const stored = classifyStoredValue(value);
        const key = stored.kind === "ours" ? stored.keyId : stored.kind;
        counts.set(key, (counts.get(key) ?? 0) + 1);
      }
      return counts;
    },
  };
}

/** Runs `work` for every item, `width` at a time. */
export async function inParallel<T>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = [...items];
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
        await work(item);
      }
    }),
  );
}
