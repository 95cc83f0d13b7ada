/**
 * THIRD-PARTY-LICENSES: what is inside the executable and the native parts, and under which terms.
 *
 * @module One plain text file that every artefact carries.
 */
import { bunComponents } from "./bun-components.ts";
import type { Crate } from "./crates.ts";
import type { NpmPackage } from "./npm-packages.ts";

const rule = "=".repeat(110);

export function thirdPartyLicenses(
  bunVersion: string,
  packages: readonly NpmPackage[],
  crates: readonly Crate[],
): string {
  return [
    "Third-party software in bao-kms-provider",
    "",
    `The executable is Bun ${bunVersion} (MIT, https://github.com/oven-sh/bun) with the provider's code and npm packages`,
    "appended. Bun links these libraries; for JavaScriptCore and tinycc the LGPL asks for a way to relink: see LICENSE.md of",
    "Bun's source, which is public with its build instructions.",
    "",
    ...bunComponents.map((each) => `  ${each.name}: ${each.license}, ${each.source}`),
    "",
    "npm packages:",
    "",
    ...packages.map((each) => `  ${each.name} ${each.version}: ${each.license}`),
    ...(crates.length === 0
      ? []
      : [
          "",
          "Rust crates in tls.node (full texts: https://crates.io/crates/NAME/VERSION):",
          "",
          ...crates.map((each) => `  ${each.name} ${each.version}: ${each.license}`),
        ]),
    ...packages.flatMap((each) =>
      each.text === undefined ? [] : ["", rule, `${each.name} ${each.version}`, rule, "", each.text],
    ),
    "",
  ].join("\n");
}
