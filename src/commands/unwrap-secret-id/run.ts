/** @module `unwrap-secret-id`: makes everything on this machine ready first, since a wrapping token opens once. */
import { readFileSync } from "node:fs";
import { systemClock } from "../../base/clock.ts";
import { formatDuration } from "../../base/duration.ts";
import { Secret } from "../../base/secret.ts";
import type { CommandContext } from "../../cli/command.ts";
import { CommandError, UsageError } from "../../cli/errors.ts";
import type { ExitName } from "../../cli/exit-code.ts";
import { printReport } from "../../cli/output.ts";
import type { ProviderConfig } from "../../config/schema.ts";
import { approleLoginMethod } from "../../openbao/auth/approle-method.ts";
import { readSecretFile } from "../../openbao/auth/secret-file.ts";
import {
  type SecretIdTrial,
  trySecretId,
  type UnwrappedSecretId,
  unwrapSecretId,
} from "../../openbao/auth/unwrap-secret-id.ts";
import { openTransitAccess } from "../../provider/transit-access.ts";
import { findGroup } from "../../server/socket/socket-group.ts";
import { loadConfiguration } from "../configuration.ts";
import type { UnwrapFlags } from "./command.ts";
import { stageSecret } from "./staged-secret.ts";

const FIELD = "auth.approle.secretIdFile";
const TOKEN_FIELD = "--wrapping-token-file";
const MAX_TOKEN_BYTES = 8192;
const TOKEN = /^[\x21-\x7e]+$/;
/** A role is one segment of a path of OpenBao's API. */
const ROLE = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,255}$/;

export async function unwrapSecretIdToFile(flags: UnwrapFlags, context: CommandContext): Promise<ExitName> {
  const { role } = flags;
  if (role === undefined || !ROLE.test(role)) {
    throw new UsageError("--role must be the name of the AppRole", "see: bao list auth/approle/role");
  }
  if (process.geteuid?.() !== 0) {
    throw new CommandError(
      "not_root",
      "only root can run unwrap-secret-id: root owns the secret id file",
      "run it with sudo",
    );
  }
  const { config } = await loadConfiguration(flags, context);
  const approle = appRoleOf(config);
  const { mountPath, secretIdFile: path } = approle;
  const gid = groupId(flags.group);
  const wrappingToken = await readToken(flags, context);

  await using staged = await stageSecret(path, FIELD, { uid: 0, gid });
  const { authBao: openbao, transport } = await openTransitAccess({
    config,
    clock: systemClock,
    random: Math.random,
    serviceUid: 0,
  });
  try {
    const request = { openbao, wrappingToken, mountPath, roleName: role };
    const unwrapped = await unwrapSecretId(request, context.signal);
    await staged.write(unwrapped.secretId);
    const trial =
      unwrapped.uses > 0
        ? undefined
        : await trySecretId(
            {
              openbao,
              method: approleLoginMethod({ ...approle, secretIdFile: staged.path, serviceUid: 0 }),
              roleName: role,
              clock: systemClock,
              timeoutMs: config.auth.loginTimeout,
            },
            context.signal,
          );
    await staged.commit();
    report(flags, path, unwrapped, trial, context);
    return "good";
  } finally {
    transport.close();
  }
}

function report(
  { group, output: format }: UnwrapFlags,
  path: string,
  { ttlSeconds, uses }: UnwrappedSecretId,
  trial: SecretIdTrial | undefined,
  { output }: CommandContext,
): void {
  if (trial?.kind === "unknown") {
    output.say(`warning: whether it lets the provider in is not known: ${trial.reason}`);
  }
  const span = ttlSeconds === 0 ? "without an end" : `for ${formatDuration(ttlSeconds * 1000)}`;
  const logins = uses === 0 ? "any number of logins" : `${uses} login${uses === 1 ? "" : "s"}`;
  const isLetIn = trial?.kind === "let_in";
  const lines = [
    `${output.paint("green", "✓")} ${path} written (root:${group} 0640)`,
    `  good ${span}, for ${logins}${isLetIn ? "; OpenBao let it in" : ""}`,
  ];
  printReport(output, format, lines, {
    file: path,
    ttlSeconds: ttlSeconds === 0 ? null : ttlSeconds,
    uses: uses === 0 ? null : uses,
    letIn: isLetIn,
  });
  if (uses > 0 && format === "text") {
    output.say(
      "warning: each login uses one up, those of doctor too; at the end of token_max_ttl the provider logs in again",
    );
  }
}

function appRoleOf({ auth }: ProviderConfig) {
  if (auth.method !== "approle") {
    throw new CommandError(
      "not_approle",
      `auth.method is ${auth.method}, so there is no secret id`,
      "set auth.method to approle, or give --config with a configuration that uses AppRole",
    );
  }
  return auth.approle;
}

function groupId(group: string): number {
  const gid = /^\d{1,9}$/.test(group) ? Number(group) : findGroup(readFileSync("/etc/group", "utf8"), group);
  if (gid === undefined) {
    throw new CommandError(
      "group_unknown",
      `--group: ${JSON.stringify(group)} is not a group in /etc/group`,
      "give the provider's primary group, by name or number: id -g openbao-kms",
    );
  }
  return gid;
}

async function readToken(
  { "wrapping-token-file": path }: UnwrapFlags,
  { output, signal }: CommandContext,
): Promise<Secret> {
  if (path !== undefined) {
    return readSecretFile(path, {
      field: TOKEN_FIELD,
      what: "the wrapping token",
      maxBytes: MAX_TOKEN_BYTES,
      serviceUid: 0,
      errorClass: "config_invalid",
    });
  }
  if (process.stdin.isTTY) {
    output.say("the wrapping token, then Enter:");
  }
  const line = await readOneLine(Bun.stdin.stream(), MAX_TOKEN_BYTES, signal);
  if (line === undefined || !TOKEN.test(line)) {
    throw new UsageError(
      "standard input contains no wrapping token",
      `pipe it in, or name a file with ${TOKEN_FIELD}; one is made by: bao write -wrap-ttl=5m -f -field=wrapping_token auth/approle/role/ROLE/secret-id`,
    );
  }
  return new Secret(line);
}

/** The first line without blanks around it; `undefined` when it is longer than `maxBytes`. Rejects with the signal's reason. */
export async function readOneLine(
  stream: ReadableStream<Uint8Array>,
  maxBytes: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  signal.throwIfAborted();
  const reader = stream.getReader();
  const stop = (): void => void reader.cancel().catch(() => {});
  signal.addEventListener("abort", stop, { once: true });
  let text = "";
  try {
    for (;;) {
      const { value } = await reader.read();
      signal.throwIfAborted();
      text += value === undefined ? "" : Buffer.from(value).toString("latin1");
      const end = text.indexOf("\n");
      const line = end === -1 ? text : text.slice(0, end);
      if (line.length > maxBytes) {
        return undefined;
      }
      if (value === undefined || end !== -1) {
        return line.trim();
      }
    }
  } finally {
    stop();
  }
}
