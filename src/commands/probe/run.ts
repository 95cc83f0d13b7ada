/** @module `probe`: waits for the socket if asked to, runs the checks, and prints the report that plans take as a node report. */

import { randomBytes, randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { systemClock } from "../../base/clock.ts";
import { errnoOf } from "../../base/errno.ts";
import { runAs } from "../../base/spawn-as-user.ts";
import type { CommandContext } from "../../cli/command.ts";
import { CommandError } from "../../cli/errors.ts";
import { EXIT_CODES, type ExitName } from "../../cli/exit-code.ts";
import { type KmsClient, KmsClientError, openKmsClient } from "../../kms/client.ts";
import { checkReport, runChecks } from "../check.ts";
import { loadConfiguration } from "../configuration.ts";
import { statOrUndefined } from "../file-or-nothing.ts";
import { compareReports, readNodeReport } from "../node-report.ts";
import { recordedVersions } from "../recorded-versions.ts";
import { findApiServer } from "./apiserver-process.ts";
import { PROBE_CHECKS, PROBE_IDS, type ProbeContext } from "./checks.ts";
import type { ProbeFlags } from "./command.ts";

const WAIT_STEP_MS = 100;
/** A report has some 2 KiB. */
const MAX_CHILD_BYTES = 64 * 1024;

export async function probe(flags: ProbeFlags, context: CommandContext): Promise<ExitName> {
  const { output, signal } = context;
  if (flags.compare.length > 0) {
    const reports = await Promise.all(flags.compare.map((file) => readNodeReport(file, "--compare")));
    const { isGood, lines } = compareReports(reports);
    output.result(`${lines.join("\n")}\n`);
    return isGood ? "good" : "refused";
  }
  if (flags["as-apiserver"]) {
    return asApiServer(flags, context);
  }
  const client = openKmsClient({ socketPath: flags.socket, timeoutMs: flags.timeout, uid: randomUUID });
  try {
    if (flags["wait-socket"] !== undefined) {
      const pid = flags["while-process"];
      await waitForStart(client, flags["wait-socket"], () => pid === undefined || isAlive(pid), signal);
    }
    const probeContext: ProbeContext = {
      client,
      expectedKeyId: flags["expected-key-id"],
      random: randomBytes,
      monotonicMs: () => systemClock.monotonicMs(),
      took: {},
    };
    const { onResult, end } = checkReport(output, flags.output, PROBE_IDS);
    const results = await runChecks(PROBE_CHECKS, probeContext, signal, onResult);
    const recorded =
      flags.config === undefined
        ? undefined
        : await recordedVersions((await loadConfiguration(flags, context)).config);
    const removed = recorded?.versions.filter(({ state }) => state === "removed");
    const caller = currentCaller();
    const unproven = unprovenBy(caller.uid, flags.socket);
    const { status, took } = probeContext;
    const isGood = end(results, () => ({
      host: hostname(),
      checkedAt: new Date(systemClock.wallMs()).toISOString(),
      socket: flags.socket,
      caller,
      keyId: status?.keyId ?? "",
      healthz: status?.healthz ?? null,
      removedVersions: removed?.map(({ version }) => version),
      tookMs: {
        status: took["probe.status"] ?? null,
        encrypt: took["probe.encrypt"] ?? null,
        decrypt: took["probe.decrypt"] ?? null,
      },
      unproven,
    }));
    // A unit that waits for its own process proves nothing about kube-apiserver, and its journal needs no note at each start.
    if (flags.output === "text" && flags["while-process"] === undefined) {
      output.result(unproven.map((sentence) => `${output.paint("yellow", "note:")} ${sentence}\n`).join(""));
    }
    return isGood ? "good" : "refused";
  } finally {
    client.close();
  }
}

/** Until the provider has started, the time is over, or no process can answer; the checks then name the fault. */
async function waitForStart(
  client: KmsClient,
  timeoutMs: number,
  mayAnswer: () => boolean,
  signal: AbortSignal,
): Promise<void> {
  const endMs = systemClock.monotonicMs() + timeoutMs;
  while (systemClock.monotonicMs() < endMs && mayAnswer()) {
    if (await hasStarted(client, signal)) {
      return;
    }
    await systemClock.sleep(WAIT_STEP_MS, signal);
  }
}

/** The socket answers before the key was read: Status is `starting` then, or Unavailable on a node without a registry. */
async function hasStarted(client: KmsClient, signal: AbortSignal): Promise<boolean> {
  try {
    const { healthz } = await client.status(signal);
    return healthz !== "starting";
  } catch (error) {
    return (
      error instanceof KmsClientError && error.code === "call_refused" && error.grpcCode !== "Unavailable"
    );
  }
}

/** Signal 0 asks whether the process is there; one of another user is there too (EPERM). */
function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return errnoOf(error) !== "ESRCH";
  }
}

async function asApiServer(flags: ProbeFlags, { output, signal }: CommandContext): Promise<ExitName> {
  if (process.geteuid?.() !== 0) {
    throw new CommandError("not_root", "--as-apiserver: only root may run as another user", "run it as root");
  }
  const server = findApiServer(flags["apiserver-pid"]);
  output.say(`kube-apiserver is process ${server.pid}, uid ${server.uid}, gid ${server.gid}`);
  if (server.uid === 0) {
    output.say("note: it runs as root, which may connect to every socket: permissions prove nothing here");
  }
  if (server.hasOwnMounts) {
    output.say(
      `note: it runs in a container: whether ${flags.socket} leads it to the same socket is not proven; see its volumes`,
    );
  }
  const expected = flags["expected-key-id"];
  const { code, stdout, stderr } = await runAs({
    identity: server,
    args: [
      "probe",
      `--socket=${flags.socket}`,
      `--timeout=${flags.timeout}ms`,
      `--output=${flags.output}`,
      ...(expected === undefined ? [] : [`--expected-key-id=${expected}`]),
      ...(flags["wait-socket"] === undefined ? [] : [`--wait-socket=${flags["wait-socket"]}ms`]),
    ],
    input: "",
    maxBytes: MAX_CHILD_BYTES,
    signal,
  });
  output.result(stdout);
  if (stderr !== "") {
    output.say(stderr.trimEnd());
  }
  const known = (["good", "internal", "usage", "configuration", "refused", "interrupted"] as const).find(
    (name) => EXIT_CODES[name].code === code,
  );
  return known ?? "internal";
}

export function currentCaller() {
  return {
    uid: process.geteuid?.() ?? 0,
    gid: process.getegid?.() ?? 0,
    groups: [...(process.getgroups?.() ?? [])].sort((left, right) => left - right),
  };
}

/** What a probe by this caller cannot prove, each as a sentence with what to do instead. */
export function unprovenBy(uid: number, socketPath: string): readonly string[] {
  if (uid === 0) {
    return [
      "this probe ran as root and does not prove that kube-apiserver's user may connect; use --as-apiserver, or sudo -u that user",
    ];
  }
  return statOrUndefined(socketPath)?.uid === uid
    ? [
        "this probe ran as the socket's owner and does not prove that kube-apiserver's user may connect; as root, use --as-apiserver",
      ]
    : [];
}
