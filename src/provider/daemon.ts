/** @module The daemon: the composition root of `serve`, and the order in which things start and stop. */
import { ProviderError } from "../base/error-class.ts";
import type { ProviderConfig } from "../config/schema.ts";
import type { KeyState } from "../key/rotation/key-state.ts";
import type { KeyProblem } from "../key/rotation/key-status.ts";
import { type AdminListener, startAdminListener } from "../server/admin/admin-listener.ts";
import type { KmsListener } from "../server/kms-listener.ts";
import { logSink } from "../telemetry/log-sink.ts";
import { type AdjustableLogger, createLogger, errorFields } from "../telemetry/logger.ts";
import { CONTENT_TYPE } from "../telemetry/text-format.ts";
import { buildProvider, type Provider, type ProviderOptions } from "./provider.ts";
import {
  exitsAfterFailedStart,
  liveReply,
  type ReadinessParts,
  readinessOf,
  readinessReply,
} from "./readiness.ts";

interface DaemonOptions extends ProviderOptions {
  readonly signal: AbortSignal;
  /** Calls back on each SIGHUP, until the returned function is called. */
  readonly onHangUp: (listener: () => void) => () => void;
}

const DRAIN_MS = 5000;
const REVOKE_MS = 2000;
const FLUSH_MS = 1000;
const WATCH_MS = 250;

/**
 * Serves until the signal aborts; then everything is closed, in a bounded time.
 * @throws ProviderError: why it could not start, or why it left after the grace.
 */
export async function runDaemon(options: DaemonOptions): Promise<void> {
  const { config, clock, stdout } = options;
  const sink = logSink(stdout);
  const logger = createLogger({ ...config.logging, sink, wallMs: () => clock.wallMs() });
  try {
    await serve(await buildProvider(options, logger), logger, options);
    logger.info("provider.stopped");
  } catch (error) {
    logger.error("provider.failed", errorFields(error));
    throw error;
  } finally {
    await sink.flush(FLUSH_MS);
  }
}

async function serve(provider: Provider, logger: AdjustableLogger, options: DaemonOptions): Promise<void> {
  const { keys, session, watch } = provider;
  // What is wrong on this machine ends the process at once, before anything listens.
  const registryLoaded = (await keys.start()) === "loaded";

  const stop = new AbortController();
  const closing: (() => Promise<void> | void)[] = [];
  let background: readonly Promise<void>[] = [];
  let listener: KmsListener | undefined;
  let isStopping = false;
  try {
    const parts = (): ReadinessParts => readinessOf(provider, options.config, listener, isStopping);
    // The socket first: its lock is what tells a second instance that it is one.
    const kms = await provider.listen();
    listener = kms;
    closing.push(() => kms.stop(DRAIN_MS));
    for (const start of [startHealth, startMetrics]) {
      const admin = await start(provider, options.config, parts);
      closing.push(() => admin.close());
    }
    closing.unshift(options.onHangUp(() => void reload(provider, logger, options)));

    void provider.correlation?.announce(logger, stop.signal);
    background = [
      session.run(stop.signal),
      keys.run(stop.signal),
      ...(watch === undefined ? [] : [watch.run(stop.signal)]),
    ];
    logger.info("provider.started", { path: options.config.server.socketPath });
    const stopped = aborted(options.signal);
    if (await Promise.race([...background, untilReady(keys, registryLoaded, options)])) {
      logger.info("provider.ready");
      await Promise.race([...background, stopped]);
    }
  } finally {
    isStopping = true;
    logger.info("provider.stopping");
    for (const close of closing) {
      await close();
    }
    stop.abort(new Error("the provider is stopping"));
    await session.close(REVOKE_MS);
    await Promise.allSettled(background);
    provider.transport.close();
  }
}

/** What SIGHUP does. Each of the two is done even when the other one fails; what is unusable leaves the old one in force. */
async function reload(
  { transport }: Provider,
  logger: AdjustableLogger,
  { readLogLevel }: DaemonOptions,
): Promise<void> {
  try {
    const changed = await transport.reloadTrust();
    logger.info("tls.ca_reloaded", { state: changed ? "changed" : "unchanged" });
  } catch (error) {
    logger.error("tls.ca_reloaded", errorFields(error));
  }
  try {
    const level = await readLogLevel();
    logger.setLevel(level);
    logger.info("config.reloaded", { state: level });
  } catch (error) {
    logger.error("config.reloaded", errorFields(error));
  }
}

/**
 * Waits until the key is ready for the first time; false when the provider is stopped before that.
 * @throws ProviderError when the grace is over and waiting longer is of no use.
 */
async function untilReady(keys: KeyState, registryLoaded: boolean, options: DaemonOptions): Promise<boolean> {
  const { clock, config, signal } = options;
  const startedMs = clock.monotonicMs();
  while (!signal.aborted) {
    const { ready, notReady } = keys.view();
    if (ready) {
      return true;
    }
    const elapsedMs = clock.monotonicMs() - startedMs;
    const graceMs = config.bootstrap.graceTimeout;
    if (exitsAfterFailedStart({ elapsedMs, graceMs, registryLoaded, failure: notReady })) {
      throw startFailure(notReady);
    }
    await Promise.race([clock.sleep(WATCH_MS), aborted(signal)]);
  }
  return false;
}

function startFailure(problem: KeyProblem | undefined): ProviderError {
  return new ProviderError(
    problem ?? { code: "not_ready", errorClass: "unknown", message: "the provider did not become ready" },
  );
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
    }
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

type StartAdmin = (
  provider: Provider,
  config: ProviderConfig,
  parts: () => ReadinessParts,
) => Promise<AdminListener>;

const startHealth: StartAdmin = (_, { server }, parts) =>
  startAdminListener({
    field: "server.healthAddress",
    address: server.healthAddress,
    routes: { "/live": () => liveReply, "/ready": () => readinessReply(parts()) },
  });

const startMetrics: StartAdmin = ({ renderMetrics }, { server }) =>
  startAdminListener({
    field: "server.metricsAddress",
    address: server.metricsAddress,
    routes: { "/metrics": async () => ({ status: 200, contentType: CONTENT_TYPE, body: renderMetrics() }) },
  });
