/** @module Every generated page with its path: scripts/generate-reference.ts writes them, test/reference/ compares them. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import manifest from "../../package.json";
import { jsonText } from "../../src/cli/output.ts";
import { configJsonSchema } from "../../src/config/json-schema.ts";
import { commandsPage, manualPage } from "./commands-page.ts";
import { configurationPage } from "./configuration-page.ts";
import { logsPage } from "./logs-page.ts";
import { metricsPage } from "./metrics-page.ts";
import { REPORT_SCHEMAS, reportJsonSchema } from "./report-schemas.ts";
import { withRunbooks } from "./runbook-urls.ts";
import { troubleshootingPage } from "./troubleshooting-page.ts";

const root = join(import.meta.dir, "..", "..");
const TROUBLESHOOTING = "docs/troubleshooting.md";
const RULES = "deploy/prometheus/bao-kms-provider.rules.yaml";

export const PAGES: Readonly<Record<string, () => string>> = {
  "docs/reference/metrics.md": metricsPage,
  "docs/reference/logs.md": logsPage,
  "docs/reference/configuration.md": configurationPage,
  "docs/reference/config.schema.json": () => jsonText(configJsonSchema()),
  "docs/reference/commands.md": commandsPage,
  [TROUBLESHOOTING]: () => troubleshootingPage(readFileSync(join(root, TROUBLESHOOTING), "utf8")),
  "docs/reference/bao-kms-provider.8": () => manualPage(manifest.version, manifest.homepage),
  [RULES]: () => withRunbooks(readFileSync(join(root, RULES), "utf8"), manifest.homepage),
  ...Object.fromEntries(
    Object.entries(REPORT_SCHEMAS).map(([name, schema]) => [
      `docs/reference/reports/${name}.schema.json`,
      () => jsonText(reportJsonSchema(name, schema)),
    ]),
  ),
};
