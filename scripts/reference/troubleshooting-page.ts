/** @module The checks in docs/troubleshooting.md, from their tables; a test refuses an error class without an entry there. */
import { ALL_CHECKS } from "../../src/commands/doctor/run.ts";
import { PROBE_CHECKS } from "../../src/commands/probe/checks.ts";
import { VERIFY_CHECKS } from "../../src/commands/verify-key/run.ts";
import { code, withRecordedPart } from "./markdown.ts";

const BEGIN = "<!-- made by `npm run generate` -->";

interface PageCheck {
  readonly id: string;
  readonly proves: string;
  readonly needs: readonly string[];
  readonly whenFailed: string;
}

/** The page as it should be, given the text around its checks. */
export function troubleshootingPage(page: string): string {
  const commands: readonly (readonly [title: string, checks: readonly PageCheck[]])[] = [
    ["doctor", ALL_CHECKS],
    ["probe", PROBE_CHECKS],
    ["verify-key", VERIFY_CHECKS],
  ];
  const sections = commands.map(([title, checks]) => `### ${title}\n\n${checks.map(checkText).join("\n\n")}`);
  return withRecordedPart(page, "docs/troubleshooting.md", BEGIN, sections.join("\n\n"));
}

function checkText({ id, proves, needs, whenFailed }: PageCheck): string {
  return [
    `#### ${id}`,
    "",
    `Proves: ${proves}`,
    "",
    ...(needs.length === 0 ? [] : [`Needs: ${needs.map(code).join(", ")}`, ""]),
    `Fix, when the message has no other: ${whenFailed}`,
  ].join("\n");
}
