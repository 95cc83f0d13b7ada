/** @module A signal that aborts when its parent does or when time is up, and why it did. */
import { ProviderError } from "./error-class.ts";

/** Why a signal of {@link withDeadline} aborted: time was up, or the parent aborted. */
export class DeadlineError extends ProviderError<"deadline_exceeded"> {}

/** Aborts with a {@link DeadlineError} after `timeoutMs`, or with the parent's reason. Use it with `using`: no timer remains. */
export function withDeadline(
  parent: AbortSignal | undefined,
  timeoutMs: number,
): Disposable & { readonly signal: AbortSignal } {
  const controller = new AbortController();
  const stop = (): void => controller.abort(parent?.reason);
  if (parent?.aborted) {
    stop();
    return { signal: controller.signal, [Symbol.dispose]: () => {} };
  }
  const timer = setTimeout(
    () =>
      controller.abort(
        new DeadlineError({
          code: "deadline_exceeded",
          errorClass: "timeout",
          message: `no answer within ${timeoutMs} ms`,
        }),
      ),
    Math.max(timeoutMs, 0),
  );
  parent?.addEventListener("abort", stop, { once: true });
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      clearTimeout(timer);
      parent?.removeEventListener("abort", stop);
    },
  };
}

/** Whether an aborted signal ran out of time or was given up by its caller. */
export function stopReason(signal: AbortSignal): "timeout" | "canceled" {
  const reason: unknown = signal.reason;
  return reason instanceof Error && (reason instanceof DeadlineError || reason.name === "TimeoutError")
    ? "timeout"
    : "canceled";
}
