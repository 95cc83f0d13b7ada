/** @module The Rust crates inside tls.node, as cargo resolves them from native/Cargo.lock. */
import { dirname, join } from "node:path";
import { licenseTexts } from "./license-texts.ts";
import { run } from "./run.ts";

export interface Crate {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly texts: readonly string[];
}

interface CargoMetadata {
  readonly packages: readonly {
    readonly name: string;
    readonly version: string;
    readonly license: string | null;
    readonly source: string | null;
    readonly manifest_path: string;
  }[];
}

export function crates(root: string, rustTarget: string): readonly Crate[] {
  const text = run("cargo", [
    "metadata",
    "--locked",
    "--format-version=1",
    `--filter-platform=${rustTarget}`,
    `--manifest-path=${join(root, "native", "Cargo.toml")}`,
  ]);
  const metadata: CargoMetadata = JSON.parse(text);
  return metadata.packages
    .filter((each) => each.source !== null)
    .map((each) => ({
      name: each.name,
      version: each.version,
      license: each.license ?? "see its source",
      texts: licenseTexts(dirname(each.manifest_path)),
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}
