/** @module What the executable and the native parts are made from: npm packages, Rust crates, and what Bun links; with licences. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import manifest from "../package.json";
import lock from "../package-lock.json";
import { run } from "./run.ts";

export interface Material {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  /** The licence texts in its sources. */
  readonly texts: readonly string[];
}

const licenseFile = /^(un)?licen[cs]e|^copying|^copyright|^notice/i;

/** Of its licence files or, where it has none, of files that begin with a licence of their own (conditions for redistribution). */
export function licenseTexts(folder: string): readonly string[] {
  if (!existsSync(folder)) {
    return [];
  }
  const textOf = (name: string): string => readFileSync(join(folder, name), "utf8");
  const entries = readdirSync(folder, { withFileTypes: true });
  const own = entries.filter((entry) => entry.isFile() && licenseFile.test(entry.name));
  const texts =
    own.length > 0
      ? own.map(({ name }) => textOf(name).trim())
      : readdirSync(folder, { recursive: true, encoding: "utf8" })
          .filter((name) => /\.(js|rs)$/.test(name))
          .map((name) => firstComment(textOf(name)))
          .filter((comment) => comment.includes("Redistributions"));
  return [...new Set(texts)].sort();
}

function firstComment(source: string): string {
  const lines = source.split("\n");
  const end = lines.findIndex((line) => !line.startsWith("//"));
  return lines
    .slice(0, end)
    .map((line) => line.replace(/^\/\/ ?/, ""))
    .join("\n")
    .trim();
}

const modules = "node_modules/";
const locked: Readonly<
  Record<string, Partial<Material> & { readonly dependencies?: Readonly<Record<string, string>> }>
> = lock.packages;

/** Where the package at `path` finds `name`: below itself, else below the nearest package around it. */
function resolved(path: string, name: string): string {
  const inside = `${path === "" ? "" : `${path}/`}${modules}${name}`;
  if (inside in locked) {
    return inside;
  }
  if (path === "") {
    throw new Error(`package-lock.json has no ${name}; run npm install`);
  }
  return resolved(path.slice(0, path.lastIndexOf(modules)).replace(/\/$/, ""), name);
}

/** From package-lock.json, without development tools and optional peers. */
export function npmPackages(root: string): readonly Material[] {
  const paths = new Set<string>([""]);
  // A set's loop also visits what is added during it.
  for (const path of paths) {
    for (const name of Object.keys(locked[path]?.dependencies ?? {})) {
      paths.add(resolved(path, name));
    }
  }
  paths.delete("");
  return [...paths].sort().map((path) => ({
    name: path.slice(path.lastIndexOf(modules) + modules.length),
    version: locked[path]?.version ?? "",
    license: locked[path]?.license ?? "see its source",
    texts: licenseTexts(join(root, path)),
  }));
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

/** Those in tls.node, as cargo resolves them from native/Cargo.lock. */
export function crates(root: string, rustTarget: string): readonly Material[] {
  const metadata: CargoMetadata = JSON.parse(
    run("cargo", [
      "metadata",
      "--locked",
      "--format-version=1",
      `--filter-platform=${rustTarget}`,
      `--manifest-path=${join(root, "native", "Cargo.toml")}`,
    ]),
  );
  return metadata.packages
    .filter(({ source }) => source !== null)
    .map(({ name, version, license, manifest_path: path }) => ({
      name,
      version,
      license: license ?? "see its source",
      texts: licenseTexts(dirname(path)),
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

export const bunVersion = manifest.devDependencies.bun;

const github = "https://github.com/";

/** LICENSE.md of github.com/oven-sh/bun, "Linked libraries"; Bun publishes no versions. */
export const bunLibraries = [
  { name: "WebKit JavaScriptCore", license: "LGPL-2.0-or-later", source: `${github}oven-sh/WebKit` },
  {
    name: "boringssl",
    license: "OpenSSL AND ISC AND MIT",
    source: "https://boringssl.googlesource.com/boringssl/",
  },
  { name: "brotli", license: "MIT", source: `${github}google/brotli` },
  { name: "libarchive", license: "BSD-2-Clause", source: `${github}libarchive/libarchive` },
  { name: "lol-html", license: "BSD-3-Clause", source: `${github}cloudflare/lol-html` },
  { name: "ls-hpack", license: "MIT", source: `${github}litespeedtech/ls-hpack` },
  { name: "ls-qpack", license: "MIT", source: `${github}litespeedtech/ls-qpack` },
  { name: "lsquic", license: "MIT AND BSD-3-Clause", source: `${github}litespeedtech/lsquic` },
  { name: "mimalloc", license: "MIT", source: `${github}microsoft/mimalloc` },
  { name: "picohttpparser", license: "MIT", source: `${github}h2o/picohttpparser` },
  { name: "zstd", license: "BSD-3-Clause", source: `${github}facebook/zstd` },
  { name: "simdutf", license: "Apache-2.0", source: `${github}simdutf/simdutf` },
  { name: "tinycc", license: "LGPL-2.1-or-later", source: `${github}tinycc/tinycc` },
  { name: "uSockets", license: "Apache-2.0", source: `${github}uNetworking/uSockets` },
  { name: "uWebSockets", license: "Apache-2.0", source: `${github}jarred-sumner/uwebsockets` },
  { name: "zlib-ng", license: "Zlib", source: `${github}zlib-ng/zlib-ng` },
  { name: "c-ares", license: "MIT", source: `${github}c-ares/c-ares` },
  { name: "icu", license: "ICU", source: `${github}unicode-org/icu` },
  { name: "libbase64", license: "BSD-2-Clause", source: `${github}aklomp/base64` },
  { name: "libdeflate", license: "MIT", source: `${github}ebiggers/libdeflate` },
  {
    name: "libjpeg-turbo",
    license: "IJG AND BSD-3-Clause AND Zlib",
    source: `${github}libjpeg-turbo/libjpeg-turbo`,
  },
  { name: "libspng", license: "BSD-2-Clause", source: `${github}randy408/libspng` },
  { name: "libwebp", license: "BSD-3-Clause", source: `${github}webmproject/libwebp` },
  { name: "highway", license: "Apache-2.0", source: `${github}google/highway` },
  { name: "uucode", license: "MIT", source: `${github}jacobsandlund/uucode` },
  { name: "libc++abi", license: "Apache-2.0 WITH LLVM-exception", source: `${github}llvm/llvm-project` },
] as const;
