/** @module THIRD-PARTY-LICENSES: what is inside the executable and the native parts, and under which terms. */
import { bunComponents } from "./bun-components.ts";
import type { Crate } from "./crates.ts";
import type { NpmPackage } from "./npm-packages.ts";

const rule = "=".repeat(110);

/** Every text once, below the names of all that carry it. */
function textsOf(carriers: readonly (NpmPackage | Crate)[]): readonly string[] {
  const carriersOf = new Map<string, string[]>();
  for (const { name, version, texts } of carriers) {
    for (const text of texts) {
      carriersOf.set(text, [...(carriersOf.get(text) ?? []), `${name} ${version}`]);
    }
  }
  return [...carriersOf].map(([text, names]) => `\n${rule}\n${names.join("\n")}\n${rule}\n\n${text}`);
}

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
          "Rust crates in tls.node, and those that it is built with:",
          "",
          ...crates.map((each) => `  ${each.name} ${each.version}: ${each.license}`),
        ]),
    "",
    "Those without a text below carry none; the Apache License 2.0 is in LICENSE.",
    ...textsOf([...packages, ...crates]),
    "",
  ].join("\n");
}
