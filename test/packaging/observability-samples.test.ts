/** The alert rules and the dashboard name only metrics, labels and values that the provider has. */
import { describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import manifest from "../../package.json";
import { anchorsIn } from "../../scripts/reference/markdown-links.ts";
import { METRIC_PREFIX, METRICS, type MetricRow } from "../../src/telemetry/metric-table.ts";
import { describeWithTools } from "./tool-suite.ts";

const deploy = join(import.meta.dir, "..", "..", "deploy");
const rulesFile = join(deploy, "prometheus", "bao-kms-provider.rules.yaml");
const rules = readFileSync(rulesFile, "utf8");
const dashboard = readFileSync(join(deploy, "grafana", "bao-kms-provider.json"), "utf8").replaceAll(
  '\\"',
  '"',
);

const rows: ReadonlyMap<string, MetricRow> = new Map(
  Object.values(METRICS).flatMap((row: MetricRow) =>
    (row.type === "histogram" ? ["_bucket", "_sum", "_count"] : [""]).map((suffix) => [
      METRIC_PREFIX + row.name + suffix,
      row,
    ]),
  ),
);
/** Labels of the target, which the scrape configuration adds. */
const added = new Set(["cluster", "instance", "job"]);

interface Use {
  readonly metric: string;
  readonly matchers: string;
}

function usesIn(text: string): readonly Use[] {
  return [...text.matchAll(/\b(openbao_kms_[a-z_]+)(?:\{([^}]*)\})?/g)].map((match) => ({
    metric: match[1] ?? "",
    matchers: match[2] ?? "",
  }));
}

describe.each([
  ["alert rules", rules],
  ["dashboard", dashboard],
])("%s", (_, text) => {
  const uses = usesIn(text);

  test("name metrics of the table", () => {
    expect(uses.map((use) => use.metric).filter((metric) => !rows.has(metric))).toEqual([]);
  });

  test("match labels and values of the table", () => {
    const wrong = uses.flatMap(({ metric, matchers }) =>
      [...matchers.matchAll(/([a-z_]+)(?:=~|!=|=)"([^"]*)"/g)].filter(([, label = "", value = ""]) => {
        const values = rows.get(metric)?.labels[label];
        const known = label in (rows.get(metric)?.labels ?? {});
        return !added.has(label) && !(known && (values === undefined || values.includes(value)));
      }),
    );
    expect(wrong).toEqual([]);
  });
});

test("the dashboard shows every metric of the table", () => {
  const shown = new Set(usesIn(dashboard).map((use) => rows.get(use.metric)?.name));
  expect(
    Object.values(METRICS)
      .map((row) => row.name)
      .filter((name) => !shown.has(name)),
  ).toEqual([]);
});

test("every alert says what to do", () => {
  const count = (word: RegExp): number => rules.match(word)?.length ?? 0;
  expect(count(/^ {10}action: /gm)).toBe(count(/^ {6}- alert: /gm));
});

test("every alert has a runbook: a page of docs/ and a heading in it", () => {
  const urls = [
    ...rules.matchAll(
      /^ {10}runbook_url: "https:\/\/docs\.example\.com\/bao-kms-provider\/([^"#]+)#([^"]+)"$/gm,
    ),
  ];
  expect(urls.length).toBe(rules.match(/^ {6}- alert: /gm)?.length ?? 0);
  const lost = urls.filter(
    ([, page = "", anchor = ""]) =>
      !anchorsIn(readFileSync(join(deploy, "..", "docs", `${page}.md`), "utf8")).has(anchor),
  );
  expect(lost.map(([url]) => url)).toEqual([]);
});

test("the runbooks begin with the homepage, and the page's command replaces it everywhere", () => {
  expect(rules.match(/runbook_url: /g)?.length).toBe(
    rules.split(`runbook_url: "${manifest.homepage}/`).length - 1,
  );
  const page = readFileSync(join(deploy, "..", "docs", "operations", "monitoring.md"), "utf8");
  const command = /^sed -i '.*' bao-kms-provider\.rules\.yaml$/m.exec(page)?.[0] ?? "";
  const place = mkdtempSync(join(tmpdir(), "rules-"));
  try {
    const copy = join(place, "bao-kms-provider.rules.yaml");
    writeFileSync(copy, rules);
    expect(Bun.spawnSync(["sh", "-c", command], { cwd: place }).exitCode).toBe(0);
    const urls = [...readFileSync(copy, "utf8").matchAll(/runbook_url: "([^"]*)"/g)].map(
      ([, url = ""]) => url,
    );
    expect(urls.length).toBe(rules.match(/runbook_url: /g)?.length ?? 0);
    expect(urls.filter((url) => !url.startsWith("https://runbooks.internal/kms/"))).toEqual([]);
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
});

test("every sum and count over series keeps clusters apart", () => {
  const groups = [...rules.matchAll(/\b(?:sum|count)(?: by \(([^)]*)\) | ?)\(/g)].map(([, by = ""]) =>
    by.split(", "),
  );
  expect(groups.length).toBeGreaterThan(0);
  expect(groups.filter((labels) => !labels.includes("cluster"))).toEqual([]);
});

test("the monitoring page shows the scrape configuration that is shipped", () => {
  const page = readFileSync(join(deploy, "..", "docs", "operations", "monitoring.md"), "utf8");
  const shipped = readFileSync(join(deploy, "prometheus", "scrape.yaml"), "utf8").replace(/^#.*\n/gm, "");
  const [scrape = "", rulesPart = ""] = shipped.split(/(?=^rule_files)/m);
  expect(page).toContain(`\`\`\`yaml\n${scrape}\`\`\``);
  expect(page).toContain(`\`\`\`yaml\n${rulesPart}\`\`\``);
});

describeWithTools("alert rules in promtool", { needs: { promtool: "prometheus" } }, () => {
  test.each([
    ["check", "bao-kms-provider.rules.yaml"],
    ["test", "bao-kms-provider.rules.test.yaml"],
  ])("%s rules %s", (verb, file) => {
    const { exitCode, stdout, stderr } = Bun.spawnSync(["promtool", verb, "rules", file], {
      cwd: join(deploy, "prometheus"),
    });
    expect(stdout.toString() + stderr.toString()).not.toContain("FAILED");
    expect(exitCode).toBe(0);
  });
});
