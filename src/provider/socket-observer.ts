/**
 * What happens to the socket, in logs and metrics.
 *
 * @module Translates the socket's events; decides nothing about it.
 */
import type { SocketEvent } from "../server/socket/kms-socket.ts";
import type { Logger } from "../telemetry/logger.ts";
import { errorFields } from "../telemetry/logger.ts";
import type { Metrics } from "../telemetry/metrics.ts";

export function socketObserver({
  metrics,
  logger,
}: {
  readonly metrics: Metrics;
  readonly logger: Logger;
}): (event: SocketEvent) => void {
  return (event) => {
    switch (event.kind) {
      case "stale_removed":
        logger.info("socket.stale_removed");
        return;
      case "restarted":
        metrics.socketRestarts.increment({});
        logger.warn("socket.restarted");
        return;
      case "not_ready":
        logger.error("socket.unsafe", errorFields(event.error));
        return;
      case "ready":
        logger.info("socket.created", { status: "recovered" });
        return;
    }
  };
}
