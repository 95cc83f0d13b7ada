/** The image in a real container runtime, under the restrictions of the static pod. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { run } from "../../packaging/run.ts";
import { identityClaims, makeJwtIssuer } from "../fakes/openbao/jwt-issuer.ts";
import { provision } from "../fakes/openbao/provision.ts";
import { eventually } from "../harness/eventually.ts";
import { freePorts } from "../harness/free-port.ts";
import { openKmsClient } from "../harness/kms-client.ts";
import { startOpenBao } from "../harness/openbao.ts";
import { findBinary } from "../harness/real-suite.ts";
import { releaseTools, root, testRelease, version } from "./artefacts.ts";
import { docBlock } from "./doc-blocks.ts";
import { openbaoFields, sampleWith } from "./sample-config.ts";
import { describeWithTools } from "./tool-suite.ts";

const timeoutMs = 240_000;
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

const podUser = 65532;
const socketGid = 24_242;

/** The manifest's own volumes, with `host` in front of each host path. */
function mounts(host: string): readonly string[] {
  const pod = parse(readFileSync(join(root, "deploy", "static-pod", "bao-kms-provider.yaml"), "utf8"));
  const paths: ReadonlyMap<string, string> = new Map(
    pod.spec.volumes.map((volume: { name: string; hostPath: { path: string } }) => [
      volume.name,
      volume.hostPath.path,
    ]),
  );
  return pod.spec.containers[0].volumeMounts.map(
    ({ name, mountPath, readOnly }: { name: string; mountPath: string; readOnly?: boolean }) =>
      `--volume=${host}${paths.get(name) ?? ""}:${mountPath}:${readOnly === true ? "ro" : "rw"}`,
  );
}

describeWithTools(
  "image in podman",
  {
    needs: { ...releaseTools, podman: "podman", runc: "runc", bao: "none: an OpenBao binary on PATH" },
    asRoot: true,
    long: true,
  },
  () => {
    let folder: string;
    let searchPath: string;
    /** As the runtime lists it after loading. */
    let image: string;
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
      searchPath = `${join(folder, "bin")}:${process.env["PATH"] ?? ""}`;
      const said = run("sh", ["-ec", docBlock("install.md#image")], {
        cwd: testRelease().folder,
        env: { VERSION: version, PATH: searchPath },
      });
      image = /^Loaded image: (\S+)$/m.exec(said)?.[1] ?? "";
    }, timeoutMs);
    afterAll(() => rmSync(folder, { recursive: true, force: true }), timeoutMs);

    const podman = (...args: readonly string[]): string => run("podman", args, { env: { PATH: searchPath } });

    test("has the name that the release's static pod asks for", () => {
      const bundle = testRelease().artefact("_static-pod", "tar.gz");
      const manifest = run("tar", [
        "-xzOf",
        bundle,
        "--wildcards",
        "*/deploy/static-pod/bao-kms-provider.yaml",
      ]);
      expect(image).toMatch(/^registry\.example\.com\/bao-kms-provider@sha256:[0-9a-f]{64}$/);
      expect(manifest).toContain(`image: ${image}\n`);
    });

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

    test(
      "serves as the static pod does: its mounts, its user, its restrictions",
      async () => {
        const openbao = await startOpenBao(findBinary("bao") ?? "bao");
        const host = join(folder, "host");
        try {
          const issuer = makeJwtIssuer();
          const names = await provision(openbao.operator, issuer.publicKeyPem);
          const [metricsPort = 0, healthPort = 0] = await freePorts(2);
          const config = await sampleWith("provider-static-pod.yaml", {
            ...openbaoFields(openbao.address, names),
            "server.metricsAddress": `127.0.0.1:${metricsPort}`,
            "server.healthAddress": `127.0.0.1:${healthPort}`,
            "server.socketGroup": String(socketGid),
          });
          const directory = (path: string, uid: number, gid: number, mode: number): void => {
            mkdirSync(join(host, path), { recursive: true });
            chownSync(join(host, path), uid, gid);
            chmodSync(join(host, path), mode);
          };
          const file = (path: string, text: string): void => {
            writeFileSync(join(host, path), text, { mode: 0o640 });
            chownSync(join(host, path), 0, podUser);
          };
          directory("etc/openbao-kms", 0, podUser, 0o750);
          directory("etc/openbao-kms/tls", 0, 0, 0o755);
          directory("var/lib/openbao-kms", podUser, podUser, 0o750);
          directory("var/lib/openbao-kms/state", podUser, podUser, 0o750);
          directory("run/openbao-kms", podUser, socketGid, 0o2750);
          file("etc/openbao-kms/config.yaml", config);
          file("etc/openbao-kms/tls/ca.crt", openbao.caPem);
          file("var/lib/openbao-kms/identity.jwt", issuer.sign(identityClaims(names, Date.now())));

          const args = [...restrictions, `--group-add=${socketGid}`, ...mounts(host)];
          podman("run", "--detach", "--name=provider", ...args, image);
          const client = openKmsClient(join(host, "run/openbao-kms/kms.sock"));
          try {
            await eventually("it encrypts", async () => (await client.status()).healthz === "ok", {
              timeoutMs: 30_000,
            }).catch((error: unknown) => {
              throw new Error(`${String(error)}\n${podman("logs", "provider")}`);
            });
            const { ciphertext, keyId, annotations } = await client.encrypt(new Uint8Array(32).fill(5));
            expect((await client.decrypt({ ciphertext, keyId, annotations })).plaintext[31]).toBe(5);
            const live = await fetch(`http://127.0.0.1:${healthPort}/live`);
            expect(live.status).toBe(200);
            const socket = statSync(join(host, "run/openbao-kms/kms.sock"));
            expect([socket.uid, socket.gid, socket.mode & 0o777]).toEqual([podUser, socketGid, 0o660]);
          } finally {
            client.close();
            podman("stop", "--time=15", "provider");
          }
          const [ended] = JSON.parse(podman("inspect", "provider"));
          expect(ended.State.ExitCode).toBe(0);
          podman("rm", "provider");
        } finally {
          await openbao.dispose();
        }
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
