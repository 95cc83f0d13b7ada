/** @module `audit`: ties the configuration's key to the sources and writes the report. etcd/ reads and counts. */
import { visible } from "../../base/visible-text.ts";
import type { CommandContext } from "../../cli/command.ts";
import { UsageError } from "../../cli/errors.ts";
import type { ExitName } from "../../cli/exit-code.ts";
import { jsonText, type Output } from "../../cli/output.ts";
import { evidenceText, type ObjectGroup } from "../../etcd/evidence.ts";
import { groupLabel } from "../../etcd/group-label.ts";
import { keyIdsOf, type ListedObject } from "../../etcd/tally.ts";
import { isStale } from "../../etcd/verify-rotation.ts";
import { loadConfiguration } from "../configuration.ts";
import { auditSources } from "../evidence.ts";
import { type RecordedVersions, recordedVersions } from "../recorded-versions.ts";
import type { AuditFlags } from "./command.ts";
import { reportHtml } from "./report-html.ts";
import { reportText } from "./report-text.ts";
import { refuseExisting, writeNewFile } from "./write-new-file.ts";

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
  const named = namedObject(flags, recorded, output);
  const listed = lister(flags, recorded, output);
  const evidence = await auditSources(
    flags,
    {
      knownKeyIds: recorded === undefined ? new Map() : keyIdsOf(recorded.identity, recorded.versions),
      configuration: recorded?.configuration,
      onObject: (object) => {
        listed.onObject?.(object);
        named.onObject(object);
      },
      onReset: listed.onReset,
    },
    context,
  );
  named.end();
  if (flags["evidence-out"] !== undefined) {
    await writeNewFile(flags["evidence-out"], evidenceText(evidence), "--evidence-out");
  }
  if (flags.html !== undefined) {
    await writeNewFile(flags.html, reportHtml(evidence), "--html");
  }
  const isAlone = flags.list === "none" && flags.object === undefined;
  const json = (): string => (isAlone ? jsonText(evidence) : `${JSON.stringify(evidence)}\n`);
  const text = (): string => `${reportText(evidence, (tone, part) => output.paint(COLOURS[tone], part))}\n`;
  output.result(flags.output === "text" ? text() : json());
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

/** Judges the object of `--object` wherever it is read, and says at the end when no source has it. */
function namedObject(
  { object: wanted, output: format }: AuditFlags,
  recorded: RecordedVersions | undefined,
  output: Output,
): { readonly onObject: (object: ListedObject) => void; readonly end: () => void } {
  if (wanted === undefined) {
    return { onObject: () => {}, end: () => {} };
  }
  if (recorded?.stored === undefined) {
    throw new UsageError(
      "--object needs a registry: which key_ids are derivable is read from it",
      "name --config with a registry in its state.path",
    );
  }
  let isSeen = false;
  const report = (group: ListedObject["group"] | undefined): void => {
    const judgement = judgementOf(group);
    output.result(
      format === "json"
        ? `${JSON.stringify({ object: wanted, judgement, ...group })}\n`
        : `${visible(wanted)}: ${JUDGEMENT_TEXT[judgement]}\n`,
    );
  };
  return {
    onObject: ({ resource, path, group }) => {
      if (`${resource}/${path}` === wanted) {
        isSeen = true;
        report(group);
      }
    },
    end: () => {
      if (!isSeen) {
        report(undefined);
      }
    },
  };
}

function objectLine({ resource, path, group }: ListedObject, format: "text" | "json"): string {
  return format === "json"
    ? `${JSON.stringify({ resource, path, ...group })}\n`
    : `${visible(`${resource} ${path}`)}  ${groupLabel(group).text}\n`;
}

const JUDGEMENT_TEXT = {
  derivable:
    "derivable: a version in this node's registry derives to its key_id. Do not delete it: check with `bao-kms-provider probe` that the provider and OpenBao answer",
  not_derivable:
    "not derivable: no version in this node's registry derives to its key_id. Do not delete it yet: the version may be restored with `bao-kms-provider restore-versions`, or the object belongs to another key",
  not_ours: "not encrypted by this provider: its state has another cause",
  damaged: "damaged: its envelope contradicts itself. Restore it from a backup",
  absent: "in no source under this prefix: check the spelling (secrets/NAMESPACE/NAME) and --etcd-prefix",
} as const;

type Judgement = keyof typeof JUDGEMENT_TEXT;

const JUDGEMENT_OF_OTHERS: Readonly<Record<Exclude<ObjectGroup["kind"], "ours">, Judgement>> = {
  plaintext: "not_ours",
  local_key: "not_ours",
  kms_v1: "not_ours",
  kms_v2_other: "not_ours",
  damaged: "damaged",
  unknown: "damaged",
};

/** `undefined`: no source has the object. `derived` is known only for versions in this node's registry. */
export function judgementOf(group: ObjectGroup | undefined): Judgement {
  if (group?.kind === "ours") {
    return group.versionFrom === "derived" ? "derivable" : "not_derivable";
  }
  return group === undefined ? "absent" : JUDGEMENT_OF_OTHERS[group.kind];
}
