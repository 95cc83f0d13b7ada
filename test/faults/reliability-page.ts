/**
 * The table of docs/reliability.md, made from docs/reliability.json.
 *
 * @module Text only. The words around the table are written by hand and stay as they are.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { type FaultReport, type FaultResult, faultReportSchema, GROUPS } from "./fault.ts";

const BEGIN = "<!-- made by `bun scripts/faults.ts --record` -->";
const END = "<!-- end -->";

export function readReport(root: string): FaultReport {
  const text = readFileSync(join(root, "docs", "reliability.json"), "utf8");
  return v.parse(faultReportSchema, JSON.parse(text));
}

/** The page as it should be, given what stands around its table now. */
export function reliabilityPage(page: string, report: FaultReport): string {
  const start = page.indexOf(BEGIN);
  const end = page.indexOf(END);
  if (start < 0 || end < start) {
    throw new Error(`docs/reliability.md has lost the lines ${BEGIN} and ${END}`);
  }
  return `${page.slice(0, start)}${BEGIN}\n\n${tables(report)}\n${page.slice(end)}`;
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
    const head = report.cluster
      ? "| fault | Status | Encrypt | Decrypt | kube-apiserver | operator | back in |\n| --- | --- | --- | --- | --- | --- | --- |"
      : "| fault | Status | Encrypt | Decrypt | operator | back in |\n| --- | --- | --- | --- | --- | --- |";
    return rows.length === 0 ? "" : `### ${group}\n\n${head}\n${rows.map(row).join("\n")}\n`;
  });
  return [intro, ...sections.filter((section) => section !== "")].join("\n");
}

function row(result: FaultResult): string {
  const { title, id, status, encrypt, decrypt, operator, ready, recoveryMs, cluster } = result;
  const operatorSaw = [`/ready ${ready === 0 ? "silent" : ready}`, ...operator].join("; ");
  const cells = [
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
  return `| ${cells.join(" | ")} |`;
}

function counts(answers: Readonly<Record<string, number>>): string {
  const entries = Object.entries(answers).sort(([, a], [, b]) => b - a);
  return entries.map(([answer, count]) => `${answer} ${count}`).join(", ");
}
