import { expect, test } from "bun:test";
import fc from "fast-check";
import { recordedOutput } from "../../../test/fakes/recorded-output.ts";
import { type Evidence, sealEvidence } from "../../etcd/evidence.ts";
import { AWAY_WORDS } from "../migrate/goal.ts";
import { reportMigration } from "../migrate/report.ts";
import { reportHtml } from "./report-html.ts";
import { reportText } from "./report-text.ts";

const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/u;
const hostile = fc.string({
  unit: fc.constantFrom(
    "\n",
    "\r",
    "\u001b[2J",
    "\u001b]0;x\u0007",
    "\u202e",
    "\u0085",
    "\u2028",
    "a",
    "<b>",
    `x"y`,
    "字",
  ),
  minLength: 1,
  maxLength: 12,
});

function evidenceOf(name: string): Evidence {
  return sealEvidence({
    kind: "bao-kms-provider/audit",
    schemaVersion: 1,
    createdAt: "2030-01-01T00:00:00.000Z",
    providerVersion: "0.1.0",
    configuration: { fingerprint: "0000-0000-0000-0000", providerName: name },
    audits: [
      {
        source: {
          kind: "snapshot",
          file: name,
          sha256: "0".repeat(64),
          integrity: "verified",
          sizeBytes: 1,
          revision: 9,
          readAt: "2030-01-01T00:00:00.000Z",
        },
        prefix: `/${name}/`,
        objects: 2,
        resources: [
          {
            resource: `secrets${name}`,
            objects: 2,
            groups: [
              { kind: "local_key", transformer: "aescbc", keyName: name, objects: 1 },
              { kind: "kms_v1", provider: name, objects: 1 },
            ],
          },
        ],
        keyIds: [],
      },
    ],
    limitations: [`keys outside the prefix /${name}/ were not counted`],
  });
}

function expectVisible(text: string, lines: number): void {
  expect(text.split("\n").filter((line) => INVISIBLE.test(line))).toEqual([]);
  expect(text.split("\n").length).toBe(lines);
}

test("names from etcd add no line to a report and no invisible character", () => {
  const paint = (_: string, text: string): string => text;
  const lines = (evidence: Evidence): number => reportText(evidence, paint).split("\n").length;
  const htmlLines = (evidence: Evidence): number => reportHtml(evidence).split("\n").length;
  const [wanted, wantedHtml] = [lines(evidenceOf("a")), htmlLines(evidenceOf("a"))];
  /** How many tags and quotes of attributes the page has. */
  const markup = (html: string): string =>
    ["<", ">", '"'].map((character) => html.split(character).length).join(" ");
  const wantedMarkup = markup(reportHtml(evidenceOf("a")));
  fc.assert(
    fc.property(hostile, (name) => {
      expectVisible(reportText(evidenceOf(name), paint), wanted);
      const html = reportHtml(evidenceOf(name));
      expectVisible(html, wantedHtml);
      expect(markup(html)).toBe(wantedMarkup);
      expect(html).not.toContain("<b>");
      expect(html).not.toContain(`x"y`);
    }),
  );
});

test("nor do they to migrate's report", () => {
  const said = (name: string): string => {
    const output = recordedOutput();
    const remaining = [
      {
        source: "s",
        resource: name,
        under: "plaintext",
        group: "plaintext",
        version: undefined,
        objects: 1,
      } as const,
    ];
    const verdict = { remaining, problems: [], warnings: [] };
    const requested = [{ resource: name, name: "m", state: "running" } as const];
    reportMigration("text", output, AWAY_WORDS, { found: verdict, left: verdict, requested });
    return output.stdout();
  };
  const wanted = said("a").split("\n").length;
  fc.assert(fc.property(hostile, (name) => expectVisible(said(name), wanted)));
});
