/** @module One exchange with one OpenBao node. */
import type { Clock } from "../../base/clock.ts";
import { ProviderError } from "../../base/error-class.ts";
import type { Operation } from "../../base/operation.ts";
import type { Secret } from "../../base/secret.ts";
import { TransportError } from "../../http/errors.ts";
import type { HttpResponse, HttpTransport } from "../../http/https.ts";
import { answerCodeOf, decodeEnvelope, foreignAnswer, healthCodeOf, retryAfterMs } from "./answer.ts";
import type { Circuit } from "./circuit.ts";
import { answerError, circuitOpenError, fromTransport, OpenBaoError } from "./errors.ts";

/** An answer may have this many bytes. */
const MAX_REPLY_BYTES = 1 << 20;

/** A caller that gave up after this much silence proves as much as a timeout of our own. */
const SILENCE_MS = 1000;

export interface OpenBaoCall {
  readonly operation: Operation;
  readonly method: "GET" | "POST";
  /** Below `/v1/`, ready for the URL. */
  readonly path: string;
  /** JSON text. */
  readonly body?: string | undefined;
  readonly token?: Secret;
  /** `""` for the root namespace; that of the client when absent. */
  readonly namespace?: string;
  /** Whether asking twice is as good as asking once. */
  readonly idempotent: boolean;
  /** The caller's deadline and cancellation. */
  readonly signal: AbortSignal;
  /** For the whole call with its retries; `openbao.timeout` when absent. */
  readonly timeoutMs?: number;
  /** Whether the `data` of an answer with a failing status is a reply all the same; without it, such an answer is always an error. */
  readonly isReply?: ((data: unknown) => boolean) | undefined;
  /** Answers that a standby gives which lags behind; the call is then made again while there is time. */
  readonly lagCodes?: LagCodes | undefined;
}

/** A set of codes; it is asked only when a call has failed. */
export type LagCodes = Pick<ReadonlySet<string>, "has">;

export interface OpenBaoReply {
  readonly status: number;
  /** `data` of the answer, still of unknown shape. */
  readonly data: unknown;
  /** `auth` of the answer, still of unknown shape. */
  readonly auth: unknown;
  readonly requestId: string | undefined;
  /** The Date header as it came: OpenBao's clock. */
  readonly date: string | null;
}

export interface OpenBaoNode {
  /** `https://host:port`, without a slash at its end. */
  readonly address: string;
  readonly circuit: Circuit<OpenBaoError>;
}

export interface AttemptTerms {
  readonly timeoutMs: number;
  readonly freshConnection: boolean;
  /** The other addresses failed this very call, so this one is asked although its circuit is open. */
  readonly isLastResort: boolean;
}

/** @returns the exchange; it throws OpenBaoError, and beside it only what the transport says of its own credential. */
export function makeAttempt(transport: HttpTransport, clock: Clock, namespace: string) {
  const everywhere: Readonly<Record<string, string>> = { "X-Vault-Request": "true" };
  const headersIn = (name: string): Readonly<Record<string, string>> =>
    name === "" ? everywhere : { ...everywhere, "X-Vault-Namespace": name };
  const inOwnNamespace = headersIn(namespace);

  const toReply = (call: OpenBaoCall, { status, headers, body }: HttpResponse): OpenBaoReply => {
    const envelope = decodeEnvelope(body);
    const isEmpty = body.length === 0;
    // The answer to a Decrypt is a plaintext; one copy less of it stays in memory.
    body.fill(0);
    const isSuccess = status >= 200 && status <= 299;
    if (envelope !== undefined && (isSuccess || call.isReply?.(envelope.data) === true)) {
      return {
        status,
        data: envelope.data,
        auth: envelope.auth,
        requestId: envelope.requestId,
        date: headers.get("date"),
      };
    }
    const contentType = headers.get("content-type");
    const foreign = { ...call, answer: foreignAnswer(status, contentType) };
    if (isSuccess) {
      throw answerError("foreign_answer", foreign, { status });
    }
    const pauseMs = retryAfterMs(headers.get("retry-after"), clock.wallMs());
    const more = { status, retryAfterMs: pauseMs };
    const code = healthCodeOf(envelope?.data) ?? answerCodeOf(status, envelope?.errors ?? []);
    const isPage = isEmpty && contentType !== null && !/json/i.test(contentType);
    const isForeign =
      envelope === undefined || isPage || (!envelope.isOpenBaos && healthCodeOf(envelope.data) === undefined);
    throw isForeign && code !== "rate_limited"
      ? answerError("foreign_answer", foreign, more)
      : answerError(code, call, more);
  };

  return async (
    node: OpenBaoNode,
    call: OpenBaoCall,
    { timeoutMs, freshConnection, isLastResort }: AttemptTerms,
  ): Promise<OpenBaoReply> => {
    const entered = node.circuit.enter(isLastResort);
    if ("refusedFor" in entered) {
      throw circuitOpenError(entered.refusedFor);
    }
    const { passage } = entered;
    const startedMs = clock.monotonicMs();
    const headers = call.namespace === undefined ? inOwnNamespace : headersIn(call.namespace);
    try {
      const response = await transport.request({
        method: call.method,
        url: `${node.address}/v1/${call.path}`,
        headers: call.token === undefined ? headers : { ...headers, "X-Vault-Token": call.token.expose() },
        body: call.body,
        signal: call.signal,
        timeoutMs,
        maxBytes: MAX_REPLY_BYTES,
        freshConnection,
      });
      const reply = toReply(call, response);
      passage.succeeded();
      return reply;
    } catch (thrown) {
      if (isOfTheCredential(thrown)) {
        // The call never left this machine: that says nothing of the node.
        passage.abandoned();
        throw thrown;
      }
      const error = toOpenBaoError(thrown, call);
      if (call.signal.aborted && clock.monotonicMs() - startedMs < SILENCE_MS) {
        passage.abandoned();
      } else if (isFailureOfNode(error)) {
        passage.failed(error, error.retryAfterMs);
      } else {
        passage.succeeded();
      }
      throw error;
    }
  };
}

/** What a transport with a key in a token throws when the token failed; TransportErrors are failures of the connection. */
function isOfTheCredential(thrown: unknown): boolean {
  return (
    thrown instanceof ProviderError &&
    !(thrown instanceof TransportError) &&
    !(thrown instanceof OpenBaoError)
  );
}

function toOpenBaoError(thrown: unknown, call: OpenBaoCall): OpenBaoError {
  if (thrown instanceof OpenBaoError) {
    return thrown;
  }
  return thrown instanceof TransportError
    ? fromTransport(thrown)
    : answerError("reply_malformed", call, { cause: thrown });
}

/** Never the refusal of a request, which for a renewal at the maximum TTL comes as a 500. */
function isFailureOfNode({ status, code }: OpenBaoError): boolean {
  if (code === "not_renewable") {
    return false;
  }
  if (code === "foreign_answer") {
    return true;
  }
  return status === undefined || status >= 500 || status === 429 || status < 400 || code === "standby";
}
