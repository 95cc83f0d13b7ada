/**
 * @module What can go wrong with OpenBao's answers: a table of faults that tests switch on and off. Faults as values and how
 * they change a reply's bytes. How they move (slowly, not at all) is up to the mount.
 */
import type { Reply } from "./reply.ts";

/** `reply` replaces the whole answer; the others act on the answer that OpenBao would have given. */
export type Fault =
  | {
      readonly kind: "reply";
      readonly status: number;
      readonly body: string;
      readonly headers: Readonly<Record<string, string>>;
    }
  | { readonly kind: "rewrite"; readonly rewrite: (body: string) => string; readonly contentType?: string }
  /** The body arrives at this rate. */
  | { readonly kind: "slow"; readonly bytesPerSecond: number }
  /** The request is taken and never answered. */
  | { readonly kind: "hang" }
  /** The connection is reset instead of an answer. */
  | { readonly kind: "reset" }
  /** Headers promise the whole body, half of it comes, then the connection ends. */
  | { readonly kind: "torn" };

export interface FaultScope {
  /** Only calls whose path (without `/v1/` and namespace) matches. */
  readonly path?: RegExp;
  /** Only so many calls. */
  readonly times?: number;
}

export interface InstalledFault {
  readonly fault: Fault;
  readonly path: RegExp | undefined;
  left: number;
}

function refusal(status: number, error: string, headers: Readonly<Record<string, string>> = {}): Fault {
  return { kind: "reply", status, body: JSON.stringify({ errors: [error] }), headers };
}

export const faults = {
  sealed: refusal(503, "Vault is sealed"),
  denied: refusal(403, "permission denied"),
  internalError: refusal(500, "internal error"),
  unavailable: refusal(503, "upstream is unavailable"),
  /** 429 as a quota gives it; with a Retry-After in seconds or as an HTTP date when one is wanted. */
  rateLimited: (retryAfter?: string): Fault =>
    refusal(429, "request path rate limited", retryAfter === undefined ? {} : { "retry-after": retryAfter }),
  redirect: (location: string): Fault => ({ kind: "reply", status: 307, body: "", headers: { location } }),
  slow: (bytesPerSecond: number): Fault => ({ kind: "slow", bytesPerSecond }),
  hang: { kind: "hang" },
  reset: { kind: "reset" },
  torn: { kind: "torn" },
  oversized: (bytes: number): Fault => ({
    kind: "rewrite",
    rewrite: (body) => body.replace(/^\{/, `{"padding":"${"x".repeat(bytes)}",`),
  }),
  /** Not JSON at all. */
  malformed: { kind: "rewrite", rewrite: () => "<html><body>It works!</body></html>" },
  /** JSON that ends in the middle, under a Content-Length that agrees. */
  cutJson: { kind: "rewrite", rewrite: (body) => body.slice(0, Math.floor(body.length / 2)) },
  /** JSON of a wrong shape: every number became a text and `data` a list. */
  wrongShape: {
    kind: "rewrite",
    rewrite: (body) => body.replace(/"data":\{/, '"data":[{').replace(/\}(?=,"wrap)/, "}]"),
  },
  wrongContentType: { kind: "rewrite", rewrite: (body) => body, contentType: "text/html" },
  /** Encrypt answers with a ciphertext of another version than asked for. */
  wrongVersion: (version: number): Fault => ({
    kind: "rewrite",
    rewrite: (body) => body.replaceAll(/vault:v\d+:/g, `vault:v${version}:`),
  }),
} as const satisfies Readonly<Record<string, Fault | ((argument: never) => Fault)>>;

/** The newest fault that is on for a path; counts it down. */
export function faultFor(installed: readonly InstalledFault[], path: string): Fault | undefined {
  const found = installed.findLast(
    ({ left, path: scope }) => left > 0 && (scope === undefined || scope.test(path)),
  );
  if (found !== undefined) {
    found.left -= 1;
  }
  return found?.fault;
}

export interface WireReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** The bytes and headers of a reply, after the fault. */
export function wireReply(reply: Reply, fault: Fault | undefined, nowMs: number): WireReply {
  const body = reply.body === undefined ? "" : `${JSON.stringify(reply.body)}\n`;
  const headers = {
    "cache-control": "no-store",
    "content-type": "application/json",
    date: new Date(nowMs).toUTCString(),
  };
  switch (fault?.kind) {
    case "reply":
      return { status: fault.status, headers: { ...headers, ...fault.headers }, body: fault.body };
    case "rewrite":
      return {
        status: reply.status,
        headers: { ...headers, "content-type": fault.contentType ?? headers["content-type"] },
        body: fault.rewrite(body),
      };
    default:
      return { status: reply.status, headers, body };
  }
}
