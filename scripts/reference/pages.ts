/**
 * Every reference page, with its path in the repository.
 *
 * @module The one list that scripts/generate-reference.ts writes and test/reference/ compares.
 */
import manifest from "../../package.json";
import { jsonText } from "../../src/cli/output.ts";
import { configJsonSchema } from "../../src/config/json-schema.ts";
import { commandsPage, manualPage } from "./commands-page.ts";
import { configurationPage } from "./configuration-page.ts";
import { metricsPage } from "./metrics-page.ts";
import { troubleshootingPage } from "./troubleshooting-page.ts";

export const PAGES: Readonly<Record<string, () => string>> = {
  "docs/reference/metrics.md": metricsPage,
  "docs/reference/configuration.md": configurationPage,
  "docs/reference/config.schema.json": () => jsonText(configJsonSchema()),
  "docs/reference/commands.md": commandsPage,
  "docs/troubleshooting.md": troubleshootingPage,
  "docs/reference/bao-kms-provider.8": () => manualPage(manifest.version),
};
