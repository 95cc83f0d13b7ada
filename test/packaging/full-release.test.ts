/** The release as it is published: both architectures, full compression, sizes. Takes about ten minutes. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../packaging/run.ts";
import { releaseTools, root, version } from "./artefacts.ts";
import { describeWithTools } from "./tool-suite.ts";

setDefaultTimeout(2_400_000);

const maxPackageBytes = 45_000_000;
/** As `native/build` leaves the addons for both machines; packaging/README.md. */
const native = join(root, "dist", "native");
const addons = ["amd64", "arm64"].every((name) => existsSync(join(native, name, "tls.node")));
const machineOfElf = { amd64: 62, arm64: 183 } as const;

describeWithTools(
  "full release",
  {
    needs: { ...releaseTools, rpm2archive: "rpm2cpio", "qemu-aarch64-static": "qemu-user-static" },
    long: true,
    full: true,
  },
  () => {
    let folder: string;
    const out = (): string => join(folder, "release");
    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), "kms-full-"));
      if (!addons) {
        console.log(`full release: without PKCS#11: ${native} has no amd64/tls.node and arm64/tls.node`);
      }
      run(join(root, "scripts", "release"), ["--out", out(), ...(addons ? ["--native", native] : [])]);
    });
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    test.each(["amd64", "arm64"])(
      "%s: every artefact is there, and the packages are 45 MB or less",
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
        for (const file of files.filter((each) => each.includes(`_${architecture}.`))) {
          console.log(`${file}: ${statSync(join(out(), file)).size} bytes`);
        }
        // Not the tarball: gzip, which its name promises, does not get there (packaging/README.md).
        for (const file of [name("", ".deb"), name("", ".rpm"), name("_systemd", ".tar.gz")]) {
          expect(statSync(join(out(), file)).size, file).toBeLessThanOrEqual(maxPackageBytes);
        }
      },
    );

    test.each(["amd64", "arm64"] as const)(
      "%s: rpm and deb hold the same programs, for that machine",
      (name) => {
        const unpacked = join(folder, name);
        const artefact = join(out(), `bao-kms-provider_${version}_linux_${name}`);
        mkdirSync(join(unpacked, "rpm"), { recursive: true });
        run("dpkg-deb", ["--extract", `${artefact}.deb`, join(unpacked, "deb")]);
        run("sh", ["-ec", `rpm2archive --nocompression < ${artefact}.rpm | tar -x -C ${unpacked}/rpm`]);
        const programs = ["usr/bin/bao-kms-provider"];
        if (addons) {
          programs.push("usr/lib/openbao-kms/tls.node", "usr/lib/openbao-kms/pkcs11.node");
        }
        for (const program of programs) {
          const bytes = readFileSync(join(unpacked, "deb", program));
          expect(bytes.readUInt16LE(18), program).toBe(machineOfElf[name]);
          expect(bytes.equals(readFileSync(join(unpacked, "rpm", program))), program).toBe(true);
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
