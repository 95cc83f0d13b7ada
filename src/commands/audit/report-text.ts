/** @module The audit as aligned text, with a bar for each group. */
import { visible } from "../../base/visible-text.ts";
import { countOf } from "../../base/words.ts";
import { textTable } from "../../cli/output.ts";
import type { Evidence, SourceAudit } from "../../etcd/evidence.ts";
import {
  type GroupTone,
  grouped,
  groupLabel,
  reportedResources,
  sourceLabel,
} from "../../etcd/group-label.ts";
import { verdictOf } from "../../etcd/verdict.ts";

type Paint = (tone: GroupTone, text: string) => string;

const BAR_WIDTH = 24;
const EIGHTHS = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
/** Enough of a key_id to tell it from others of the same cluster. */
const SHOWN_KEY = 16;

/** The whole report, without a line break at its end. Names of objects do not appear in it. */
export function reportText({ audits, configuration, digest, limitations }: Evidence, paint: Paint): string {
  return [
    ...audits.flatMap((audit) => [...verdictLines(audit, paint), ""]),
    ...audits.flatMap((audit) => [...auditLines(audit, paint), ""]),
    ...(configuration?.clusterId === undefined ? [] : [`cluster        ${visible(configuration.clusterId)}`]),
    configuration === undefined
      ? "configuration  none given"
      : `configuration  ${configuration.fingerprint} (provider ${visible(configuration.providerName)})`,
    `digest         ${digest}`,
    "",
    "not looked at:",
    ...limitations.map((each) => `  - ${visible(each)}`),
  ].join("\n");
}

/** What a reader takes away, before any detail. */
function verdictLines(audit: SourceAudit, paint: Paint): string[] {
  const { isGood, sentence, next, coldStart } = verdictOf(audit);
  return [
    `${isGood ? paint("ours", "✓") : paint("bad", "✗")} ${sentence}`,
    ...(next === undefined ? [] : [`  next: ${next}`]),
    ...(coldStart === undefined ? [] : [`  ${coldStart}`]),
  ];
}

function auditLines(audit: SourceAudit, paint: Paint): string[] {
  const { listed, plaintextOnly } = reportedResources(audit);
  const counts = listed.flatMap(({ groups }) => groups.map(({ objects }) => grouped(objects).length));
  const countWidth = Math.max("OBJECTS".length, ...counts);
  const rows = listed.flatMap(({ resource, objects, groups }) =>
    groups.map((group, index) => {
      const { text, key, tone } = groupLabel(group);
      const share = group.objects / objects;
      return [
        index === 0 ? visible(resource) : "",
        text,
        key.length > SHOWN_KEY ? `${key.slice(0, SHOWN_KEY)}…` : key,
        grouped(group.objects).padStart(countWidth),
        `${paint(tone, bar(share))} ${percent(share)}`,
      ];
    }),
  );
  const head = ["RESOURCE", "STORED UNDER", "KEY", "OBJECTS".padStart(countWidth), ""];
  const hidden = plaintextOnly.reduce((total, { objects }) => total + objects, 0);
  return [
    sourceLabel(audit),
    `${grouped(audit.objects)} objects under ${visible(audit.prefix)}`,
    ...(audit.objects === 0
      ? ["nothing was found: is this kube-apiserver's --etcd-prefix, and its etcd?"]
      : []),
    "",
    ...(rows.length > 0 ? textTable(head, rows) : []),
    ...(plaintextOnly.length > 0
      ? [
          `in plaintext only: ${countOf(plaintextOnly.length, "other resource")} with ${grouped(hidden)} ${hidden === 1 ? "object" : "objects"}`,
        ]
      : []),
  ];
}

/** A bar in eighths of a character; what is more than nothing is never shown as nothing. */
function bar(share: number): string {
  const eighths = share > 0 ? Math.max(1, Math.round(share * BAR_WIDTH * 8)) : 0;
  return ("█".repeat(Math.floor(eighths / 8)) + (EIGHTHS[eighths % 8] ?? "")).padEnd(BAR_WIDTH);
}

/** Rounded, but 0 % and 100 % are said only when they are exact. */
function percent(share: number): string {
  const tenths = share > 0 && share < 1 ? Math.min(99.9, Math.max(0.1, share * 100)) : share * 100;
  return `${tenths.toFixed(1)} %`.padStart(7);
}
