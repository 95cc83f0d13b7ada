/** @module What `/ready` and `/live` answer, and whether a provider that has not become ready waits on. Pure. */
import type { ErrorClass } from "../base/error-class.ts";
import type { ProviderConfig } from "../config/schema.ts";
import type { SessionHealth } from "../openbao/auth/session-state.ts";
import type { RouteReply } from "../server/admin/admin-listener.ts";
import type { KmsListener } from "../server/kms-listener.ts";
import type { Provider } from "./provider.ts";

interface PartState {
  /** One word: `ready`, or what it is instead. */
  readonly state: string;
  readonly errorClass?: ErrorClass | undefined;
}

/** Every part that must be well before the provider counts as ready. */
export interface ReadinessParts {
  readonly auth: PartState;
  readonly metadata: PartState;
  readonly key: PartState;
  readonly status: PartState;
  readonly socket: PartState;
  /** From start to the beginning of the shutdown. */
  readonly process: PartState;
}

export const READY: PartState = { state: "ready" };

/** The session as a part. A token that still serves is ready, even while its renewal fails. */
function sessionPart({ state, errorClass }: SessionHealth): PartState {
  return state === "ok" || state === "failing" ? { ...READY, errorClass } : { state, errorClass };
}

export function readinessOf(
  { keys, session }: Pick<Provider, "keys" | "session">,
  { status: { statusMaxStaleness } }: ProviderConfig,
  listener: KmsListener | undefined,
  isStopping: boolean,
): ReadinessParts {
  const { status, ready, failure, notReady, metadataAgeMs } = keys.view();
  const isFresh = metadataAgeMs !== undefined && metadataAgeMs <= statusMaxStaleness;
  return {
    auth: sessionPart(session.health()),
    metadata: isFresh
      ? READY
      : { state: metadataAgeMs === undefined ? "unknown" : "stale", errorClass: failure?.errorClass },
    key: ready ? READY : { state: status.kind, errorClass: notReady?.errorClass },
    status:
      status.kind === "known"
        ? { state: status.healthz === "ok" ? READY.state : status.healthz }
        : { state: status.kind, errorClass: status.errorClass },
    socket:
      listener === undefined
        ? { state: "closed" }
        : listener.problem === undefined
          ? READY
          : { state: "unsafe", errorClass: listener.problem.errorClass },
    process: isStopping ? { state: "stopping" } : READY,
  };
}

export function readinessReply(parts: ReadinessParts): RouteReply {
  const isReady = Object.values(parts).every(({ state }: PartState) => state === READY.state);
  const body = {
    ready: isReady,
    parts: Object.fromEntries(
      Object.entries(parts).map(([name, { state, errorClass }]: [string, PartState]) => [
        name,
        errorClass === undefined ? { state } : { state, error_class: errorClass },
      ]),
    ),
  };
  return {
    status: isReady ? 200 : 503,
    contentType: "application/json",
    body: `${JSON.stringify(body)}\n`,
  };
}

export const liveReply: RouteReply = {
  status: 200,
  contentType: "application/json",
  body: '{"live":true}\n',
};

export interface StartState {
  readonly elapsedMs: number;
  readonly graceMs: number;
  readonly registryLoaded: boolean;
  /** Why the last attempt failed; undefined while the first is in progress. */
  readonly failure: { readonly errorClass: ErrorClass; readonly code: string } | undefined;
}

/**
 * Waiting does not cure these classes: denied, missing, expired or absent credential, wrong registry. A PKCS#11 token is not
 * among them: it may be plugged in again, and its PIN file replaced, while Status keeps answering.
 */
const NEEDS_A_PERSON: ReadonlySet<ErrorClass> = new Set([
  "config_invalid",
  "auth_failed",
  "auth_expired",
  "transit_key_missing",
  "transit_policy_denied",
  "registry_invalid",
]);

/** Transport codes of the same kind: the server that answers is not the one that was configured. */
const WRONG_SERVER: ReadonlySet<string> = new Set(["tls_name_mismatch", "tls_untrusted"]);

/** Whether the process leaves now. Never before the grace has passed. */
export function exitsAfterFailedStart({ elapsedMs, graceMs, registryLoaded, failure }: StartState): boolean {
  // Observing a key ends by itself; a restart would begin it anew.
  if (failure === undefined || elapsedMs < graceMs || failure.code === "registry_observing") {
    return false;
  }
  return !registryLoaded || NEEDS_A_PERSON.has(failure.errorClass) || WRONG_SERVER.has(failure.code);
}
