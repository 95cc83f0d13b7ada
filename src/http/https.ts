/** @module One HTTPS request to one known kind of server. */
import type { Clock } from "../base/clock.ts";
import { withDeadline } from "../base/deadline.ts";
import { readBounded } from "../base/read-bounded.ts";
import type { Secret } from "../base/secret.ts";
import type { CaFile } from "./ca-file.ts";
import { type EndpointNames, type TransportCode, TransportError, transportError } from "./errors.ts";
import { handshakeFailure, transportCodeOf } from "./failure-code.ts";
import { SERVER_VERIFICATION } from "./server-identity.ts";

export interface HttpRequest {
  readonly method: "GET" | "POST" | "PATCH";
  /** https only; the caller has checked it. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  readonly signal: AbortSignal;
  /** For everything: connection, TLS, request, whole answer. */
  readonly timeoutMs: number;
  /** Of the answer's body. */
  readonly maxBytes: number;
  /** On a connection of its own, which is closed afterwards; to reach another node behind a load balancer. */
  readonly freshConnection?: boolean;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

export interface HttpTransport {
  /** @throws TransportError */
  readonly request: (request: HttpRequest) => Promise<HttpResponse>;
  /** Reads the CA bundle again, as on SIGHUP; true when it changed. @throws when it is unusable; the old one stays in use. */
  readonly reloadTrust: () => Promise<boolean>;
  /** Closes idle connections; those in use end with their requests. */
  readonly close: () => void;
}

/** A client certificate for mutual TLS, PEM. */
export interface ClientIdentity {
  readonly chainPem: string;
  readonly keyPem: Secret;
}

interface HttpTransportOptions {
  readonly names: EndpointNames;
  readonly trust: CaFile;
  /** The name that the server's certificate must hold. */
  readonly serverName: string;
  readonly identity?: ClientIdentity;
  readonly clock: Clock;
  /** Told when the CA bundle, read again in the background, is unusable; the old one stays in use. */
  readonly onTrustProblem?: (error: unknown) => void;
  /** How connections are made; Bun's own by default. */
  readonly openSession?: (init: Bun.FetchSessionInit) => FetchSession;
}

/** What is used of Bun.FetchSession: a fetch with a connection pool and TLS settings of its own. */
export type FetchSession = Pick<Bun.FetchSession, "fetch" | "close">;

/** The bundle is looked at again at most this often, beside a request and not before it. */
const TRUST_CHECK_INTERVAL_MS = 10_000;
const IDLE_CONNECTION_SECONDS = 60;
const MAX_IDLE_CONNECTIONS = 64;

/** Failures that a new CA bundle may end. */
const TRUST_CODES: ReadonlySet<TransportCode> = new Set(["tls_untrusted", "tls_root_missing", "tls_expired"]);

export function createHttpTransport(options: HttpTransportOptions): HttpTransport {
  const { names, trust, clock } = options;
  const openSession = options.openSession ?? ((init) => new Bun.FetchSession(init));
  const open = (): FetchSession => openSession(sessionInit(options));
  let session = open();
  let trustCheckedAtMs = clock.monotonicMs();

  const reloadTrust = async (): Promise<boolean> => {
    trustCheckedAtMs = clock.monotonicMs();
    const changed = await trust.refresh();
    if (changed) {
      session.close();
      session = open();
    }
    return changed;
  };

  const refreshTrust = (): Promise<unknown> =>
    reloadTrust().catch((error: unknown) => options.onTrustProblem?.(error));

  const failureOf = async (error: unknown, url: string, signal: AbortSignal): Promise<TransportError> => {
    if (error instanceof TransportError) {
      return error;
    }
    const code = transportCodeOf(error, signal);
    const reason =
      code === "tls_handshake_failed" ? await handshakeFailure(url, tlsOf(options), signal) : code;
    return transportError(reason, names, url, error);
  };

  return {
    request: async (request) => {
      if (clock.monotonicMs() - trustCheckedAtMs >= TRUST_CHECK_INTERVAL_MS) {
        void refreshTrust();
      }
      using deadline = withDeadline(request.signal, request.timeoutMs);
      const { signal } = deadline;
      for (let isRetry = false; ; isRetry = true) {
        const tried = session;
        try {
          const response = await tried.fetch(request.url, {
            method: request.method,
            headers: request.headers,
            body: request.body ?? null,
            keepalive: request.freshConnection !== true,
            redirect: "error",
            decompress: false,
            verbose: false,
            signal,
          });
          const body = await readBody(response, request.maxBytes);
          if (body === undefined) {
            throw transportError("body_too_large", names, request.url);
          }
          return { status: response.status, headers: response.headers, body };
        } catch (error) {
          const failure = await failureOf(error, request.url, signal);
          if (isRetry || !TRUST_CODES.has(failure.code)) {
            throw failure;
          }
          await refreshTrust();
          if (session === tried) {
            throw failure;
          }
        }
      }
    },
    reloadTrust,
    close: () => session.close(),
  };
}

function tlsOf({ trust, serverName, identity }: HttpTransportOptions) {
  return {
    ...SERVER_VERIFICATION,
    ca: trust.pem(),
    serverName,
    ...(identity === undefined ? {} : { cert: identity.chainPem, key: identity.keyPem.expose() }),
  };
}

function sessionInit(options: HttpTransportOptions): Bun.FetchSessionInit {
  return {
    tls: tlsOf(options),
    proxy: false,
    keepAlive: { idleTimeout: IDLE_CONNECTION_SECONDS, maxIdleSockets: MAX_IDLE_CONNECTIONS },
  };
}

/** The whole body, or `undefined` as soon as it is known to exceed `maxBytes`; the rest is then not read. */
function readBody(response: Response, maxBytes: number): Promise<Uint8Array | undefined> {
  const announced = response.headers.get("content-length");
  // RFC 9112 section 6.3: a body with a length and no transfer coding is never longer. `body` would make a stream.
  return announced !== null && Number(announced) <= maxBytes && !response.headers.has("transfer-encoding")
    ? response.bytes()
    : readStream(response.body, Number(announced), maxBytes);
}

async function readStream(
  body: ReadableStream<Uint8Array> | null,
  announcedBytes: number,
  maxBytes: number,
): Promise<Uint8Array | undefined> {
  if (body === null) {
    return new Uint8Array(0);
  }
  if (announcedBytes > maxBytes) {
    await body.cancel();
    return undefined;
  }
  return readBounded(body, maxBytes);
}
