/**
 * @module A release that differs from this one in its image's digest alone, so that a node can be upgraded to it. The archive
 * and the static pod's bundle, under the names that the page has for a release.
 */
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../packaging/run.ts";
import { testRelease, version } from "../packaging/artefacts.ts";

const IMAGE_NAME = "io.containerd.image.name";

/** Writes both files to `folder`; returns what the manifest of the pod names as its image. */
export function makeOtherRelease(release: string, folder: string): string {
  const work = mkdtempSync(join(tmpdir(), "kms-release-"));
  try {
    const { from, to } = otherImage(
      work,
      join(folder, `bao-kms-provider_image_${release}_linux_amd64.oci.tar`),
    );
    const bundle = (name: string): string => `bao-kms-provider_static-pod_${name}_linux_amd64`;
    run("tar", ["-C", work, "-xzf", testRelease().artefact("_static-pod", "tar.gz")]);
    renameSync(join(work, bundle(version)), join(work, bundle(release)));
    const manifest = join(work, bundle(release), "deploy", "static-pod", "bao-kms-provider.yaml");
    writeFileSync(manifest, readFileSync(manifest, "utf8").replace(from, to));
    run("tar", ["-C", work, "-czf", join(folder, `${bundle(release)}.tar.gz`), bundle(release)]);
    return to;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** The same image made at another time; both names are by digest. */
function otherImage(work: string, archive: string): { readonly from: string; readonly to: string } {
  const layout = mkdtempSync(join(work, "layout-"));
  run("tar", ["-C", layout, "-xf", testRelease().artefact("_image", "oci.tar")]);
  const blob = (digest: string): string => join(layout, "blobs", "sha256", digest.slice("sha256:".length));
  const read = (path: string) => JSON.parse(readFileSync(path, "utf8"));
  const write = (value: object): { readonly digest: string; readonly size: number } => {
    const bytes = Buffer.from(JSON.stringify(value));
    const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
    writeFileSync(blob(digest), bytes);
    return { digest, size: bytes.length };
  };
  const index = read(join(layout, "index.json"));
  const [image] = index.manifests;
  const manifest = read(blob(image.digest));
  const config = { ...read(blob(manifest.config.digest)), created: new Date(0).toISOString() };
  const from: string = image.annotations[IMAGE_NAME];
  Object.assign(image, write({ ...manifest, config: { ...manifest.config, ...write(config) } }));
  const to = `${from.split("@")[0]}@${image.digest}`;
  image.annotations[IMAGE_NAME] = to;
  writeFileSync(join(layout, "index.json"), JSON.stringify(index));
  run("tar", ["-C", layout, "-cf", archive, "."]);
  return { from, to };
}
