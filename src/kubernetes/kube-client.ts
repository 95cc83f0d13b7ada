/** @module One HTTPS request to an API server, repeated while the server is busy, and once with a fresh credential when refused. */
import * as v from "valibot";
import { backoffMs } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import { parseJson } from "../base/parse-json.ts";
import { TransportError } from "../http/errors.ts";
import { createHttpTransport, type HttpResponse } from "../http/https.ts";
import type { CredentialHolder, KubeCredential } from "./credential.ts";
import { KubernetesError } from "./errors.ts";

export interface KubeCall {
  readonly method: "GET" | "PATCH" | "POST";
  /** From the slash on. */
  readonly path: string;
  readonly accept: string;
  /** Of a PATCH a JSON merge patch, of a POST the object. */
  readonly body?: string;
  readonly signal: AbortSignal;
}

export interface KubeClient {
  readonly address: string;
  /**
   * Status and body of the answer, whatever the status, except those of a server that is busy or away: these are tried
   * again. Throws KubernetesError `kube_unavailable` when it stays so, `kube_denied` for 401 and 403.
   */
  readonly call: (call: KubeCall) => Promise<HttpResponse>;
  readonly close: () => void;
}

/** The body of a GET that is answered 200 with JSON of this shape, else `undefined`; and the status. Throws what `call` throws. */
export async function getShaped<T>(
  client: KubeClient,
  shape: v.GenericSchema<unknown, T>,
  {
    path,
    signal,
    accept = "application/json",
  }: Pick<KubeCall, "path" | "signal"> & { readonly accept?: string },
): Promise<{ readonly status: number; readonly value: T | undefined }> {
  const { status, body } = await client.call({ method: "GET", path, accept, signal });
  const parsed = v.safeParse(shape, status === 200 ? parseJson(body) : undefined);
  return { status, value: parsed.success ? parsed.output : undefined };
}

interface KubeClientOptions {
  readonly address: string;
  readonly serverName: string;
  readonly caPem: string;
  readonly credentials: CredentialHolder;
  readonly clock: Clock;
}

const NAMES = {
  what: "kube-apiserver",
  addressField: "--kubeconfig",
  caField: "certificate-authority in --kubeconfig",
  serverNameField: "tls-server-name in --kubeconfig",
} as const;

const VERBS = { GET: "get", PATCH: "patch", POST: "create" } as const;
const TIMEOUT_MS = 30_000;
/** Metadata may hold 256 KiB of annotations and as much of managed fields. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;
const MAX_ATTEMPTS = 6;
const FIRST_PAUSE_MS = 500;
const MAX_PAUSE_MS = 15_000;
const BUSY: ReadonlySet<number> = new Set([429, 500, 502, 503, 504]);

/** The connections that were opened with one credential. */
type Session = ReturnType<typeof openSession>;

export function kubeClient(options: KubeClientOptions): KubeClient {
  const { address, credentials, clock } = options;
  let session: Session | undefined;
  const sessionFor = (credential: KubeCredential): Session => {
    if (session?.credential !== credential) {
      session?.transport.close();
      session = openSession(options, credential);
    }
    return session;
  };

  return {
    address,
    call: async (call) => {
      let credential = await credentials.get();
      let isRenewed = false;
      for (let attempt = 1; ; attempt++) {
        const answer = await send(sessionFor(credential), address, call).catch((error: unknown) => {
          call.signal.throwIfAborted();
          if (error instanceof TransportError && attempt < MAX_ATTEMPTS) {
            return error;
          }
          throw error;
        });
        if (!(answer instanceof TransportError)) {
          if (answer.status === 401 && !isRenewed) {
            isRenewed = true;
            credential = await credentials.renew(credential);
            continue;
          }
          if (answer.status === 401 || answer.status === 403) {
            throw denied(address, call, answer.status);
          }
          if (!BUSY.has(answer.status)) {
            return answer;
          }
          if (attempt >= MAX_ATTEMPTS) {
            throw unavailable(address, call, answer);
          }
        }
        const retryAfter = answer instanceof TransportError ? null : answer.headers.get("retry-after");
        await clock.sleep(pauseMs(attempt, retryAfter), call.signal);
      }
    },
    close: () => session?.transport.close(),
  };
}

function openSession({ serverName, caPem, clock }: KubeClientOptions, credential: KubeCredential) {
  return {
    credential,
    transport: createHttpTransport({
      names: NAMES,
      trust: { pem: () => caPem, refresh: () => Promise.resolve(false) },
      serverName,
      clock,
      ...(credential.certificate === undefined ? {} : { identity: credential.certificate }),
    }),
    headers: credential.token === undefined ? {} : { authorization: `Bearer ${credential.token.expose()}` },
  };
}

function send(
  { transport, headers }: Session,
  address: string,
  { path, accept, ...call }: KubeCall,
): Promise<HttpResponse> {
  const contentType = call.method === "PATCH" ? "application/merge-patch+json" : "application/json";
  return transport.request({
    ...call,
    url: `${address}${path}`,
    headers: { ...headers, accept, ...(call.body === undefined ? {} : { "content-type": contentType }) },
    timeoutMs: TIMEOUT_MS,
    maxBytes: MAX_ANSWER_BYTES,
  });
}

function pauseMs(attempt: number, retryAfter: string | null): number {
  const asked = retryAfter !== null && /^\d{1,3}$/.test(retryAfter) ? Number(retryAfter) * 1000 : 0;
  return Math.min(MAX_PAUSE_MS, Math.max(asked, backoffMs(FIRST_PAUSE_MS, MAX_PAUSE_MS, attempt)));
}

function denied(address: string, { method, path }: KubeCall, status: number): Error {
  const [, , plural] = /^\/(?:api\/v1|apis\/[^/]+\/[^/]+)(\/namespaces\/[^/]+)?\/([^/]+)/.exec(path) ?? [];
  return new KubernetesError(
    "kube_denied",
    status === 401
      ? `kube-apiserver at ${address} does not take the credential of --kubeconfig`
      : `kube-apiserver at ${address} does not allow ${VERBS[method]}${plural === undefined ? "" : ` on ${plural}`}`,
    status === 401
      ? "check it with `kubectl auth whoami`"
      : "use a credential that may get and patch every encrypted resource, for example of cluster-admin",
  );
}

/** How kube-apiserver begins to speak of an admission webhook that it cannot reach. Only the webhook's name is taken over. */
const FAILED_WEBHOOK = /failed calling webhook \\?"([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)\\?"/;

function unavailable(address: string, { path }: KubeCall, { status, body }: HttpResponse): Error {
  const webhook = FAILED_WEBHOOK.exec(Buffer.from(body).toString("utf8"))?.[1];
  if (webhook !== undefined) {
    return new KubernetesError(
      "webhook_failed",
      `the admission webhook ${webhook} does not answer, so kube-apiserver at ${address} refuses ${path.split("?")[0]}`,
      "bring the webhook back, or exempt the object from it; then run the same command again",
    );
  }
  return new KubernetesError(
    "kube_unavailable",
    `kube-apiserver at ${address} answered ${status}, ${MAX_ATTEMPTS} times in a row`,
    "see its log; when kube-apiserver answers again, run the same command: it continues where it stopped",
  );
}
