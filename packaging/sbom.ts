/** @module The bill of materials: CycloneDX 1.5 from `npm sbom`, plus Bun, what it links, and the crates. */
import { createHash } from "node:crypto";
import { bunComponents } from "./bun-components.ts";
import type { Crate } from "./crates.ts";
import type { NpmPackage } from "./npm-packages.ts";
import type { ReleaseVersion } from "./release-version.ts";
import { run } from "./run.ts";

interface Component {
  readonly "bom-ref": string;
  readonly type: string;
  readonly name: string;
  readonly version?: string;
  readonly purl?: string;
  readonly licenses?: readonly object[];
  readonly externalReferences?: readonly object[];
  readonly components?: readonly Component[];
}

interface NpmBom {
  readonly $schema: string;
  readonly bomFormat: string;
  readonly specVersion: string;
  readonly metadata: { readonly component: Component };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

export interface SbomInputs {
  readonly root: string;
  readonly release: ReleaseVersion;
  readonly bunVersion: string;
  readonly packages: readonly NpmPackage[];
  readonly crates: readonly Crate[];
}

function expression(license: string): readonly object[] {
  return [{ expression: license.replaceAll("/", " OR ") }];
}

function bunComponent(version: string): Component {
  return {
    "bom-ref": `bun@${version}`,
    type: "platform",
    name: "bun",
    version,
    purl: `pkg:github/oven-sh/bun@bun-v${version}`,
    licenses: [{ license: { id: "MIT" } }],
    components: bunComponents.map((each) => ({
      "bom-ref": `bun@${version}/${each.name}`,
      type: "library",
      name: each.name,
      licenses: expression(each.license),
      externalReferences: [{ type: "vcs", url: each.source }],
    })),
  };
}

function crateComponent({ name, version, license }: Crate): Component {
  return {
    "bom-ref": `crate:${name}@${version}`,
    type: "library",
    name,
    version,
    purl: `pkg:cargo/${name}@${version}`,
    licenses: expression(license),
  };
}

/** A UUID made from what it names, so that the same materials have the same serial number. */
function uuidOf(text: string): string {
  const hex = createHash("sha256").update(text).digest("hex");
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join("-");
}

export function sbom({ root, release, bunVersion, packages, crates }: SbomInputs): string {
  // Not --omit=dev: npm 11 then also omits what a development tool shares with us, such as @bufbuild/protobuf.
  const listed: NpmBom = JSON.parse(
    run("npm", ["sbom", "--sbom-format=cyclonedx", "--package-lock-only"], { cwd: root }),
  );
  const self = listed.metadata.component["bom-ref"];
  const ours = new Set([self, ...packages.map(({ name, version }) => `${name}@${version}`)]);
  const bun = bunComponent(bunVersion);
  const npm = listed.components.filter((each) => ours.has(each["bom-ref"]));
  if (npm.length !== packages.length) {
    throw new Error(`npm sbom lists ${npm.length} of the ${packages.length} npm packages in the executable`);
  }
  const components = [...npm, bun, ...crates.map(crateComponent)];
  const dependencies = listed.dependencies
    .filter(({ ref }) => ours.has(ref))
    .map(({ ref, dependsOn }) => ({
      ref,
      dependsOn: [...dependsOn.filter((each) => ours.has(each)), ...(ref === self ? [bun["bom-ref"]] : [])],
    }));
  return `${JSON.stringify(
    {
      $schema: listed.$schema,
      bomFormat: listed.bomFormat,
      specVersion: listed.specVersion,
      serialNumber: `urn:uuid:${uuidOf(JSON.stringify([release.version, components]))}`,
      version: 1,
      metadata: {
        timestamp: new Date(release.epochSeconds * 1000).toISOString(),
        component: { ...listed.metadata.component, type: "application", name: "bao-kms-provider" },
      },
      components,
      dependencies,
    },
    null,
    2,
  )}\n`;
}
