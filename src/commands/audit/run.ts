/**
 * What `audit` does.
 *
 * @module Ties the configuration's key to the sources and writes the three forms of the report. Reading and counting are
 * audit/'s.
 */

import { visible } from "../../base/visible-text.ts";
import type { CommandContext } from "../../cli/command.ts";
import type { ExitName } from "../../cli/exit-code.ts";
import { jsonText, type Output } from "../../cli/output.ts";
import { UsageError } from "../../cli/usage-error.ts";
import { evidenceText } from "../../etcd/evidence.ts";
import { groupLabel } from "../../etcd/group-label.ts";
import { knownKeyIds } from "../../etcd/known-key-ids.ts";
import { isStale } from "../../etcd/stale.ts";
import type { ListedObject } from "../../etcd/tally.ts";
import type { SourceFlags } from "../audit-sources.ts";
import { collectEvidence } from "../collect-evidence.ts";
import { type ConfigurationFlags, loadConfiguration } from "../configuration.ts";
import { type RecordedVersions, recordedVersions } from "../recorded-versions.ts";
import { reportHtml } from "./report-html.ts";
import { reportText } from "./report-text.ts";
import { refuseExisting, writeNewFile } from "./write-new-file.ts";

export interface AuditFlags extends SourceFlags, ConfigurationFlags {
  readonly list: "none" | "stale" | "all";
  readonly "evidence-out": string | undefined;
  readonly html: string | undefined;
  readonly output: "text" | "json";
}

/** Of plaintext only Secrets are listed as stale: which other resources should be encrypted, etcd does not tell. */
const LISTED_PLAINTEXT: ReadonlySet<string> = new Set(["secrets"]);

const COLOURS = { ours: "green", other: "dim", plain: "yellow", bad: "red" } as const;

export async function audit(flags: AuditFlags, context: CommandContext): Promise<ExitName> {
  const { output } = context;
  for (const field of ["evidence-out", "html"] as const) {
    const path = flags[field];
    if (path !== undefined) {
      await refuseExisting(path, `--${field}`);
    }
  }
  const recorded =
    flags.config === undefined
      ? undefined
      : await recordedVersions((await loadConfiguration(flags, context)).config);
  const evidence = await collectEvidence(
    flags,
    {
      knownKeyIds: recorded === undefined ? new Map() : knownKeyIds(recorded.identity, recorded.versions),
      configuration: recorded?.configuration,
      ...lister(flags, recorded, output),
    },
    context,
  );
  if (flags["evidence-out"] !== undefined) {
    await writeNewFile(flags["evidence-out"], evidenceText(evidence), "--evidence-out");
  }
  if (flags.html !== undefined) {
    await writeNewFile(flags.html, reportHtml(evidence), "--html");
  }
  if (flags.output === "text") {
    output.result(`${reportText(evidence, (tone, text) => output.paint(COLOURS[tone], text))}\n`);
  } else {
    output.result(flags.list === "none" ? jsonText(evidence) : `${JSON.stringify(evidence)}\n`);
  }
  return "good";
}

/** Lists objects while they are read, so that none has to be kept: lines of text, or one JSON object a line. */
function lister(
  flags: AuditFlags,
  recorded: RecordedVersions | undefined,
  output: Output,
): { readonly onObject?: (object: ListedObject) => void; readonly onReset?: () => void } {
  if (flags.list === "none") {
    return {};
  }
  const activeKeyId = recorded?.activeKeyId;
  if (flags.list === "stale" && activeKeyId === undefined) {
    throw new UsageError(
      "--list stale needs to know the active version",
      "name --config with a registry in its state.path, or take --list all",
    );
  }
  let reads = 0;
  return {
    onObject: (object) => {
      if (
        activeKeyId === undefined ||
        flags.list === "all" ||
        isStale(object, activeKeyId, LISTED_PLAINTEXT)
      ) {
        output.result(objectLine(object, flags.output));
      }
    },
    onReset: () => {
      reads += 1;
      if (reads > 1) {
        output.say("the read begins again, or the next source: a running etcd's objects are listed anew");
      }
    },
  };
}

function objectLine({ resource, path, group }: ListedObject, format: "text" | "json"): string {
  return format === "json"
    ? `${JSON.stringify({ resource, path, ...group })}\n`
    : `${visible(`${resource} ${path}`)}  ${groupLabel(group).text}\n`;
}
