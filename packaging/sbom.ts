/** @module The bill of materials: CycloneDX 1.5 from `npm sbom`, plus Bun, what it links, and the crates. */
import { createHash } from "node:crypto";
import { bunLibraries, bunVersion, type Material } from "./materials.ts";
import type { ReleaseVersion } from "./release-version.ts";
import { run } from "./run.ts";

interface Component {
  readonly "bom-ref": string;
  readonly [field: string]: unknown;
}

interface NpmBom {
  readonly $schema: string;
  readonly bomFormat: string;
  readonly specVersion: string;
  readonly metadata: { readonly component: Component };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

function expression(license: string): readonly object[] {
  return [{ expression: license.replaceAll("/", " OR ") }];
}

const bun = {
  "bom-ref": `bun@${bunVersion}`,
  type: "platform",
  name: "bun",
  version: bunVersion,
  purl: `pkg:github/oven-sh/bun@bun-v${bunVersion}`,
  licenses: [{ license: { id: "MIT" } }],
  components: bunLibraries.map(({ name, license, source }) => ({
    "bom-ref": `bun@${bunVersion}/${name}`,
    type: "library",
    name,
    licenses: expression(license),
    externalReferences: [{ type: "vcs", url: source }],
  })),
} as const;

function crateComponent({ name, version, license }: Material): Component {
  return {
    "bom-ref": `crate:${name}@${version}`,
    type: "library",
    name,
    version,
    purl: `pkg:cargo/${name}@${version}`,
    licenses: expression(license),
  };
}

/** A UUID (version 8) made from what it names, so that the same materials have the same serial number. */
function uuidOf(text: string): string {
  const hex = createHash("sha256").update(text).digest("hex");
  return hex.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/, "$1-$2-8$3-8$4-$5");
}

export function sbom(
  root: string,
  release: ReleaseVersion,
  packages: readonly Material[],
  crates: readonly Material[],
): string {
  // Not --omit=dev: npm 11 then also omits what a development tool shares with us, such as @bufbuild/protobuf.
  const listed: NpmBom = JSON.parse(
    run("npm", ["sbom", "--sbom-format=cyclonedx", "--package-lock-only"], { cwd: root }),
  );
  const self = listed.metadata.component["bom-ref"];
  const ours = new Set([self, ...packages.map(({ name, version }) => `${name}@${version}`)]);
  const npm = listed.components.filter((each) => ours.has(each["bom-ref"]));
  if (npm.length !== packages.length) {
    throw new Error(`npm sbom lists ${npm.length} of the ${packages.length} npm packages in the executable`);
  }
  const components = [...npm, bun, ...crates.map(crateComponent)];
  const bom = {
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
    dependencies: listed.dependencies
      .filter(({ ref }) => ours.has(ref))
      .map(({ ref, dependsOn }) => ({
        ref,
        dependsOn: [...dependsOn.filter((each) => ours.has(each)), ...(ref === self ? [bun["bom-ref"]] : [])],
      })),
  };
  return `${JSON.stringify(bom, null, 2)}\n`;
}
