/** @module `rebuild-registry`: gathers which versions are in use, shows the registry to be and, with --apply, writes it. */
import { createHash } from "node:crypto";
import { systemClock } from "../../base/clock.ts";
import { readSafeFile } from "../../base/safe-file.ts";
import type { CommandContext } from "../../cli/command.ts";
import { UsageError } from "../../cli/errors.ts";
import type { ExitName } from "../../cli/exit-code.ts";
import { printReport } from "../../cli/output.ts";
import { keyUsages } from "../../etcd/evidence.ts";
import { fingerprint } from "../../key/identity/fingerprint.ts";
import { decodeGoRegistry, MAX_GO_REGISTRY_BYTES } from "../../key/registry/go-registry.ts";
import type { RegistryContent } from "../../key/registry/record.ts";
import { planRebuild } from "../../key/rotation/plan-rebuild.ts";
import type { KeyVersion } from "../../openbao/transit/key-metadata.ts";
import { configIdentity } from "../../provider/registry.ts";
import { changeRegistry } from "../change-registry.ts";
import { loadConfiguration, serviceUidOf } from "../configuration.ts";
import { allEvidence } from "../evidence.ts";
import { readLiveKey } from "../key-inspection.ts";
import { blockerLines, requireStateHash, stateHashLines } from "../reviewed-plan.ts";
import type { RebuildFlags } from "./command.ts";

export async function rebuildRegistry(flags: RebuildFlags, context: CommandContext): Promise<ExitName> {
  const reason = flags["override-reason"];
  if (flags["abandon-versions"] && reason === undefined) {
    throw new UsageError(
      "--abandon-versions needs --override-reason",
      "give the reason; the registry keeps it",
    );
  }
  const { config } = await loadConfiguration(flags, context);
  const identity = configIdentity(config);
  const mark = fingerprint(identity);
  const metadata = await readLiveKey(config, context);
  const handedOver =
    flags["from-go"] === undefined ? [] : await goVersions(flags["from-go"], identity, serviceUidOf(config));
  const evidence = await allEvidence(
    flags,
    {
      identity,
      configuration: { fingerprint: mark, providerName: identity.providerName },
      versions: [...handedOver, ...metadata.versions],
    },
    context,
  );
  const plan = planRebuild({
    identity,
    fingerprint: mark,
    metadata,
    expectedKeyId: flags["expected-key-id"],
    handedOver,
    usages: evidence.flatMap(keyUsages),
    abandon:
      flags["abandon-versions"] && reason !== undefined
        ? { by: `uid ${process.getuid?.() ?? 0}`, reason }
        : undefined,
    nowUnixMs: systemClock.wallMs(),
  });
  const { content } = plan;
  const planHash = content === undefined ? "" : hashOf(content);
  const applied = flags.apply && content !== undefined;
  if (applied) {
    requireStateHash(flags["expected-state-hash"], planHash);
    await changeRegistry(config, undefined, content, context.signal);
  }
  const { output } = context;
  const versions = (content?.versions ?? []).map(({ version, createdAtUnix, state }) => ({
    version,
    createdAtUnix,
    state,
  }));
  const lines = [
    ...(versions.length === 0
      ? []
      : [applied ? `${output.paint("green", "✓")} written to ${config.state.path}:` : "would write:"]),
    ...versions.map(
      ({ version, createdAtUnix, state }) =>
        `    version ${version}  ${state}  made ${new Date(createdAtUnix * 1000).toISOString()}`,
    ),
    ...plan.unreadable.map(
      ({ where, objects, statedVersion }) =>
        `${output.paint("red", "✗")} cannot be read again: ${where}, ${objects} objects on version ${statedVersion}`,
    ),
    ...blockerLines(plan.blockers, output.paint),
    ...(content === undefined || applied ? [] : stateHashLines(planHash, true)),
  ];
  const { unreadable, blockers } = plan;
  printReport(output, flags.output, lines, { applied, planHash, versions, unreadable, blockers });
  return content === undefined ? "refused" : "good";
}

/** What a review confirms: versions and their states, not the time of the plan. */
function hashOf({ identity, versions }: RegistryContent): string {
  const decided = versions.map(({ version, createdAtUnix, state }) => ({ version, createdAtUnix, state }));
  return createHash("sha256").update(JSON.stringify({ identity, decided })).digest("base64url");
}

async function goVersions(
  path: string,
  identity: ReturnType<typeof configIdentity>,
  serviceUid: number,
): Promise<readonly KeyVersion[]> {
  const { bytes } = await readSafeFile(path, {
    what: "the registry of the Go implementation",
    field: "--from-go",
    maxBytes: MAX_GO_REGISTRY_BYTES,
    secret: false,
    serviceUid,
    errorClass: "registry_invalid",
  });
  return decodeGoRegistry(bytes, path, identity);
}
