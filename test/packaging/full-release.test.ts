/** The release as it is published: both architectures, full compression, sizes. Takes about ten minutes. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../packaging/run.ts";
import { releaseTools, root, version } from "./artefacts.ts";
import { describeWithTools } from "./tool-suite.ts";

setDefaultTimeout(1_200_000);

const maxPackageBytes = 40_000_000;

describeWithTools(
  "full release",
  { needs: { ...releaseTools, "qemu-aarch64-static": "qemu-user-static" }, long: true, full: true },
  () => {
    let folder: string;
    const out = (): string => join(folder, "release");
    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), "kms-full-"));
      run(join(root, "scripts", "release"), ["--out", out()]);
    });
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    test.each(["amd64", "arm64"])(
      "%s: every artefact is there, and the packages are 40 MB or less",
      (architecture) => {
        const name = (kind: string, suffix: string) =>
          `bao-kms-provider${kind}_${version}_linux_${architecture}${suffix}`;
        const files = readdirSync(out());
        expect(files).toEqual(
          expect.arrayContaining([
            name("", ".deb"),
            name("", ".rpm"),
            name("", ".tar.gz"),
            name("_systemd", ".tar.gz"),
            name("_static-pod", ".tar.gz"),
            name("_image", ".oci.tar"),
          ]),
        );
        for (const suffix of [".deb", ".rpm"]) {
          const bytes = statSync(join(out(), name("", suffix))).size;
          console.log(`${name("", suffix)}: ${(bytes / 1e6).toFixed(1)} MB`);
          expect(bytes).toBeLessThanOrEqual(maxPackageBytes);
        }
      },
    );

    test("arm64: packages and image say so, and the executable runs", () => {
      const deb = join(out(), `bao-kms-provider_${version}_linux_arm64.deb`);
      const rpm = join(out(), `bao-kms-provider_${version}_linux_arm64.rpm`);
      expect(run("dpkg-deb", ["--field", deb, "Architecture"]).trim()).toBe("arm64");
      expect(run("rpm", ["-qp", "--qf", "%{ARCH}", rpm])).toBe("aarch64");
      const layout = join(folder, "image");
      run("sh", [
        "-ec",
        `mkdir ${layout}; tar -xf ${out()}/bao-kms-provider_image_${version}_linux_arm64.oci.tar -C ${layout}`,
      ]);
      const index = JSON.parse(readFileSync(join(layout, "index.json"), "utf8"));
      expect(index.manifests[0].platform).toEqual({ architecture: "arm64", os: "linux" });
      // In the image's own file system, so that its C library and loader are what runs it.
      const rootfs = join(folder, "rootfs");
      const blob = (digest: string): string => join(layout, "blobs", digest.replace(":", "/"));
      const manifest = JSON.parse(readFileSync(blob(index.manifests[0].digest), "utf8"));
      for (const layer of manifest.layers) {
        run("sh", ["-ec", `mkdir -p ${rootfs}; tar -xzf ${blob(layer.digest)} -C ${rootfs}`]);
      }
      expect(existsSync(join(rootfs, "lib", "ld-linux-aarch64.so.1"))).toBe(true);
      const said = run("qemu-aarch64-static", [
        "-L",
        rootfs,
        join(rootfs, "usr", "bin", "bao-kms-provider"),
        "version",
      ]);
      expect(said).toContain(version);
    });
  },
);
