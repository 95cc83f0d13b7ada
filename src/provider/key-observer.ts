/**
 * What happens to the key, in logs and metrics.
 *
 * @module Translates events of the key state; decides nothing about the key.
 */
import type { KeyEvent } from "../key/rotation/key-events.ts";
import type { KeyView } from "../key/rotation/key-view.ts";
import type { FailureLog } from "../telemetry/failure-log.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Metrics } from "../telemetry/metrics.ts";

export interface KeyObserverOptions {
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly failures: FailureLog;
  readonly view: () => KeyView;
}

/** Takes each event, and shows the key's present state in the gauges after it. */
export function keyObserver({ metrics, logger, failures, view }: KeyObserverOptions): {
  readonly onEvent: (event: KeyEvent) => void;
} {
  metrics.statusCacheAge.readAtScrape(() => {
    const { metadataAgeMs } = view();
    return metadataAgeMs === undefined ? undefined : metadataAgeMs / 1000;
  });

  const show = (): void => {
    const { active, rotationState } = view();
    metrics.rotationState.show({ state: rotationState });
    if (active !== undefined) {
      metrics.keyVersion.set({}, active.version);
      metrics.statusKeyIdHash.show({ hash: active.keyIdHash });
    }
  };

  return {
    onEvent: ({ name, level, fields }) => {
      if (name !== "status.probe") {
        logger[level](name, fields);
        show();
        return;
      }
      if (fields.probeKind === "metadata") {
        metrics.transitMetadataObservation.increment({ status: fields.errorClass ?? "ok" });
      }
      // Each kind of probe fails and recovers on its own.
      const named = { operation: fields.probeKind, ...fields };
      if (fields.status === "error") {
        failures.failed(name, named);
      } else {
        failures.succeeded(name, named);
      }
      show();
    },
  };
}
