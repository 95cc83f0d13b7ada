/** @module One client for each API server that migrate works through, reached directly. Files are opened once and checked. */
import { systemClock } from "../../base/clock.ts";
import type { CommandContext } from "../../cli/command.ts";
import type { Evidence } from "../../etcd/evidence.ts";
import { credentialHolder, resolveCredential, textOf } from "../../kubernetes/credential.ts";
import { migrateError } from "../../kubernetes/errors.ts";
import { type KubeClient, kubeClient } from "../../kubernetes/kube-client.ts";
import { decodeKubeconfig, MAX_KUBECONFIG_BYTES } from "../../kubernetes/kubeconfig.ts";
import { readInputFile } from "../input-file.ts";
import { apiServerAddresses } from "./api-servers.ts";
import type { MigrateFlags } from "./command.ts";

/** A client for each API server: those named, else those behind the Service `kubernetes`, else the kubeconfig's own. */
export async function openApiServers(
  flags: Pick<MigrateFlags, "kube-context" | "api-server">,
  kubeconfigPath: string,
  before: Evidence,
  { callerEnvironment, signal }: CommandContext,
): Promise<readonly KubeClient[]> {
  const euid = process.geteuid?.() ?? 0;
  const bytes = await readInputFile(kubeconfigPath, {
    what: "the kubeconfig",
    field: "--kubeconfig",
    maxBytes: MAX_KUBECONFIG_BYTES,
    secret: true,
  });
  const access = decodeKubeconfig(bytes, kubeconfigPath, flags["kube-context"]);
  const source = {
    kubeconfigPath,
    euid,
    environment: callerEnvironment,
    hasTerminal: process.stdin.isTTY,
  };
  const options = {
    serverName: access.serverName,
    caPem: await textOf(access.ca, "the cluster's CA", false, source),
    credentials: credentialHolder(() => resolveCredential(access, source, signal)),
    clock: systemClock,
  };
  const entry = kubeClient({ ...options, address: access.server });
  const named = flags["api-server"];
  const discovered = named.length > 0 ? named : await apiServerAddresses(entry, signal);
  if (discovered.length === 0) {
    assertEnough(1, before);
    return [entry];
  }
  entry.close();
  assertEnough(discovered.length, before);
  return discovered.map((address) => kubeClient({ ...options, address }));
}

function assertEnough(reached: number, { audits }: Evidence): void {
  const live = Math.max(...audits.map(({ source }) => (source.kind === "etcd" ? source.apiServers : 0)));
  if (reached < live) {
    throw migrateError(
      "api_servers_missing",
      `${live} API servers hold a Lease, but only ${reached} can be reached directly`,
      "name each of them with --api-server https://host:6443; a Lease of a server that is gone expires within an hour",
    );
  }
}
