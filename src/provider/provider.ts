/** @module The object graph of the daemon, and its directories where a volume needs them. Listens to nothing and calls no server; daemon.ts does. */
import { dirname } from "node:path";
import { buildInfo } from "../base/build-info.ts";
import type { Clock } from "../base/clock.ts";
import { readMountPoints } from "../base/mount-points.ts";
import { makeVolumeDirectory } from "../base/volume-directory.ts";
import type { LogLevel, ProviderConfig } from "../config/schema.ts";
import { fingerprint } from "../key/identity/fingerprint.ts";
import { trySqliteLock } from "../key/registry/writer-lock.ts";
import { createKeyState, type KeyState } from "../key/rotation/key-state.ts";
import { KeyManagementService } from "../kms/gen/v2/api_pb.ts";
import { MAX_CALL_MS, MAX_MESSAGE_BYTES } from "../kms/limits.ts";
import { QUICK_CODECS } from "../kms/quick-decrypt.ts";
import { kmsService } from "../kms/service.ts";
import { credentialWatch } from "../openbao/auth/credential-watch.ts";
import type { TransitClient } from "../openbao/transit/client.ts";
import { coalescedCalls } from "../openbao/transit/coalesced-calls.ts";
import { DEFAULT_SESSION_LIMITS, startKmsListener, unaryHandlers } from "../server/kms-listener.ts";
import { makeSocketDirectory } from "../server/socket/socket-directory.ts";
import { resolveSocketGroup } from "../server/socket/socket-group.ts";
import { identityWarnings } from "../server/startup-warnings.ts";
import { failureLog } from "../telemetry/failure-log.ts";
import type { LineStream } from "../telemetry/log-sink.ts";
import { errorFields, type Logger } from "../telemetry/logger.ts";
import { createMetrics, type Metrics } from "../telemetry/metric-table.ts";
import { startDebugCorrelation } from "./debug-correlation.ts";
import {
  credentialObserver,
  keyObserver,
  kmsObserver,
  openBaoObserver,
  sessionObserver,
  socketObserver,
  storedCredentialObserver,
  type Telemetry,
} from "./observers.ts";
import { configIdentity, openConfiguredRegistry } from "./registry.ts";
import { openTransitAccess } from "./transit-access.ts";

export interface ProviderOptions {
  readonly config: ProviderConfig;
  readonly readLogLevel: () => Promise<LogLevel>;
  readonly process: { readonly uid: number; readonly gid: number; readonly userName: string };
  readonly clock: Clock;
  readonly random: () => number;
  readonly stdout: LineStream;
}

export type Provider = Awaited<ReturnType<typeof buildProvider>>;

/** A socket that vanished is made again within this time; connections that are open do not need it. */
const SOCKET_WATCH_MS = 5000;

/** @throws ProviderError for everything that is wrong on this machine: group, socket directory, CA bundle. */
export async function buildProvider(options: ProviderOptions, logger: Logger) {
  const { config, clock, random, process } = options;
  const failures = failureLog(logger, () => clock.monotonicMs());
  const { metrics, renderPage } = createMetrics();
  const telemetry: Telemetry = {
    metrics,
    logger,
    failures,
    logRequestIds: config.logging.logOpenBaoRequestIDs,
  };
  logger.info("provider.starting", {
    version: buildInfo.version,
    commit: buildInfo.commit,
    fingerprint: fingerprint(configIdentity(config)),
  });
  showBuild(metrics, config);

  const socket = await socketRules(options);
  makeSocketDirectory(socket);
  makeStateDirectory(options);
  for (const { code, message } of identityWarnings(process, socket.groupGid)) {
    logger.warn("config.warning", { code, reason: message });
  }

  const access = await openTransitAccess({
    config,
    clock,
    random,
    serviceUid: process.uid,
    openbaoObserver: (addresses) => openBaoObserver(telemetry, addresses),
    sessionObserver: sessionObserver(telemetry, config.auth.method),
    credentialObserver: credentialObserver(telemetry),
    onTrustProblem: (error) => failures.failed("tls.ca_reloaded", errorFields(error)),
  });
  metrics.tokenTtl.readAtScrape(() => access.session.health().ttlSeconds);
  if (config.auth.method === "cert") {
    metrics.certificateTtl.readAtScrape(() =>
      secondsUntil(access.session.health().credentialExpiresAtMs, clock),
    );
  }
  const watch = credentialWatch({
    method: access.method,
    session: access.session,
    openbao: access.authBao,
    clock,
    timeoutMs: config.openbao.timeout,
    observer: storedCredentialObserver(telemetry, config.auth.method),
  });
  metrics.credentialTtl.readAtScrape(() => secondsUntil(watch?.state().expiresAtMs, clock));
  metrics.secretIdUses.readAtScrape(() => watch?.state().usesLeft);

  const keys = keyStateOf(options, access.transit, telemetry);
  const correlation = startDebugCorrelation(config.logging.debugCorrelation, clock);
  const service = kmsService({
    keys,
    transit: coalescedCalls(access.transit.calls),
    caps: {
      Status: config.server.maxConcurrentStatus,
      Encrypt: config.server.maxConcurrentEncrypt,
      Decrypt: config.server.maxConcurrentDecrypt,
    },
    clock,
    observer: kmsObserver(telemetry, correlation),
  });

  return {
    renderMetrics: renderPage,
    transport: access.transport,
    session: access.session,
    watch,
    keys,
    correlation,
    listen: () =>
      startKmsListener({
        ...socket,
        clock,
        handlers: unaryHandlers(KeyManagementService, service, {
          maxMessageBytes: MAX_MESSAGE_BYTES,
          maxTimeoutMs: MAX_CALL_MS,
          quickCodecs: QUICK_CODECS,
        }),
        maxMessageBytes: MAX_MESSAGE_BYTES,
        limits: DEFAULT_SESSION_LIMITS,
        watchIntervalMs: SOCKET_WATCH_MS,
        onEvent: socketObserver(telemetry),
      }),
  };
}

function keyStateOf(
  { config, clock, random, process }: ProviderOptions,
  transit: TransitClient,
  telemetry: Telemetry,
): KeyState {
  const keys: KeyState = createKeyState({
    store: openConfiguredRegistry(config, { clock, euid: process.uid }),
    statePath: config.state.path,
    identity: configIdentity(config),
    pluginVersion: `v${buildInfo.version}`,
    transit,
    clock,
    random,
    policy: {
      requireStableObservationCount: config.rotation.requireStableObservationCount,
      activationDelayMs: config.rotation.activationDelay,
      probeIntervalMs: config.status.probeInterval,
      deepProbeIntervalMs: config.status.deepProbeInterval,
      statusMaxStalenessMs: config.status.statusMaxStaleness,
      outage: config.status.outage,
      retryIntervalMs: config.bootstrap.retryInterval,
      missingState: config.bootstrap.missingState,
      names: config.transit,
    },
    onEvent: keyObserver(telemetry, () => keys.view()),
  });
  return keys;
}

function showBuild(metrics: Metrics, { auth }: ProviderConfig): void {
  const { version, commit } = buildInfo;
  metrics.buildInfo.set({ version, commit, runtime: `bun ${Bun.version}` }, 1);
  metrics.authMethodInfo.setOnly({ method: auth.method });
  metrics.certificateSourceInfo.setOnly({
    source: auth.method === "cert" ? auth.cert.credential.source : "none",
  });
}

async function socketRules({ config, process }: ProviderOptions) {
  const { socketPath, socketMode, socketGroup, createDirectory } = config.server;
  return {
    path: socketPath,
    directory: dirname(socketPath),
    mode: socketMode,
    ownerUid: process.uid,
    ownerName: process.userName,
    groupGid: await resolveSocketGroup(socketGroup),
    groupName: socketGroup,
    mountPoints: createDirectory ? readMountPoints() : undefined,
    tryLock: trySqliteLock,
  };
}

/** Made on a volume when `state.createDirectory` asks for it; else the package or the operator makes it. */
function makeStateDirectory({ config: { state }, process }: ProviderOptions): void {
  if (state.createDirectory) {
    makeVolumeDirectory({
      path: dirname(state.path),
      field: "state.createDirectory",
      errorClass: "registry_invalid",
      uid: process.uid,
      gid: undefined,
      mode: 0o750,
      mountPoints: readMountPoints(),
    });
  }
}

function secondsUntil(wallMs: number | undefined, clock: Clock): number | undefined {
  return wallMs === undefined ? undefined : Math.floor((wallMs - clock.wallMs()) / 1000);
}
