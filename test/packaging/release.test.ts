/** A whole release as its users get it: contents, signatures, tampering, and the same bytes again from another folder. */
import { beforeAll, describe, expect, test } from "bun:test";
import {
  copyFileSync,
  cpSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import manifest from "../../package.json";
import { contents } from "../../packaging/contents.ts";
import { npmPackages } from "../../packaging/materials.ts";
import { findRelease } from "../../packaging/release-version.ts";
import { run } from "../../packaging/run.ts";
import { releaseTools, root, type TestRelease, testRelease, version } from "./artefacts.ts";
import { docBlock } from "./doc-blocks.ts";
import { describeWithTools } from "./tool-suite.ts";

const releaseTimeoutMs = 240_000;

describe("changelog", () => {
  const text = "# Changelog\n\n## 1.2.0 (2026-01-02)\n\nNew.\n\n## 1.1.0 (2025-12-31)\n\nOld.\n";

  test("gives a version its day and its notes", () => {
    expect(findRelease("1.2.0", text)).toEqual({
      version: "1.2.0",
      epochSeconds: Date.UTC(2026, 0, 2) / 1000,
      notes: "New.",
    });
  });

  test.each(["1.3.0", "1.1", "1.1.0 (2025-12-31)"])("has no release %s", (wanted) => {
    expect(() => findRelease(wanted, text)).toThrow("has no heading");
  });
});

describeWithTools("release", { needs: { ...releaseTools, sha256sum: "coreutils" }, long: true }, () => {
  let release: TestRelease;
  beforeAll(() => {
    release = testRelease();
  }, releaseTimeoutMs);

  test("the deb holds the table of contents, all of it root's, and no configuration", () => {
    const lines = run("dpkg-deb", ["--contents", release.artefact("", "deb")])
      .trim()
      .split("\n");
    const files = lines.filter((line) => line.startsWith("-"));
    expect(lines.filter((line) => !/^[-d]rwxr-xr-x root\/root |^-rw-r--r-- root\/root /.test(line))).toEqual(
      [],
    );
    expect(files.filter((line) => /\.\/(etc|var|run)\//.test(line))).toEqual([]);
    const names = files.map((line) => line.split(" ./")[1] ?? "");
    const expected = contents
      .filter((piece) => piece.in.includes("package") && (piece.origin !== "native" || release.native))
      .map((piece) => (piece.installed ?? "").slice(1));
    expect(
      expected.filter((name) => !names.some((each) => each === name || each.startsWith(`${name}/`))),
    ).toEqual([]);
  });

  test("deb and rpm name the maintainer and the homepage of package.json", () => {
    const control = run("dpkg-deb", ["--field", release.artefact("", "deb")]);
    expect(control).toContain(`\nMaintainer: ${manifest.author}\n`);
    expect(control).toContain(`\nHomepage: ${manifest.homepage}\n`);
    const tags = run("rpm", ["-qp", "--qf", "%{packager}|%{url}", release.artefact("", "rpm")]);
    expect(tags).toBe(`${manifest.author}|${manifest.homepage}`);
  });

  test("the rpm holds the same files, but for what its distributions keep elsewhere", () => {
    const deb = run("dpkg-deb", ["--contents", release.artefact("", "deb")])
      .trim()
      .split("\n")
      .filter((line) => line.startsWith("-"))
      .map((line) => line.split(" .")[1] ?? "");
    const rpm = run("rpm", [
      "-qp",
      "--qf",
      "[%{FILENAMES} %{FILEMODES:perms} %{FILEUSERNAME}\\n]",
      release.artefact("", "rpm"),
    ])
      .trim()
      .split("\n")
      .map((line) => line.split(" "));
    const files = rpm.filter(([, mode = ""]) => mode.startsWith("-")).map(([name = ""]) => name);
    const moved = (name: string): string => name.replace("/zsh/vendor-completions/", "/zsh/site-functions/");
    expect(files.sort()).toEqual(deb.map(moved).sort());
    expect(rpm.filter(([, , owner]) => owner !== "root")).toEqual([]);
  });

  test("the bill of materials lists every npm package in the executable, and Bun with what it links", () => {
    const bom = JSON.parse(
      readFileSync(join(release.folder, `bao-kms-provider_${version}_sbom.cdx.json`), "utf8"),
    );
    const names: readonly string[] = bom.components.map((each: { name: string }) => each.name);
    expect(names).toEqual(expect.arrayContaining(["@connectrpc/connect", "valibot", "yaml", "bun"]));
    expect(JSON.stringify(bom)).toContain("WebKit JavaScriptCore");
    expect(JSON.stringify(bom)).not.toContain("fast-check");
    const npm = bom.components.filter(
      (each: { purl?: string }) => each.purl?.startsWith("pkg:npm/") ?? false,
    );
    expect(npm.map((each: { name: string }) => each.name).sort()).toEqual(
      npmPackages(root).map(({ name }) => name),
    );
    expect(names.includes("rustls")).toBe(release.native);
  });

  test("the static pod names the image of its own release", () => {
    const folder = mkdtempSync(join(tmpdir(), "kms-pod-"));
    try {
      run("tar", ["-xf", release.artefact("_image", "oci.tar"), "-C", folder]);
      const index = JSON.parse(readFileSync(join(folder, "index.json"), "utf8"));
      run("tar", ["-xf", release.artefact("_static-pod", "tar.gz"), "-C", folder, "--strip-components=1"]);
      const pod = readFileSync(join(folder, "deploy", "static-pod", "bao-kms-provider.yaml"), "utf8");
      expect(pod).toContain(`bao-kms-provider@${index.manifests[0].digest}\n`);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test("the command of the page verifies it", () => {
    expect(pageCommand(release, "install.md#verify")).toContain("verified:");
  });

  test(
    "the same source in another folder gives the same bytes",
    () => {
      const folder = mkdtempSync(join(tmpdir(), "kms-again-"));
      try {
        const copy = join(folder, "some", "where", "else");
        mkdirSync(copy, { recursive: true });
        const names = run("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
          cwd: root,
        });
        for (const name of names.split("\0").filter((each) => each !== "")) {
          cpSync(join(root, name), join(copy, name));
        }
        cpSync(join(root, "node_modules"), join(copy, "node_modules"), { recursive: true });
        const again = join(folder, "release");
        run(
          process.execPath,
          [
            join(copy, "packaging", "release.ts"),
            "--fast",
            "--arch=amd64",
            `--out=${again}`,
            ...(release.native ? [`--native=${join(release.folder, "..", "native")}`] : []),
          ],
          { env: { BUILD_COMMIT: run("git", ["rev-parse", "HEAD"], { cwd: root }).trim() } },
        );
        expect(readFileSync(join(again, "checksums.txt"), "utf8")).toBe(
          readFileSync(join(release.folder, "checksums.txt"), "utf8"),
        );
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
    releaseTimeoutMs,
  );

  describe("verify-release refuses", () => {
    const small = (name: string): boolean => !/\.(deb|rpm)$|linux_amd64\.(tar\.gz|oci\.tar)$/.test(name);

    /** A copy of the release, changed, and what the script then says. */
    function verdict(change: (folder: string) => void, key = release.publicKey): string {
      const folder = mkdtempSync(join(tmpdir(), "kms-verify-"));
      try {
        for (const name of readdirSync(release.folder)) {
          (small(name) ? copyFileSync : linkSync)(join(release.folder, name), join(folder, name));
        }
        change(folder);
        const { exitCode, stdout, stderr } = Bun.spawnSync([
          join(root, "scripts", "verify-release"),
          "--key",
          key,
          folder,
        ]);
        return `${exitCode} ${stdout.toString()}${stderr.toString()}`;
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    }
    const flip = (path: string, at: number): void => {
      const bytes = readFileSync(path);
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      rmSync(path);
      writeFileSync(path, bytes);
    };

    test("nothing when nothing was changed, and when only some files were downloaded", () => {
      expect(verdict(() => undefined)).toStartWith("0 ");
      expect(
        verdict((folder) => rmSync(join(folder, `bao-kms-provider_${version}_linux_amd64.rpm`))),
      ).toStartWith("0 ");
    });

    test("any changed byte of checksums, signature and provenance", () => {
      for (const name of ["checksums.txt", "checksums.txt.sig", "provenance.intoto.jsonl"]) {
        const size = readFileSync(join(release.folder, name)).length;
        const places = name.endsWith(".sig")
          ? Array.from({ length: size }, (_, at) => at)
          : [
              0,
              1,
              63,
              64,
              65,
              66,
              Math.floor(size / 2),
              size - 100,
              size - 8,
              size - 7,
              size - 6,
              size - 2,
              size - 1,
            ];
        for (const at of places) {
          expect(
            verdict((folder) => flip(join(folder, name), at)),
            `${name} ${at}`,
          ).toMatch(/^1 .*NOT VERIFIED/s);
        }
      }
    }, 60_000);

    test.each([
      ["deb", 1000],
      ["rpm", 5_000_000],
      ["tar.gz", 20],
    ])("a changed byte of the %s", (suffix, at) => {
      const name = `bao-kms-provider_${version}_linux_amd64.${suffix}`;
      expect(verdict((folder) => flip(join(folder, name), at))).toContain(`${name} was changed`);
    });

    test("a file that is not of the release, a missing signature, a foreign key, a key among the files", () => {
      const foreign = mkdtempSync(join(tmpdir(), "kms-key-"));
      try {
        const privateKey = join(foreign, "private.pem");
        run("openssl", ["ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", privateKey]);
        run("openssl", ["ec", "-in", privateKey, "-pubout", "-out", join(foreign, "public.pem")]);
        expect(verdict((folder) => writeFileSync(join(folder, "bao-kms-provider_9.deb"), ""))).toContain(
          "not part of",
        );
        expect(verdict((folder) => rmSync(join(folder, "checksums.txt.sig")))).toContain("is missing");
        expect(verdict(() => undefined, join(foreign, "public.pem"))).toContain("not by this key");
      } finally {
        rmSync(foreign, { recursive: true, force: true });
      }
      const { exitCode, stderr } = Bun.spawnSync([
        join(root, "scripts", "verify-release"),
        "--key",
        release.publicKey,
        join(release.folder, ".."),
      ]);
      expect(`${exitCode} ${stderr.toString()}`).toContain(
        "1 verify-release: NOT VERIFIED: the key lies among the files",
      );
    });
  });
});

/** Runs a block of a page where the release was downloaded, with the key where the page has it. */
function pageCommand(release: TestRelease, id: string): string {
  const text = docBlock(id).replaceAll("/etc/openbao-kms-release.pem", release.publicKey);
  return run("sh", ["-ec", text], {
    cwd: release.folder,
    env: { VERSION: version, PATH: `${join(root, "scripts")}:${process.env["PATH"] ?? ""}` },
  });
}

describeWithTools(
  "release in cosign",
  {
    needs: { ...releaseTools, cosign: "none: go install github.com/sigstore/cosign/v2/cmd/cosign@v2.6.5" },
    long: true,
    full: true,
  },
  () => {
    test(
      "the commands of the page verify signature and provenance",
      () => {
        const release = testRelease();
        pageCommand(release, "install.md#verify-cosign");
      },
      releaseTimeoutMs,
    );
  },
);
