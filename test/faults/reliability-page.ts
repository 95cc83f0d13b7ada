/**
 * The table of docs/reliability.md, made from docs/reliability.json.
 *
 * @module Text only. The words around the table are written by hand and stay as they are.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { table, withRecordedPart } from "../../scripts/reference/markdown.ts";
import { type FaultReport, type FaultResult, faultReportSchema, GROUPS } from "./fault.ts";

const BEGIN = "<!-- made by `bun scripts/faults.ts --record` -->";

export function readReport(root: string): FaultReport {
  const text = readFileSync(join(root, "docs", "reliability.json"), "utf8");
  return v.parse(faultReportSchema, JSON.parse(text));
}

/** The page as it should be, given what stands around its table now. */
export function reliabilityPage(page: string, report: FaultReport): string {
  return withRecordedPart(page, "docs/reliability.md", BEGIN, tables(report));
}

export function renderReliabilityPage(root: string): void {
  const path = join(root, "docs", "reliability.md");
  writeFileSync(path, reliabilityPage(readFileSync(path, "utf8"), readReport(root)));
}

function tables(report: FaultReport): string {
  const { results, ciphertexts, objects, seconds } = report;
  const held = results.filter(({ verdict }) => verdict === "held").length;
  const intro =
    `Recorded ${report.startedAt.slice(0, 10)} with version ${report.version} (${report.commit}): ${results.length} faults in ` +
    `${Math.round(seconds / 60)} minutes, ${held} held. ${ciphertexts} ciphertexts were made at the socket` +
    `${report.cluster ? ` and ${objects} Secrets kept through kube-apiserver` : ""}; all of them were read in the end.\n`;
  const sections = GROUPS.map((group) => {
    const rows = results.filter((each) => each.group === group);
    const cluster = report.cluster ? ["kube-apiserver"] : [];
    const head = ["fault", "Status", "Encrypt", "Decrypt", ...cluster, "operator", "back in"];
    return rows.length === 0 ? "" : `### ${group}\n\n${table(head, rows.map(cellsOf))}\n`;
  });
  return [intro, ...sections.filter((section) => section !== "")].join("\n");
}

function cellsOf(result: FaultResult): readonly string[] {
  const { title, id, status, encrypt, decrypt, operator, ready, recoveryMs, cluster } = result;
  const operatorSaw = [`/ready ${ready === 0 ? "silent" : ready}`, ...operator].join("; ");
  return [
    `${title}${result.verdict === "held" ? "" : " — **broken**"} (\`${id}\`)`,
    counts(status),
    counts(encrypt),
    counts(decrypt),
    ...(cluster === undefined
      ? []
      : [
          `${cluster.written} written, ${cluster.refusedWrites} refused; ${cluster.read} read, ${cluster.refusedReads} refused`,
        ]),
    operatorSaw,
    `${(recoveryMs / 1000).toFixed(1)} s`,
  ];
}

function counts(answers: Readonly<Record<string, number>>): string {
  const entries = Object.entries(answers).sort(([, a], [, b]) => b - a);
  return entries.map(([answer, count]) => `${answer} ${count}`).join(", ");
}
