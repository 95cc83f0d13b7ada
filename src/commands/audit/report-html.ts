/** @module The audit as one HTML page for a change ticket: no script, nothing loaded, every text escaped, one SVG bar per resource. */
import { visible } from "../../base/visible-text.ts";
import { countOf } from "../../base/words.ts";
import type { Evidence, SourceAudit, StoredGroup } from "../../etcd/evidence.ts";
import {
  type GroupTone,
  grouped,
  groupLabel,
  reportedResources,
  sourceLabel,
} from "../../etcd/group-label.ts";
import { verdictOf } from "../../etcd/verdict.ts";

const CHART_WIDTH = 860;
const ROW_HEIGHT = 26;
const LABEL_WIDTH = 260;
const COLOURS: Readonly<Record<GroupTone, readonly string[]>> = {
  ours: ["#1a7f4b", "#6bb38a", "#a9d3ba", "#d5e9dd"],
  other: ["#3b6ea8", "#86a9d0"],
  plain: ["#c98a1b"],
  bad: ["#b3261e"],
};

const STYLE = `
body{font:15px/1.5 system-ui,sans-serif;color:#1d1f23;max-width:900px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid #ddd}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}code{font-size:.85em;word-break:break-all}
.verdict{border-left:.4rem solid;padding:.4rem .8rem}.good{border-color:#1a7f4b}.bad{border-color:#b3261e}
.box{display:inline-block;width:.8em;height:.8em;margin-right:.4em;border-radius:2px}`;

/** The HTML document. */
export function reportHtml({
  audits,
  configuration,
  createdAt,
  digest,
  limitations,
  providerVersion,
}: Evidence): string {
  const facts: readonly (readonly [string, string])[] = [
    ["Made", createdAt],
    ["By", `bao-kms-provider ${providerVersion}`],
    [
      "Configuration",
      configuration === undefined
        ? "none given"
        : `${configuration.fingerprint} (provider ${configuration.providerName})`,
    ],
    ...(configuration?.clusterId === undefined ? [] : [["Cluster", configuration.clusterId] as const]),
    ["Digest", digest],
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Encryption at rest: audit of ${escape(createdAt)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>Encryption at rest: which key each stored object needs</h1>
${audits.map(verdictSection).join("\n")}
<table>
${facts.map(([name, text]) => `<tr><th>${name}</th><td><code>${escape(text)}</code></td></tr>`).join("\n")}
</table>
${audits.map(auditSection).join("\n")}
<h2>Not looked at</h2>
<ul>
${limitations.map((each) => `<li>${escape(each)}</li>`).join("\n")}
</ul>
</body>
</html>
`;
}

function verdictSection(audit: SourceAudit): string {
  const { isGood, sentence, next, coldStart } = verdictOf(audit);
  return `<p class="verdict ${isGood ? "good" : "bad"}"><strong>${escape(sentence)}</strong>${next === undefined ? "" : `<br>Next: ${withCommands(escape(next))}.`}${coldStart === undefined ? "" : `<br>${escape(coldStart)}`}</p>`;
}

/** Commands stand between backticks in text. */
function withCommands(text: string): string {
  return text.replace(/`([^`]*)`/g, "<code>$1</code>");
}

function auditSection(audit: SourceAudit): string {
  const { listed, plaintextOnly } = reportedResources(audit);
  const newest = audit.keyIds[0]?.version ?? 0;
  const colour = (group: StoredGroup): string => {
    const { tone } = groupLabel(group);
    const shades = COLOURS[tone];
    const age = group.kind === "ours" ? newest - group.version : 0;
    return shades[Math.min(age, shades.length - 1)] ?? "";
  };
  const rows = listed.flatMap(({ resource, groups }) =>
    groups.map((group) => {
      const { text, key } = groupLabel(group);
      return `<tr><td>${escape(resource)}</td><td><span class="box" style="background:${colour(group)}"></span>${escape(text)}</td><td><code>${escape(key)}</code></td><td class="n">${grouped(group.objects)}</td></tr>`;
    }),
  );
  const hidden = plaintextOnly.reduce((total, { objects }) => total + objects, 0);
  const omitted =
    plaintextOnly.length === 0
      ? ""
      : `; not listed: ${countOf(plaintextOnly.length, "resource")} with ${grouped(hidden)} ${hidden === 1 ? "object" : "objects"} in plaintext only`;
  return `<h2>${escape(sourceLabel(audit))}</h2>
<p>${grouped(audit.objects)} objects under <code>${escape(audit.prefix)}</code>${omitted}.</p>
${chart(listed, colour)}
<table>
<tr><th>Resource</th><th>Stored under</th><th>Key</th><th class="n">Objects</th></tr>
${rows.join("\n")}
</table>`;
}

function chart(resources: SourceAudit["resources"], colour: (group: StoredGroup) => string): string {
  const height = resources.length * ROW_HEIGHT;
  const barWidth = CHART_WIDTH - LABEL_WIDTH;
  const bars = resources.map(({ resource, objects, groups }, row) => {
    const y = row * ROW_HEIGHT;
    let x = LABEL_WIDTH;
    const parts = groups.map((group) => {
      const width = (group.objects / objects) * barWidth;
      const part = `<rect x="${x.toFixed(1)}" y="${y + 4}" width="${Math.max(width, 1).toFixed(1)}" height="${ROW_HEIGHT - 8}" fill="${colour(group)}"><title>${escape(groupLabel(group).text)}: ${grouped(group.objects)}</title></rect>`;
      x += width;
      return part;
    });
    return `<text x="0" y="${y + ROW_HEIGHT - 9}" font-size="13">${escape(resource)}</text>${parts.join("")}`;
  });
  return `<svg viewBox="0 0 ${CHART_WIDTH} ${Math.max(height, 1)}" width="100%" role="img" aria-label="Objects by key">
${bars.join("\n")}
</svg>`;
}

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escape(text: string): string {
  return visible(text).replace(/[&<>"']/g, (character) => ESCAPES[character] ?? "");
}
