/**
 * A real OpenBao in server mode.
 *
 * @module One node with TLS, integrated storage and a file audit device in a temporary directory, unsealed with one key share.
 * test/fakes/openbao/provision.ts sets it up for a provider.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { textAt } from "../fakes/openbao/json-at.ts";
import { type Operator, operator } from "../fakes/openbao/operator.ts";
import { type Leaf, makeTestCa, type TestCa } from "../fakes/tls/test-ca.ts";
import { type Child, startChild } from "./child.ts";
import { eventually } from "./eventually.ts";
import { freePorts } from "./free-port.ts";

export interface RealOpenBao {
  readonly address: string;
  readonly caPem: string;
  readonly ca: TestCa;
  readonly rootToken: string;
  readonly operator: Operator;
  readonly auditLog: () => string;
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
  /** Puts another server certificate in place and has it loaded by SIGHUP. */
  readonly replaceCertificate: (leaf: Leaf) => Promise<void>;
  /** Ends the process and removes everything. */
  readonly dispose: () => Promise<void>;
}

const START_TIMEOUT_MS = 30_000;

export async function startOpenBao(binary: string): Promise<RealOpenBao> {
  const dir = mkdtempSync(join(tmpdir(), "openbao-"));
  const [port = 0, clusterPort = 0] = await freePorts(2);
  const address = `https://127.0.0.1:${port}`;
  const ca = await makeTestCa({ commonName: "OpenBao test CA" });
  const file = (name: string): string => join(dir, name);
  const writeLeaf = (leaf: Leaf): void => {
    writeFileSync(file("server.pem"), leaf.chainPem);
    writeFileSync(file("server.key"), leaf.keyPem, { mode: 0o600 });
  };
  writeLeaf(await ca.server());
  mkdirSync(file("data"));
  writeFileSync(file("bao.hcl"), configuration(dir, port, clusterPort));

  let child: Child | undefined;
  const spawnServer = (): void => {
    child = startChild(binary, ["server", `-config=${file("bao.hcl")}`], { cwd: dir });
  };
  const bootstrap = operator({ address, caPem: ca.certPem }, "");
  const up = (what: string, statuses: readonly number[]): Promise<unknown> =>
    eventually(what, async () => statuses.includes((await bootstrap.call("GET", "sys/health")).status), {
      timeoutMs: START_TIMEOUT_MS,
      giveUp: () => (child?.exited() ? `it has exited: ${child.output()}` : undefined),
    });

  try {
    spawnServer();
    await up("OpenBao answers", [501]);
    const initialised = await bootstrap.must("POST", "sys/init", { secret_shares: 1, secret_threshold: 1 });
    const rootToken = textAt(initialised, "root_token");
    const shares = initialised["keys_base64"];
    const share = Array.isArray(shares) ? (shares[0] ?? "") : "";
    const unseal = async (): Promise<void> => {
      await bootstrap.must("POST", "sys/unseal", { key: share });
      await up("OpenBao is unsealed", [200]);
    };
    await unseal();
    const root = operator({ address, caPem: ca.certPem }, rootToken);
    const kill = async (): Promise<void> => {
      await child?.kill();
    };
    return {
      address,
      caPem: ca.certPem,
      ca,
      rootToken,
      operator: root,
      auditLog: () => (existsSync(file("audit.log")) ? readFileSync(file("audit.log"), "utf8") : ""),
      pid: () => child?.pid ?? 0,
      pause: () => child?.pause(),
      resume: () => child?.resume(),
      seal: async () => {
        await root.must("POST", "sys/seal", {});
      },
      unseal,
      kill,
      stop: async () => {
        await child?.stop();
      },
      start: async (options = {}) => {
        spawnServer();
        await up("OpenBao answers again", [503]);
        if (options.unseal ?? true) {
          await unseal();
        }
      },
      replaceCertificate: async (leaf) => {
        writeLeaf(leaf);
        child?.signal("SIGHUP");
      },
      dispose: async () => {
        await kill();
        rmSync(dir, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await child?.kill();
    rmSync(dir, { recursive: true, force: true });
    throw error;
  }
}

function configuration(dir: string, port: number, clusterPort: number): string {
  return `
storage "raft" {
  path                   = "${dir}/data"
  node_id                = "only"
  performance_multiplier = 1
}
listener "tcp" {
  address         = "127.0.0.1:${port}"
  cluster_address = "127.0.0.1:${clusterPort}"
  tls_cert_file   = "${dir}/server.pem"
  tls_key_file    = "${dir}/server.key"
}
audit "file" "audit" {
  options {
    file_path = "${dir}/audit.log"
  }
}
api_addr     = "https://127.0.0.1:${port}"
cluster_addr = "https://127.0.0.1:${clusterPort}"
log_level    = "warn"
`;
}
