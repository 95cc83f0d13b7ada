/**
 * @module The compiled provider with a configuration, a credential and directories of its own. Everything is in one private
 * temporary directory: run/ (the socket), state/ (the registry), config.yaml, ca.crt, identity.jwt.
 */
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { identityClaims, type JwtIssuer } from "../fakes/openbao/jwt-issuer.ts";
import type { OpenBaoAddress } from "../fakes/openbao/operator.ts";
import type { Provisioning } from "../fakes/openbao/provision.ts";
import { makeSocketDirectory, socketGid } from "../fakes/socket-directory.ts";
import { type Child, startChild } from "./child.ts";
import { eventually } from "./eventually.ts";
import { builtExecutable } from "./executable.ts";
import { freePorts } from "./free-port.ts";
import { openKmsClient } from "./kms-client.ts";

type Section = Readonly<Record<string, unknown>>;

export interface ProviderOptions {
  readonly openbao: OpenBaoAddress;
  readonly names: Provisioning;
  readonly issuer: JwtIssuer;
  /** Merged over the generated configuration, section by section. */
  readonly config?: Readonly<Record<string, Section>>;
  readonly env?: Readonly<Record<string, string>>;
  /** Another executable than that of `npm run build`. */
  readonly executable?: string;
  /** Only for root: the user that it runs as, with files as the package gives them to that user. */
  readonly uid?: number;
}

export interface LogLine {
  readonly message: string;
  readonly level: string;
  readonly [field: string]: unknown;
}

export interface Launch {
  /** A command that runs the provider. */
  readonly prefix?: readonly string[];
  /** Another configuration than its own. */
  readonly configPath?: string;
}

const STATUS_OK_TIMEOUT_MS = 20_000;

export async function prepareProvider(options: ProviderOptions) {
  const executable = options.executable ?? builtExecutable();
  const dir = mkdtempSync(join(tmpdir(), "kms-"));
  const path = (name: string): string => join(dir, name);
  const gid = socketGid();
  mkdirSync(path("state"), { mode: 0o750 });
  const { uid } = options;
  makeSocketDirectory(path("run"), gid, uid);
  const [metricsPort = 0, healthPort = 0] = await freePorts(2);
  if (uid !== undefined) {
    chmodSync(dir, 0o755);
    chownSync(path("state"), uid, uid);
  }
  const replace = (name: string, text: string, mode: number): void => {
    writeFileSync(path(`${name}.new`), text, { mode });
    if (uid !== undefined) {
      chownSync(path(`${name}.new`), 0, uid);
      chmodSync(path(`${name}.new`), mode === 0o600 ? 0o640 : mode);
    }
    renameSync(path(`${name}.new`), path(name));
  };
  const writeCa = (pem: string): void => replace("ca.crt", pem, 0o644);
  const writeJwt = (jwt?: string): void =>
    replace("identity.jwt", jwt ?? options.issuer.sign(identityClaims(options.names, Date.now())), 0o600);
  writeCa(options.openbao.caPem);
  writeJwt();
  replace("config.yaml", stringify(configuration(options, path, gid, metricsPort, healthPort)), 0o640);

  const socketPath = path("run/kms.sock");
  const client = openKmsClient(socketPath);
  let child: Child | undefined;
  let output = "";
  const spawn = ({ prefix = [], configPath = path("config.yaml") }: Launch = {}): void => {
    const asUser = ["setpriv", `--reuid=${uid}`, `--regid=${uid}`, `--groups=${gid}`, "--"];
    const before = uid === undefined ? prefix : [...asUser, ...prefix];
    const [program, ...args] = [...before, executable, "serve", "--config", configPath];
    child = startChild(program, args, {
      cwd: dir,
      ...(options.env === undefined ? {} : { env: options.env }),
      onLine: (line) => {
        output += `${line}\n`;
      },
    });
  };
  const get = async (port: number, target: string): Promise<{ status: number; body: string }> => {
    const response = await fetch(`http://127.0.0.1:${port}${target}`, { signal: AbortSignal.timeout(3000) });
    return { status: response.status, body: await response.text() };
  };
  const kill = async (): Promise<void> => {
    await child?.kill();
  };

  return {
    executable,
    dir,
    configPath: path("config.yaml"),
    socketPath,
    statePath: path("state/key-registry.json"),
    client,
    pid: () => child?.pid ?? 0,
    exited: () => child?.exited() ?? true,
    exitCode: () => child?.exitCode() ?? null,
    output: () => output,
    log: () => parseLog(output),
    /** Spawns the process; resolves at once. */
    spawn,
    /** Spawns it and waits for a Status that is `ok`. Resolves with the milliseconds that took. */
    start: async (launch?: Launch) => {
      const began = performance.now();
      spawn(launch);
      await eventually(
        "the provider's Status is ok",
        async () => existsSync(socketPath) && (await client.status()).healthz === "ok",
        {
          timeoutMs: STATUS_OK_TIMEOUT_MS,
          everyMs: 10,
          giveUp: () => (child?.exited() ? `it has exited: ${child.output()}` : undefined),
        },
      );
      return performance.now() - began;
    },
    stop: async () => (await child?.stop()) ?? null,
    kill,
    pause: () => child?.pause(),
    resume: () => child?.resume(),
    signal: (name: NodeJS.Signals) => child?.signal(name),
    /** Replaces the JWT file in one step; without a token, by a fresh good one. */
    writeJwt,
    writeCa,
    /** HTTP status and body of `/live` or `/ready`. */
    health: (target: "/live" | "/ready") => get(healthPort, target),
    metrics: async () => (await get(metricsPort, "/metrics")).body,
    dispose: async () => {
      client.close();
      await kill();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

export type Provider = Awaited<ReturnType<typeof prepareProvider>>;

function configuration(
  { openbao, names, config = {} }: ProviderOptions,
  path: (name: string) => string,
  gid: number,
  metricsPort: number,
  healthPort: number,
): Section {
  const generated: Readonly<Record<string, Section>> = {
    server: {
      socketPath: path("run/kms.sock"),
      socketGroup: String(gid),
      metricsAddress: `127.0.0.1:${metricsPort}`,
      healthAddress: `127.0.0.1:${healthPort}`,
    },
    openbao: {
      address: openbao.address,
      ...(names.namespace === "" ? {} : { namespace: names.namespace }),
      caCertFile: path("ca.crt"),
      tlsServerName: "localhost",
      instanceId: "openbao-test",
    },
    auth: {
      method: "jwt",
      jwt: {
        source: "file",
        mountPath: `auth/${names.jwtMount}`,
        role: names.role,
        jwtFile: path("identity.jwt"),
      },
    },
    transit: {
      mountPath: names.mount,
      keyName: names.keyName,
      keyIdScope: {
        providerName: "openbao",
        clusterId: "test-cluster",
        transitMountId: "transit-test",
        keyLineageId: "lineage-test",
      },
    },
    bootstrap: { graceTimeout: "10s", retryInterval: "100ms" },
    status: { probeInterval: "200ms", deepProbeInterval: "2s", statusMaxStaleness: "2s" },
    rotation: { activationDelay: "500ms", requireStableObservationCount: 2 },
    state: { path: path("state/key-registry.json") },
    logging: { level: "debug" },
  };
  const sections = [...new Set([...Object.keys(generated), ...Object.keys(config)])];
  return {
    configVersion: "v1alpha1",
    ...Object.fromEntries(sections.map((name) => [name, { ...generated[name], ...config[name] }])),
  };
}

function parseLog(output: string): readonly LogLine[] {
  return output
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line): LogLine => JSON.parse(line));
}
