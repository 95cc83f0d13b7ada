/** @module Writes an OCI image layout for one machine (github.com/opencontainers/image-spec v1.1). */
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzip } from "./tarball.ts";

interface OciImage {
  readonly architecture: string;
  /** Entrypoint, user and labels, in the words of the specification. */
  readonly config: object;
  readonly created: string;
  /** Uncompressed tar archives, lowest first. */
  readonly layers: readonly Uint8Array[];
  /** Name under which containerd and podman list it after loading, given the image's digest. */
  readonly reference: (digest: string) => string;
  /** What skopeo and umoci find it by. */
  readonly tag: string;
  readonly gzipLevel: number;
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** Returns the digest of the manifest: what `image@sha256:…` names. */
export function writeOciLayout(image: OciImage, folder: string): string {
  const blobs = join(folder, "blobs", "sha256");
  mkdirSync(blobs, { recursive: true });
  const put = (mediaType: string, bytes: Uint8Array) => {
    const digest = digestOf(bytes);
    writeFileSync(join(blobs, digest.slice("sha256:".length)), bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const putJson = (mediaType: string, value: object) => put(mediaType, Buffer.from(JSON.stringify(value)));

  const layers = image.layers.map((layer) =>
    put("application/vnd.oci.image.layer.v1.tar+gzip", gzip(layer, image.gzipLevel)),
  );
  const config = putJson("application/vnd.oci.image.config.v1+json", {
    created: image.created,
    architecture: image.architecture,
    os: "linux",
    config: image.config,
    rootfs: { type: "layers", diff_ids: image.layers.map(digestOf) },
  });
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  const manifest = putJson(mediaType, { schemaVersion: 2, mediaType, config, layers });
  const index = {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.index.v1+json",
    manifests: [
      {
        ...manifest,
        platform: { architecture: image.architecture, os: "linux" },
        annotations: {
          "org.opencontainers.image.ref.name": image.tag,
          "io.containerd.image.name": image.reference(manifest.digest),
        },
      },
    ],
  };
  writeFileSync(join(folder, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  writeFileSync(join(folder, "index.json"), JSON.stringify(index));
  return manifest.digest;
}
