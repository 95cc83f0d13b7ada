/** The daemon in this process, over the stand-in for OpenBao: what it starts, how it waits, and that nothing of it is left. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chownSync, existsSync, rmSync, writeFileSync } from "node:fs";
import type { configFile } from "../../test/fakes/config-file.ts";
import { makeNodeFiles, type NodeFiles } from "../../test/fakes/node-files.ts";
import { freePorts } from "../../test/harness/free-port.ts";
import { openKmsClient } from "../../test/harness/kms-client.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { ProviderError } from "../base/error-class.ts";
import { isJsonObject, type JsonObject, parseJson } from "../base/parse-json.ts";
import { decodeConfig } from "../config/decode-config.ts";
import { runDaemon } from "./daemon.ts";

type Fields = Parameters<NonNullable<Parameters<typeof configFile>[0]>>[0];

let node: NodeFiles;
let healthPort: number;
let metricsPort: number;
beforeEach(async () => {
  node = await makeNodeFiles();
  const [one = 0, two = 0] = await freePorts(2);
  [healthPort, metricsPort] = [one, two];
});
afterEach(() => node.dispose());

interface Running {
  /** Every line of the log. */
  readonly lines: readonly JsonObject[];
  readonly events: () => readonly unknown[];
  /** Resolves with the line of an event that comes from now on, or has come. */
  readonly event: (name: string) => Promise<JsonObject>;
  readonly hangUp: () => void;
  readonly isListening: () => boolean;
  readonly ended: Promise<string>;
  readonly stop: () => Promise<string>;
}

function daemon(
  change: (fields: Fields) => object = (fields) => fields,
  more: { clock?: Clock; readLogLevel?: () => Promise<"debug">; isSlow?: boolean } = {},
): Running {
  const text = configText((fields) => ({
    bootstrap: { retryInterval: "50ms", graceTimeout: "30s" },
    status: { probeInterval: "50ms", deepProbeInterval: "50ms" },
    ...fields,
    openbao: { ...fields.openbao, timeout: "30s" },
    ...change(fields),
  }));
  const lines: JsonObject[] = [];
  const waiting: (() => void)[] = [];
  let hangUp: (() => void) | undefined;
  const signal = new AbortController();
  const ended = runDaemon({
    config: decodeConfig(Buffer.from(text), "test").config,
    readLogLevel: more.readLogLevel ?? (async () => "debug"),
    process: { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, userName: "service" },
    clock: more.clock ?? systemClock,
    random: () => 0.5,
    stdout: {
      write: (written) => {
        // Lines that had to wait come as one.
        lines.push(...written.trimEnd().split("\n").map(parseJson).filter(isJsonObject));
        waiting.splice(0).forEach((wake) => wake());
        return more.isSlow !== true;
      },
      once: (_, listener) => setTimeout(listener, 5),
      on: () => {},
    },
    signal: signal.signal,
    onHangUp: (listener) => {
      hangUp = listener;
      return () => {
        hangUp = undefined;
      };
    },
  }).then(
    () => "stopped",
    (error: unknown) => (error instanceof ProviderError ? error.code : String(error)),
  );
  const running: Running = {
    lines,
    events: () => lines.map((line) => line["message"]),
    event: async (name) => {
      for (;;) {
        const found = lines.find((line) => line["message"] === name);
        if (found !== undefined) {
          return found;
        }
        await new Promise<void>((resolve) => {
          waiting.push(resolve);
        });
      }
    },
    hangUp: () => hangUp?.(),
    isListening: () => hangUp !== undefined,
    ended,
    stop: () => {
      signal.abort(new Error("SIGTERM"));
      return ended;
    },
  };
  return running;
}

/** The text of node-files' configuration with ports of this test. */
function configText(change: (fields: Fields) => object): string {
  let text = "";
  node.writeConfig((fields) => {
    const ports = { healthAddress: `127.0.0.1:${healthPort}`, metricsAddress: `127.0.0.1:${metricsPort}` };
    const changed = change({ ...fields, server: { ...fields.server, ...ports } });
    text = JSON.stringify(changed);
    return changed;
  });
  return text;
}

async function ready(): Promise<{ status: number; body: unknown }> {
  const reply = await fetch(`http://127.0.0.1:${healthPort}/ready`);
  return { status: reply.status, body: await reply.json() };
}

const isRefused = (url: string): Promise<boolean> =>
  fetch(url).then(
    () => false,
    () => true,
  );

test("serves, tells all of it, and leaves nothing behind", async () => {
  let sleeping = 0;
  const clock: Clock = {
    ...systemClock,
    sleep: async (ms, signal) => {
      sleeping += 1;
      try {
        await systemClock.sleep(ms, signal);
      } finally {
        // What is stopped takes its time.
        await (signal?.aborted ? Bun.sleep(60) : undefined);
        sleeping -= 1;
      }
    },
  };
  const running = daemon(undefined, { clock });
  await running.event("provider.ready");
  expect(await ready()).toEqual({
    status: 200,
    body: {
      ready: true,
      parts: {
        auth: { state: "ready" },
        metadata: { state: "ready" },
        key: { state: "ready" },
        status: { state: "ready" },
        socket: { state: "ready" },
        process: { state: "ready" },
      },
    },
  });
  expect((await fetch(`http://127.0.0.1:${healthPort}/live`)).status).toBe(200);
  const page = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  const series = page.split("\n").map((line) => line.replace(/^openbao_kms_/, ""));
  expect(series).toContain('auth_method_info{method="jwt"} 1');
  expect(series).toContain('certificate_source_info{source="none"} 1');
  expect(series.some((line) => /^build_info\{.*runtime="bun [0-9.]+"\} 1$/.test(line))).toBe(true);
  expect(series.some((line) => /^token_ttl_seconds \d+$/.test(line))).toBe(true);
  expect(series.some((line) => /^certificate_ttl_seconds \d/.test(line))).toBe(false);

  const client = openKmsClient(node.socketPath);
  const patient = { timeoutMs: 20_000 };
  const { keyId } = await client.status(patient);
  const { ciphertext, annotations } = await client.encrypt(Buffer.from("seed"), patient);
  const { plaintext } = await client.decrypt({ ciphertext, annotations, keyId }, patient);
  expect(Buffer.from(plaintext).toString()).toBe("seed");
  client.close();

  expect(await running.stop()).toBe("stopped");
  expect(sleeping).toBe(0);
  expect(running.events().filter((event) => String(event).startsWith("provider."))).toEqual([
    "provider.starting",
    "provider.started",
    "provider.ready",
    "provider.stopping",
    "provider.stopped",
  ]);
  // A probe's request that was given up may still arrive; it is refused, since its token is gone.
  expect(node.openbao.calls.findLast(({ status }) => status < 400)?.path).toBe("auth/token/revoke-self");
  expect(existsSync(node.socketPath)).toBe(false);
  expect(await isRefused(`http://127.0.0.1:${healthPort}/live`)).toBe(true);
  expect(await isRefused(`http://127.0.0.1:${metricsPort}/metrics`)).toBe(true);
  expect(running.isListening()).toBe(false);
});

test("all that was logged is written before it ends, however slow its reader is", async () => {
  const running = daemon(undefined, { isSlow: true });
  await running.event("provider.ready");
  await running.stop();
  expect(running.events()).toContain("provider.stopped");
});

describe("SIGHUP", () => {
  test("reads the CA and the log level again", async () => {
    const running = daemon();
    await running.event("provider.ready");
    running.hangUp();
    expect(await running.event("config.reloaded")).toMatchObject({ state: "debug" });
    expect(await running.event("tls.ca_reloaded")).toMatchObject({ state: "unchanged" });
    await running.event("status.probe");
    await running.stop();
  });

  test("of which one part fails still does the other", async () => {
    const readLogLevel = (): Promise<"debug"> =>
      Promise.reject(new ProviderError({ code: "x", errorClass: "config_invalid", message: "m" }));
    const running = daemon(undefined, { readLogLevel });
    await running.event("provider.ready");
    rmSync(node.at("ca.crt"));
    running.hangUp();
    expect(await running.event("config.reloaded")).toMatchObject({ error_class: "config_invalid" });
    expect(await running.event("tls.ca_reloaded")).toMatchObject({ code: "file_missing" });
    await running.stop();
  });
});

describe("a start that is not ready", () => {
  const grace = (graceTimeout: string) => () => ({ bootstrap: { graceTimeout, retryInterval: "50ms" } });

  test("waits for its grace, and leaves with the reason", async () => {
    node.openbao.state.sealed = true;
    const running = daemon(grace("300ms"));
    const started = performance.now();
    expect(await running.ended).toBe("sealed");
    expect(performance.now() - started).toBeGreaterThanOrEqual(300);
    expect(running.events()).not.toContain("provider.ready");
    expect(running.lines.at(-1)).toMatchObject({ message: "provider.failed", code: "sealed" });
    expect(existsSync(node.socketPath)).toBe(false);
  });

  test("shows which parts are not, and is ready as soon as they are", async () => {
    node.openbao.state.sealed = true;
    const running = daemon();
    await running.event("provider.started");
    await running.event("status.probe");
    const { status, body } = await ready();
    expect(status).toBe(503);
    expect(body).toMatchObject({
      ready: false,
      parts: {
        metadata: { state: "unknown", error_class: "openbao_sealed" },
        key: { state: "none", error_class: "openbao_sealed" },
        status: { state: "none", error_class: "openbao_sealed" },
        socket: { state: "ready" },
        process: { state: "ready" },
      },
    });
    node.openbao.state.sealed = false;
    await running.event("provider.ready");
    await running.stop();
  });

  test("with a registry it serves on beyond its grace while OpenBao is away", async () => {
    const first = daemon();
    await first.event("provider.ready");
    await first.stop();
    node.openbao.state.sealed = true;
    let looks = 0;
    let tell: () => void = () => {};
    const lookedTwice = new Promise<void>((resolve) => {
      tell = resolve;
    });
    const clock: Clock = {
      ...systemClock,
      sleep: (ms, signal) => {
        looks += ms === 250 ? 1 : 0;
        if (looks === 3) {
          tell();
        }
        return systemClock.sleep(ms, signal);
      },
    };
    const second = daemon(grace("0s"), { clock });
    await second.event("status.probe");
    await lookedTwice;
    expect((await ready()).body).toMatchObject({
      parts: { key: { state: "known" }, status: { state: "openbao_sealed" } },
    });
    expect(await second.stop()).toBe("stopped");
    expect(second.events()).not.toContain("provider.ready");
  });

  test("ends at a signal, without having been ready", async () => {
    node.openbao.state.sealed = true;
    const running = daemon();
    await running.event("provider.started");
    expect(await running.stop()).toBe("stopped");
    expect(running.events()).not.toContain("provider.ready");
  });
});

describe("what is wrong on this machine", () => {
  test.each(["server", "state"] as const)("a directory of %s that is not below a volume", async (section) => {
    const running = daemon((fields) => ({
      [section]: {
        ...(section === "server" ? { ...fields.server, ...ports() } : { path: node.at("made/r.json") }),
        createDirectory: true,
      },
    }));
    expect(await running.ended).toBe("volume_not_mounted");
    expect(running.events()).toEqual(["provider.starting", "provider.failed"]);
  });
  const ports = () => ({
    healthAddress: `127.0.0.1:${healthPort}`,
    metricsAddress: `127.0.0.1:${metricsPort}`,
    socketPath: node.at("made/kms.sock"),
  });

  test("a registry that is damaged", async () => {
    writeFileSync(node.at("state/key-registry.json"), "damaged", { mode: 0o600 });
    const running = daemon();
    expect(await running.ended).toBe("registry_foreign");
    expect(running.events()).not.toContain("provider.started");
  });

  test("a socket group that is the service's own is only warned of", async () => {
    const gid = process.getgid?.() ?? 0;
    chownSync(node.at("run"), process.getuid?.() ?? 0, gid);
    const running = daemon((fields) => ({
      server: { ...fields.server, ...ports(), socketPath: node.socketPath, socketGroup: String(gid) },
    }));
    await running.event("provider.ready");
    expect(running.events()).toContain("config.warning");
    await running.stop();
  });
});
