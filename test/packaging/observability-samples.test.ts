/** The alert rules and the dashboard name only metrics, labels and values that the provider has. */
import { describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { contents } from "../../packaging/contents.ts";
import { anchorsIn } from "../../scripts/check-links.ts";
import { withRunbooks } from "../../scripts/reference/runbook-urls.ts";
import { createMetrics } from "../../src/telemetry/metric-table.ts";
import type { MetricRow } from "../../src/telemetry/recorders.ts";
import { describeWithTools } from "./tool-suite.ts";

const deploy = join(import.meta.dir, "..", "..", "deploy");
const rulesFile = join(deploy, "prometheus", "bao-kms-provider.rules.yaml");
const rules = readFileSync(rulesFile, "utf8");
const dashboardFile = readFileSync(join(deploy, "grafana", "bao-kms-provider.json"), "utf8");
const dashboard = dashboardFile.replaceAll('\\"', '"');

const rows: ReadonlyMap<string, MetricRow> = new Map(
  createMetrics().rows.flatMap((row) =>
    (row.type === "histogram" ? ["_bucket", "_sum", "_count"] : [""]).map((suffix) => [
      row.name + suffix,
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
    createMetrics()
      .rows.map((row) => row.name)
      .filter((name) => !shown.has(name)),
  ).toEqual([]);
});

interface Panel {
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly fieldConfig?: {
    readonly defaults: {
      readonly thresholds?: { readonly steps: readonly { readonly value: number | null }[] };
    };
  };
  readonly targets?: readonly { readonly expr: string }[];
}

describe("the dashboard", () => {
  const panels: readonly Panel[] = JSON.parse(dashboardFile).panels;
  const queried = panels.filter(({ type }) => type !== "row");

  test("every panel is described, and every query is limited to the selected clusters and nodes", () => {
    expect(queried.filter(({ description = "" }) => description === "").map(({ title }) => title)).toEqual(
      [],
    );
    const open = queried.flatMap(({ targets = [] }) =>
      targets.filter(({ expr }) => {
        const selectors = expr.match(/\b(?:openbao_kms_|process_|up\b)[a-z_]*(?:\{[^}]*\})?/g) ?? [];
        return selectors.some((each) => !each.includes('cluster=~"$cluster",instance=~"$instance"'));
      }),
    );
    expect(open).toEqual([]);
  });

  test("the first row has figures with thresholds, and the node table follows", () => {
    const first = queried.filter(({ gridPos }) => gridPos.y === 0);
    expect(new Set(first.map(({ type }) => type))).toEqual(new Set(["stat"]));
    expect(first.every(({ fieldConfig }) => (fieldConfig?.defaults.thresholds?.steps.length ?? 0) > 0)).toBe(
      true,
    );
    expect(queried[first.length]?.type).toBe("table");
  });

  test("panels fill the width without overlapping", () => {
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, index) => `${x + (index % w)},${y + Math.floor(index / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(cells.length).toBe(24 * Math.max(...panels.map(({ gridPos: { y, h } }) => y + h)));
  });

  test.each([
    ["Last good key probe", "KmsProviderStatusStale", 120],
    ["Credential valid for", "KmsProviderCredentialExpires", 3600],
    ["Token lifetime left", "KmsProviderTokenExpires", 120],
    ["Credential lifetime left", "KmsProviderCredentialExpires", 3600],
    ["Logins left of the secret id", "KmsProviderSecretIdUsedUp", 5],
  ])("%s has the threshold of %s", (title, alert, threshold) => {
    const panel = panels.find((each) => each.title === title);
    expect(panel?.fieldConfig?.defaults.thresholds?.steps.map(({ value }) => value)).toContain(threshold);
    expect(rules).toMatch(new RegExp(`alert: ${alert}\n +expr: [^\n]* [<>] ${threshold}\n`));
  });
});

test("every alert says what to do", () => {
  const count = (word: RegExp): number => rules.match(word)?.length ?? 0;
  expect(count(/^ {10}action: /gm)).toBe(count(/^ {6}- alert: /gm));
});

/** As in the repository, where the homepage of package.json is a placeholder. */
const packaged = withRunbooks(rules, "https://example.com");

test("every alert has a runbook: a page that the package installs, and a heading in it", () => {
  const urls = [
    ...packaged.matchAll(
      /^ {10}runbook_url: "file:\/\/(\/usr\/share\/doc\/bao-kms-provider\/([^"#]+\.md))#([^"]+)"$/gm,
    ),
  ];
  expect(urls.length).toBe(rules.match(/^ {6}- alert: /gm)?.length ?? 0);
  const places = contents.flatMap(({ installed }) => installed ?? []);
  const lost = urls.filter(
    ([, path = "", page = "", anchor = ""]) =>
      !places.some((each) => path === each || path.startsWith(`${each}/`)) ||
      !anchorsIn(readFileSync(join(deploy, "..", "docs", page), "utf8")).has(anchor),
  );
  expect(lost.map(([url]) => url)).toEqual([]);
});

test("the page's command gives every runbook another address, as a homepage does", () => {
  const page = readFileSync(join(deploy, "..", "docs", "operations", "monitoring.md"), "utf8");
  const command = /^sed -i '.*' bao-kms-provider\.rules\.yaml$/m.exec(page)?.[0] ?? "";
  const place = mkdtempSync(join(tmpdir(), "rules-"));
  try {
    const copy = join(place, "bao-kms-provider.rules.yaml");
    writeFileSync(copy, packaged);
    expect(Bun.spawnSync(["sh", "-c", command], { cwd: place }).exitCode).toBe(0);
    expect(readFileSync(copy, "utf8")).toBe(withRunbooks(rules, "https://runbooks.internal/kms"));
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
