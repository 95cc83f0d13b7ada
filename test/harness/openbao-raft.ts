/**
 * Three real OpenBao nodes that are one raft cluster.
 *
 * @module TLS under one CA, integrated storage, unsealed with one key share. A node can be killed, paused, sealed and brought back.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { objectAt, textAt } from "../fakes/openbao/json-at.ts";
import { type Operator, operator } from "../fakes/openbao/operator.ts";
import { isJsonObject, type Json } from "../fakes/openbao/reply.ts";
import { makeTestCa } from "../fakes/tls/test-ca.ts";
import { type Child, startChild } from "./child.ts";
import { eventually } from "./eventually.ts";
import { freePorts } from "./free-port.ts";

export interface RaftNode {
  readonly address: string;
  readonly operator: Operator;
  readonly kill: () => Promise<void>;
  readonly pause: () => void;
  readonly resume: () => void;
  readonly seal: () => Promise<void>;
  /** Starts it if it was killed, and unseals it. */
  readonly bringBack: () => Promise<void>;
}

export interface RaftCluster {
  readonly caPem: string;
  readonly nodes: readonly RaftNode[];
  /** The node that leads now; waits for an election. */
  readonly leader: () => Promise<RaftNode>;
  readonly dispose: () => Promise<void>;
}

const NODES = 3;
const TIMEOUT_MS = 60_000;

export async function startRaftCluster(binary: string): Promise<RaftCluster> {
  const dir = mkdtempSync(join(tmpdir(), "raft-"));
  const ca = await makeTestCa({ commonName: "OpenBao cluster CA" });
  const leaf = await ca.server();
  writeFileSync(join(dir, "ca.pem"), ca.certPem);
  writeFileSync(join(dir, "server.pem"), leaf.chainPem);
  writeFileSync(join(dir, "server.key"), leaf.keyPem, { mode: 0o600 });
  const ports = await freePorts(NODES * 2);
  const apiPort = (index: number): number => ports[index * 2] ?? 0;
  const clusterPort = (index: number): number => ports[index * 2 + 1] ?? 0;
  const addresses = Array.from({ length: NODES }, (_, index) => `https://127.0.0.1:${apiPort(index)}`);
  const children: (Child | undefined)[] = [];

  const config = (index: number): string => `
storage "raft" {
  path                   = "${dir}/data-${index}"
  node_id                = "node-${index}"
  performance_multiplier = 1
${addresses
  .filter((_, other) => other !== index)
  .map(
    (address) => `  retry_join {
    leader_api_addr       = "${address}"
    leader_ca_cert_file   = "${dir}/ca.pem"
    leader_tls_servername = "localhost"
  }`,
  )
  .join("\n")}
}
listener "tcp" {
  address         = "127.0.0.1:${apiPort(index)}"
  cluster_address = "127.0.0.1:${clusterPort(index)}"
  tls_cert_file   = "${dir}/server.pem"
  tls_key_file    = "${dir}/server.key"
}
api_addr     = "${addresses[index]}"
cluster_addr = "https://127.0.0.1:${clusterPort(index)}"
log_level    = "warn"
`;
  const spawn = (index: number): void => {
    children[index] = startChild(binary, ["server", `-config=${dir}/bao-${index}.hcl`], { cwd: dir });
  };
  const bare = (address: string): Operator => operator({ address, caPem: ca.certPem }, "");
  const health = async (address: string): Promise<number> =>
    (await bare(address).call("GET", "sys/health?standbyok=true", undefined, { timeoutMs: 1000 })).status;
  const reaches = (address: string, status: number): Promise<unknown> =>
    eventually(`${address} answers ${status}`, async () => (await health(address)) === status, {
      timeoutMs: TIMEOUT_MS,
    });
  const dispose = async (): Promise<void> => {
    await Promise.all(children.map((child) => child?.kill()));
    rmSync(dir, { recursive: true, force: true });
  };

  try {
    for (const [index] of addresses.entries()) {
      mkdirSync(join(dir, `data-${index}`));
      writeFileSync(join(dir, `bao-${index}.hcl`), config(index));
      spawn(index);
    }
    const [first = ""] = addresses;
    await reaches(first, 501);
    const initialised = await bare(first).must("POST", "sys/init", { secret_shares: 1, secret_threshold: 1 });
    const rootToken = textAt(initialised, "root_token");
    const shares = initialised["keys_base64"];
    const share = Array.isArray(shares) ? (shares[0] ?? "") : "";
    const unseal = async (address: string): Promise<void> => {
      await eventually(
        `${address} is unsealed`,
        async () => {
          await bare(address).call("POST", "sys/unseal", { key: share }, { timeoutMs: 1000 });
          return (await health(address)) === 200;
        },
        { timeoutMs: TIMEOUT_MS, everyMs: 200 },
      );
    };
    for (const address of addresses) {
      await unseal(address);
    }
    const nodes = addresses.map((address, index): RaftNode => {
      const root = operator({ address, caPem: ca.certPem }, rootToken);
      return {
        address,
        operator: root,
        kill: async () => children[index]?.kill(),
        pause: () => children[index]?.pause(),
        resume: () => children[index]?.resume(),
        seal: async () => {
          await root.must("POST", "sys/seal", {});
        },
        bringBack: async () => {
          if (children[index]?.exited() !== false) {
            spawn(index);
            await reaches(address, 503);
          }
          await unseal(address);
        },
      };
    });
    const leader = (): Promise<RaftNode> =>
      eventually(
        "the cluster has a leader",
        async () => {
          for (const node of nodes) {
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
        return Array.isArray(servers) && servers.filter(hasVote).length === NODES;
      },
      { timeoutMs: TIMEOUT_MS, everyMs: 500 },
    );
    return {
      caPem: ca.certPem,
      nodes,
      leader,
      dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

function hasVote(server: Json): boolean {
  return isJsonObject(server) && server["voter"] === true;
}
