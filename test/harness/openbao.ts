/**
 * @module A real OpenBao in server mode: one node, or three that are one raft cluster. TLS, integrated storage and a file
 * audit device in one temporary directory. test/fakes/openbao/provision.ts sets it up for a provider.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { objectAt, textAt } from "../fakes/openbao/json-at.ts";
import { type Operator, operator } from "../fakes/openbao/operator.ts";
import { isJsonObject, type Json } from "../fakes/openbao/reply.ts";
import { type Leaf, makeTestCa, type TestCa } from "../fakes/tls/test-ca.ts";
import { type Child, startChild } from "./child.ts";
import { eventually } from "./eventually.ts";
import { freePorts } from "./free-port.ts";

export interface OpenBaoNode {
  readonly address: string;
  /** With the root token. */
  readonly operator: Operator;
  readonly pid: () => number;
  readonly pause: () => void;
  readonly resume: () => void;
  readonly seal: () => Promise<void>;
  readonly unseal: () => Promise<void>;
  /** SIGKILL; the data stays for `start`. */
  readonly kill: () => Promise<void>;
  /** SIGTERM; the data stays. */
  readonly stop: () => Promise<void>;
  /** Starts again on the same port over the same data, and unseals unless told not to. */
  readonly start: (options?: { readonly unseal?: boolean }) => Promise<void>;
}

interface Nodes {
  readonly caPem: string;
  /** A file with `caPem`. */
  readonly caFile: string;
  readonly ca: TestCa;
  readonly rootToken: string;
  readonly auditLog: () => string;
  /** Puts another server certificate in place and has it loaded by SIGHUP. */
  readonly replaceCertificate: (leaf: Leaf) => Promise<void>;
  /** Ends the processes and removes everything. */
  readonly dispose: () => Promise<void>;
}

const RAFT_NODES = 3;
const TIMEOUT_MS = 60_000;

export async function startOpenBao(binary: string) {
  const { nodes, ...rest } = await startNodes(binary, 1);
  const [node] = nodes;
  if (node === undefined) {
    throw new Error("OpenBao has no node");
  }
  const environment = {
    PATH: `${dirname(binary)}:/usr/bin:/bin`,
    HOME: dirname(rest.caFile),
    BAO_ADDR: node.address,
    BAO_CACERT: rest.caFile,
    BAO_TOKEN: rest.rootToken,
  };
  return {
    ...node,
    ...rest /** What the `bao` command needs for root's token; PATH has it and the system's own commands. */,
    environment,
  };
}

export type RealOpenBao = Awaited<ReturnType<typeof startOpenBao>>;

export async function startRaftCluster(binary: string) {
  const cluster = await startNodes(binary, RAFT_NODES);
  const leader = (): Promise<OpenBaoNode> =>
    eventually(
      "the cluster has a leader",
      async () => {
        for (const node of cluster.nodes) {
          // 429 is what a standby says of itself.
          const { status } = await node.operator
            .call("GET", "sys/health", undefined, { timeoutMs: 500 })
            .catch(() => ({ status: 0 }));
          if (status === 200) {
            return node;
          }
        }
        return undefined;
      },
      { timeoutMs: TIMEOUT_MS, everyMs: 100 },
    );
  // A node that has just joined has no vote, and without votes there is no election.
  await eventually(
    "every node has a vote",
    async () => {
      const reply = await (await leader()).operator.must("GET", "sys/storage/raft/configuration");
      const servers = objectAt(reply, "data", "config")["servers"];
      return Array.isArray(servers) && servers.filter(hasVote).length === RAFT_NODES;
    },
    { timeoutMs: TIMEOUT_MS, everyMs: 500 },
  ).catch(async (error: unknown) => {
    await cluster.dispose();
    throw error;
  });
  return { ...cluster /** The node that leads now; waits for an election. */, leader };
}

export type RaftCluster = Awaited<ReturnType<typeof startRaftCluster>>;

function hasVote(server: Json): boolean {
  return isJsonObject(server) && server["voter"] === true;
}

async function startNodes(
  binary: string,
  count: number,
): Promise<Nodes & { readonly nodes: readonly OpenBaoNode[] }> {
  const dir = mkdtempSync(join(tmpdir(), "openbao-"));
  const file = (name: string): string => join(dir, name);
  const ca = await makeTestCa({ commonName: "OpenBao test CA" });
  const writeLeaf = (leaf: Leaf): void => {
    writeFileSync(file("server.pem"), leaf.chainPem);
    writeFileSync(file("server.key"), leaf.keyPem, { mode: 0o600 });
  };
  writeFileSync(file("ca.pem"), ca.certPem);
  writeLeaf(await ca.server());
  const ports = await freePorts(count * 2);
  const addresses = ports.slice(0, count).map((port) => `https://127.0.0.1:${port}`);
  const children: (Child | undefined)[] = addresses.map(() => undefined);
  const spawn = (index: number): void => {
    children[index] = startChild(binary, ["server", `-config=${file(`bao-${index}.hcl`)}`], { cwd: dir });
  };
  const bare = (address: string): Operator => operator({ address, caPem: ca.certPem }, "");
  // A node alone is up when it leads; of several, each is up that knows its leader.
  const health = count === 1 ? "sys/health" : "sys/health?standbyok=true";
  const statusOf = async (address: string): Promise<number> =>
    (await bare(address).call("GET", health, undefined, { timeoutMs: 1000 })).status;
  const answers = (index: number, status: number, prepare?: () => Promise<unknown>): Promise<unknown> =>
    eventually(
      "OpenBao answers",
      async () => {
        await prepare?.();
        return (await statusOf(addresses[index] ?? "")) === status;
      },
      {
        timeoutMs: TIMEOUT_MS,
        giveUp: () => (children[index]?.exited() ? `it has exited: ${children[index]?.output()}` : undefined),
      },
    );
  const dispose = async (): Promise<void> => {
    await Promise.all(children.map((child) => child?.kill()));
    rmSync(dir, { recursive: true, force: true });
  };

  try {
    for (const index of addresses.keys()) {
      mkdirSync(file(`data-${index}`));
      writeFileSync(
        file(`bao-${index}.hcl`),
        configuration(dir, addresses, ports[count + index] ?? 0, index),
      );
      spawn(index);
    }
    await answers(0, 501);
    const options = { secret_shares: 1, secret_threshold: 1 };
    const initialised = await bare(addresses[0] ?? "").must("POST", "sys/init", options);
    const rootToken = textAt(initialised, "root_token");
    const shares = initialised["keys_base64"];
    const key = Array.isArray(shares) ? (shares[0] ?? "") : "";
    const nodes = addresses.map((address, index): OpenBaoNode => {
      const root = operator({ address, caPem: ca.certPem }, rootToken);
      const unseal = async (): Promise<void> => {
        await answers(index, 200, () =>
          bare(address).call("POST", "sys/unseal", { key }, { timeoutMs: 1000 }),
        );
      };
      return {
        address,
        operator: root,
        pid: () => children[index]?.pid ?? 0,
        pause: () => children[index]?.pause(),
        resume: () => children[index]?.resume(),
        seal: async () => {
          await root.must("POST", "sys/seal", {});
        },
        unseal,
        kill: async () => children[index]?.kill(),
        stop: async () => {
          await children[index]?.stop();
        },
        start: async ({ unseal: unseals = true } = {}) => {
          spawn(index);
          await answers(index, 503);
          if (unseals) {
            await unseal();
          }
        },
      };
    });
    for (const node of nodes) {
      await node.unseal();
    }
    return {
      caPem: ca.certPem,
      caFile: file("ca.pem"),
      ca,
      rootToken,
      nodes,
      auditLog: () => (existsSync(file("audit.log")) ? readFileSync(file("audit.log"), "utf8") : ""),
      replaceCertificate: async (leaf) => {
        writeLeaf(leaf);
        for (const child of children) {
          child?.signal("SIGHUP");
        }
      },
      dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

function configuration(
  dir: string,
  addresses: readonly string[],
  clusterPort: number,
  index: number,
): string {
  const others = addresses.filter((_, other) => other !== index);
  const joined = (address: string): string => `  retry_join {
    leader_api_addr       = "${address}"
    leader_ca_cert_file   = "${dir}/ca.pem"
    leader_tls_servername = "localhost"
  }`;
  return `
storage "raft" {
  path                   = "${dir}/data-${index}"
  node_id                = "node-${index}"
  performance_multiplier = 1
${others.map(joined).join("\n")}
}
listener "tcp" {
  address         = "${addresses[index]?.replace("https://", "")}"
  cluster_address = "127.0.0.1:${clusterPort}"
  tls_cert_file   = "${dir}/server.pem"
  tls_key_file    = "${dir}/server.key"
}
audit "file" "audit" {
  options {
    file_path = "${dir}/audit.log"
  }
}
api_addr     = "${addresses[index]}"
cluster_addr = "https://127.0.0.1:${clusterPort}"
log_level    = "warn"
`;
}
