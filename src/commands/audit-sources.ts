/** @module The options that name where stored objects are read, and the targets that they come to. Nothing is contacted here. */

import { UsageError } from "../cli/errors.ts";
import { count, list, text, type ValuesOf } from "../cli/option.ts";
import type { EtcdTls } from "../etcd/reader/endpoint.ts";
import type { AuditTarget } from "../etcd/run-audit.ts";
import { readInputFile } from "./input-file.ts";

export const liveSourceOptions = {
  "etcd-endpoints": text(
    "URL,…",
    "Members of one running etcd, as for etcdctl, separated by commas: https://host:2379; read only, at one revision",
  ),
  "etcd-ca": text("FILE", "CA bundle that verifies the certificates of the etcd members"),
  "etcd-cert": text("FILE", "Client certificate, for an etcd that requires one"),
  "etcd-key": text("FILE", "Private key of --etcd-cert"),
  "etcd-prefix": { ...text("PREFIX", "kube-apiserver's --etcd-prefix"), default: "/registry" },
  "etcd-rate": {
    ...count("N", "At most this many objects per second are read from a running etcd", 1, 1_000_000),
    default: 10_000,
  },
} as const;

export const sourceOptions = {
  ...liveSourceOptions,
  snapshot: list(
    "FILE",
    "A file that `etcdctl snapshot save` wrote, or a copy of member/snap/db (for reports only); may be repeated",
  ),
} as const;

export type SourceFlags = ValuesOf<typeof sourceOptions>;

const LOOPBACK = /^(?:127\.\d+\.\d+\.\d+|\[::1\]|localhost)$/;
const MAX_PEM_BYTES = 1024 * 1024;
const CALL_TIMEOUT_MS = 20_000;
const MAX_ANSWER_BYTES = 32 * 1024 * 1024;

/** The running etcd first, then the snapshots. Throws UsageError, or SafeFileError for a file that is not safe to use. */
export async function openTargets(flags: SourceFlags) {
  const live = flags["etcd-endpoints"] === undefined ? undefined : await liveTarget(flags);
  const targets: readonly AuditTarget[] = [
    ...(live === undefined ? [] : [live]),
    ...flags.snapshot.map((file) => ({ kind: "snapshot", file }) as const),
  ];
  return {
    targets,
    close: (): void => {
      for (const endpoint of live?.endpoints ?? []) {
        endpoint.close();
      }
    },
  };
}

async function liveTarget(flags: SourceFlags): Promise<Extract<AuditTarget, { kind: "etcd" }>> {
  const tls = await etcdTls(flags);
  const urls = etcdEndpointUrls(flags["etcd-endpoints"] ?? "", tls !== undefined);
  if (tls === undefined && urls.some((url) => url.startsWith("https:"))) {
    throw new UsageError(
      "an https endpoint needs --etcd-ca, and --etcd-cert with --etcd-key where etcd asks for a client certificate",
      "with kubeadm these are /etc/kubernetes/pki/etcd/ca.crt, healthcheck-client.crt and healthcheck-client.key",
    );
  }
  const { etcdEndpoint } = await import("../etcd/reader/endpoint.ts");
  const limits = { timeoutMs: CALL_TIMEOUT_MS, maxAnswerBytes: MAX_ANSWER_BYTES };
  return {
    kind: "etcd",
    endpoints: urls.map((url) => etcdEndpoint(url, tls, limits)),
    objectsPerSecond: flags["etcd-rate"],
  };
}

/**
 * The endpoints as URLs. As for etcdctl, `host:port` without a scheme means https when there are TLS files, else http.
 * @throws UsageError
 */
export function etcdEndpointUrls(endpoints: string, hasTls: boolean): readonly string[] {
  return endpoints.split(",").map((each) => {
    const endpoint = each.trim();
    return checkedEndpoint(
      endpoint.includes("://") ? endpoint : `${hasTls ? "https" : "http"}://${endpoint}`,
    );
  });
}

function checkedEndpoint(endpoint: string): string {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  const isPlain = url?.protocol === "http:";
  if (url === undefined || !(isPlain || url.protocol === "https:") || `${url.origin}/` !== url.href) {
    throw new UsageError(
      "--etcd-endpoints: an endpoint is neither https://host:port nor host:port",
      "write for example https://10.0.0.1:2379,https://10.0.0.2:2379",
    );
  }
  if (isPlain && !LOOPBACK.test(url.hostname)) {
    throw new UsageError(
      "--etcd-endpoints: http is accepted on loopback only",
      "write https:// and name --etcd-ca, --etcd-cert and --etcd-key",
    );
  }
  return url.origin;
}

async function etcdTls(flags: SourceFlags): Promise<EtcdTls | undefined> {
  const { "etcd-ca": ca, "etcd-cert": certificate, "etcd-key": privateKey } = flags;
  if (ca === undefined && certificate === undefined && privateKey === undefined) {
    return undefined;
  }
  if (ca === undefined) {
    throw new UsageError(
      "--etcd-cert and --etcd-key need --etcd-ca",
      "name the CA bundle that etcd's certificate is verified with",
    );
  }
  if ((certificate === undefined) !== (privateKey === undefined)) {
    throw new UsageError("--etcd-cert and --etcd-key go together", "name both, or none");
  }
  return {
    ca: await pem(ca, "--etcd-ca", "the CA bundle", false),
    client:
      certificate === undefined || privateKey === undefined
        ? undefined
        : {
            certificate: await pem(certificate, "--etcd-cert", "the client certificate", false),
            privateKey: await pem(privateKey, "--etcd-key", "the private key", true),
          },
  };
}

function pem(path: string, field: string, what: string, secret: boolean): Promise<Uint8Array> {
  return readInputFile(path, { what, field, maxBytes: MAX_PEM_BYTES, secret });
}
