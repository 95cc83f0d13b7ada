/** @module What `/ready` and `/live` answer: states and error classes, nothing else. Pure. */
import type { ErrorClass } from "../base/error-class.ts";
import type { SessionHealth } from "../openbao/auth/session-state.ts";
import type { RouteReply } from "../server/admin/admin-listener.ts";

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
export function sessionPart({ state, errorClass }: SessionHealth): PartState {
  return state === "ok" || state === "failing" ? { ...READY, errorClass } : { state, errorClass };
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
