/** @module THIRD-PARTY-LICENSES: what is inside the executable and the native parts, and under which terms. */
import { bunLibraries, bunVersion, type Material } from "./materials.ts";

const rule = "=".repeat(110);

/** Every text once, below the names of all that carry it. */
function textsOf(carriers: readonly Material[]): readonly string[] {
  const carried = carriers.flatMap(({ name, version, texts }) =>
    texts.map((text) => ({ text, carrier: `${name} ${version}` })),
  );
  return [...Map.groupBy(carried, ({ text }) => text)].map(
    ([text, by]) => `\n${rule}\n${by.map(({ carrier }) => carrier).join("\n")}\n${rule}\n\n${text}`,
  );
}

const line = ({ name, version, license }: Material): string => `  ${name} ${version}: ${license}`;

export function thirdPartyLicenses(packages: readonly Material[], crates: readonly Material[]): string {
  return [
    "Third-party software in bao-kms-provider",
    "",
    `The executable is Bun ${bunVersion} (MIT, https://github.com/oven-sh/bun) with the provider's code and npm packages`,
    "appended. Bun links these libraries; for JavaScriptCore and tinycc the LGPL asks for a way to relink: see LICENSE.md of",
    "Bun's source, which is public with its build instructions.",
    "",
    ...bunLibraries.map((each) => `  ${each.name}: ${each.license}, ${each.source}`),
    "",
    "npm packages:",
    "",
    ...packages.map(line),
    ...(crates.length === 0
      ? []
      : ["", "Rust crates in tls.node, and those that it is built with:", "", ...crates.map(line)]),
    "",
    "Those without a text below carry none; the Apache License 2.0 is in LICENSE.",
    ...textsOf([...packages, ...crates]),
    "",
  ].join("\n");
}
