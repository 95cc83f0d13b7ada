/** @module The closed set of error classes of logs, metrics, health and JSON reports, and the error that carries one. */
export const ERROR_CLASSES = [
  "config_invalid",
  "socket_unavailable",
  "auth_failed",
  "auth_expired",
  "openbao_rate_limited",
  "openbao_sealed",
  "openbao_unavailable",
  "transit_key_missing",
  "transit_policy_denied",
  "key_id_unknown",
  "key_id_malformed",
  "aad_missing",
  "aad_mismatch",
  "annotation_invalid",
  "protocol_limit",
  "status_stale",
  "timeout",
  "canceled",
  "registry_invalid",
  "token_device",
  "unknown",
] as const;

export type ErrorClass = (typeof ERROR_CLASSES)[number];

export interface ProviderErrorInit<Code extends string> {
  /** What went wrong in the words of the layer that throws; one of that layer's closed union. */
  readonly code: Code;
  readonly errorClass: ErrorClass;
  /** One sentence for the operator. Never a secret, never text that came from a remote. */
  readonly message: string;
  /** What to type or change, when there is one sure answer. */
  readonly advice?: string | undefined;
  readonly cause?: unknown;
}

/** Base of every layer's error class. Message and advice are safe to log and to print; the cause stays inside the process. */
export class ProviderError<Code extends string = string> extends Error {
  readonly code: Code;
  readonly errorClass: ErrorClass;
  readonly advice: string | undefined;

  constructor(init: ProviderErrorInit<Code>) {
    super(init.message, init.cause === undefined ? undefined : { cause: init.cause });
    this.name = new.target.name;
    this.code = init.code;
    this.errorClass = init.errorClass;
    this.advice = init.advice;
  }
}

type Text<Subject> = string | ((subject: Subject) => string);

/** What one code of a layer means: its class and its words, which may name the subject of the call. */
export interface Meaning<Subject = unknown> {
  readonly errorClass: ErrorClass;
  readonly problem: Text<Subject>;
  readonly advice?: Text<Subject>;
}

export function meaningFor<Subject>({ errorClass, problem, advice }: Meaning<Subject>, subject: Subject) {
  const textOf = (text: Text<Subject>): string => (typeof text === "string" ? text : text(subject));
  return { errorClass, problem: textOf(problem), advice: advice === undefined ? undefined : textOf(advice) };
}

/** The class of anything that was thrown; `unknown` for what no layer recognised. */
export function errorClassOf(error: unknown): ErrorClass {
  return error instanceof ProviderError ? error.errorClass : "unknown";
}
