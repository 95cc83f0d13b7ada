/** The image in a real container runtime, under the restrictions of the static pod. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../packaging/run.ts";
import { releaseTools, testRelease, version } from "./artefacts.ts";
import { docBlock } from "./doc-blocks.ts";
import { describeWithTools } from "./tool-suite.ts";

const timeoutMs = 240_000;
const image = `localhost/bao-kms-provider:${version}`;
/** As in deploy/static-pod; samples.test.ts holds the manifest to them. */
const restrictions = [
  "--read-only",
  "--read-only-tmpfs=false",
  "--cap-drop=all",
  "--security-opt=no-new-privileges",
  "--user=65532:65532",
  "--network=host",
  "--pull=never",
  "--ulimit=nofile=1024:1024",
  "--ulimit=nproc=1000:1000",
];

describeWithTools(
  "image in podman",
  { needs: { ...releaseTools, podman: "podman", runc: "runc" }, asRoot: true, long: true },
  () => {
    let folder: string;
    let path: string;
    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), "kms-image-"));
      // A podman of the test's own: its storage is in the folder, nothing of the host's is used or left.
      mkdirSync(join(folder, "bin"));
      const shim = join(folder, "bin", "podman");
      writeFileSync(
        shim,
        `#!/bin/sh
exec ${Bun.which("podman") ?? "podman"} --root ${folder}/storage --runroot ${folder}/run --storage-driver=vfs \\
  --cgroup-manager=cgroupfs --runtime=runc "$@"
`,
      );
      chmodSync(shim, 0o755);
      path = `${join(folder, "bin")}:${process.env["PATH"] ?? ""}`;
      run("sh", ["-ec", docBlock("install.md#image")], {
        cwd: testRelease().folder,
        env: { VERSION: version, PATH: path },
      });
    }, timeoutMs);
    afterAll(() => rmSync(folder, { recursive: true, force: true }), timeoutMs);

    const podman = (...args: readonly string[]): string => run("podman", args, { env: { PATH: path } });

    test(
      "runs without capabilities, privileges or a writable file system, as 65532",
      () => {
        expect(podman("run", "--rm", ...restrictions, image, "version")).toContain(version);
        const [described] = JSON.parse(podman("image", "inspect", image));
        expect(described.User).toBe("65532:65532");
        expect(described.Labels["org.opencontainers.image.version"]).toBe(version);
      },
      timeoutMs,
    );

    test(
      "has no shell, no package manager, no certificates",
      () => {
        const archive = join(folder, "content.tar");
        const container = podman("create", "--pull=never", image).trim();
        podman("export", `--output=${archive}`, container);
        podman("rm", container);
        const files = run("tar", ["-tf", archive]).split("\n");
        expect(files).toContain("usr/bin/bao-kms-provider");
        expect(
          files.filter((name) => /\/(sh|bash|dash|busybox|apt|dpkg|rpm)$|\.(crt|pem)$/.test(name)),
        ).toEqual([]);
        const programs = run("tar", ["-tvf", archive])
          .split("\n")
          .filter((line) => /^-..x.* usr\/bin\//.test(line));
        expect(programs.length).toBe(1);
        expect(files.filter((name) => /\.so[.\d]*$/.test(name) && !/^(lib|lib64)\//.test(name))).toEqual([]);
      },
      timeoutMs,
    );

    test("names its libraries where scanners of images look", () => {
      const archive = join(folder, "content.tar");
      run("tar", ["-xf", archive, "-C", folder, "var/lib/dpkg/status.d"]);
      const control = readFileSync(join(folder, "var", "lib", "dpkg", "status.d", "libc6"), "utf8");
      expect(control).toMatch(/^Package: libc6$/m);
    });
  },
);
