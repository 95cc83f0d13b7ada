/** Every command of the README is one that is run: here, or by .ci/run. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { identityClaims, makeJwtIssuer } from "../fakes/openbao/jwt-issuer.ts";
import { makeSocketDirectory } from "../fakes/socket-directory.ts";
import { startChild } from "../harness/child.ts";
import { eventually } from "../harness/eventually.ts";
import { freePorts } from "../harness/free-port.ts";
import { openKmsClient } from "../harness/kms-client.ts";
import { type RealOpenBao, startOpenBao } from "../harness/openbao.ts";
import { describeReal } from "../harness/real-suite.ts";
import { forRealBlock, readmeBlocks, root } from "./commands.ts";

const DEMO_TIMEOUT_MS = 120_000;

describe("README", () => {
  test("each command outside the block for real is a line of .ci/run, or the demo", () => {
    // `"$@"` is empty but in the scheduled run.
    const ci = readFileSync(join(root, ".ci", "run"), "utf8").replaceAll(' -- "$@"', "");
    const commands = readmeBlocks()
      .filter((block) => block !== forRealBlock() && block[0] !== forRealBlock()[0])
      .flat()
      .map((line) => line.replace(/^REQUIRE_REAL=1 /, ""));
    expect(commands.length).toBeGreaterThan(0);
    expect(commands.filter((line) => !ci.split("\n").includes(line))).toEqual([]);
  });
  test("what it links to is there", () => {
    const targets = [...readFileSync(join(root, "README.md"), "utf8").matchAll(/\]\(([^)]+)\)/g)]
      .map((match) => match[1] ?? "")
      .filter((target) => !target.startsWith("http"));
    expect(targets.filter((target) => !existsSync(join(root, target)))).toEqual([]);
  });
});

describe("demo", () => {
  const own = mkdtempSync(join(tmpdir(), "demo-"));
  afterAll(() => rmSync(own, { recursive: true, force: true }));
  const withoutReal = { ...process.env, BAO_BIN: "/nonexistent/bao", TMPDIR: own };
  test.each([
    ["npm", ["run", "demo"]],
    ["bun", ["run", "demo"]],
  ])(
    "%s run demo tells its story, ends by itself and leaves nothing",
    (command, args) => {
      const program = command === "bun" ? process.execPath : command;
      const { status, stdout, stderr } = spawnSync(program, args, {
        cwd: root,
        encoding: "utf8",
        env: withoutReal,
      });
      expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
      expect(stdout).toContain("the stand-in");
      for (const chapter of ["Start", "Encrypt and Decrypt", "Rotation", "kill -9"]) {
        expect(stdout).toContain(chapter);
      }
      expect(readdirSync(own)).toEqual([]);
    },
    DEMO_TIMEOUT_MS,
  );

  test(
    "interrupted, it leaves nothing either",
    async () => {
      const lines: string[] = [];
      const demo = startChild(process.execPath, ["scripts/demo.ts"], {
        cwd: root,
        env: { BAO_BIN: "/nonexistent/bao", TMPDIR: own },
        onLine: (line) => lines.push(line),
      });
      await eventually("the rotation begins", () => lines.some((line) => line.includes("Rotation")), {
        timeoutMs: DEMO_TIMEOUT_MS,
      });
      const started = processesUnder(own);
      expect(started.length).toBeGreaterThan(0);
      demo.signal("SIGINT");
      await eventually("it exits", () => demo.exited(), { timeoutMs: 15_000 });
      expect(demo.exitCode()).toBe(5);
      expect(lines.at(-1)).not.toContain("demo:");
      expect([readdirSync(own), processesUnder(own)]).toEqual([[], []]);
    },
    DEMO_TIMEOUT_MS,
  );
});

/** Command lines of all processes that name a directory. */
function processesUnder(dir: string): readonly string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        return [readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ")];
      } catch {
        return [];
      }
    })
    .filter((line) => line.includes(dir));
}

describeReal("README: run it for real", { needs: ["bao"] }, (binary) => {
  let openbao: RealOpenBao;
  let dir: string;
  beforeAll(async () => {
    openbao = await startOpenBao(binary("bao"));
    dir = mkdtempSync(join(tmpdir(), "readme-"));
  });
  afterAll(async () => {
    await openbao.dispose();
    rmSync(dir, { recursive: true, force: true });
  });

  test(
    "every line as it stands, with an editor that fills in addresses and paths",
    async () => {
      const path = (name: string): string => join(dir, name);
      const issuer = makeJwtIssuer();
      const claims = identityClaims({ audience: "openbao", subject: "control-plane-1" }, Date.now());
      writeFileSync(path("issuer.pem"), issuer.publicKeyPem);
      writeFileSync(path("identity.jwt"), issuer.sign(claims), { mode: 0o600 });
      writeFileSync(path("ca.crt"), openbao.caPem);
      for (const name of ["deploy", "scripts", "package.json", "node_modules", "dist"]) {
        symlinkSync(join(root, name), path(name));
      }
      mkdirSync(path("state"), { mode: 0o750 });
      makeSocketDirectory(path("run"), process.getgid?.() ?? 0);
      const [metrics = 0, health = 0] = await freePorts(2);
      const edits = [
        ["/run/openbao-kms/", `${path("run")}/`],
        ["/var/lib/openbao-kms/state/", `${path("state")}/`],
        ["/var/lib/openbao-kms/", `${dir}/`],
        ["/etc/openbao-kms/tls/", `${dir}/`],
        ["https://openbao.example.com:8200", openbao.address],
        ["openbao.example.com", "localhost"],
        ["openbao-kms-socket", String(process.getgid?.() ?? 0)],
        ["127.0.0.1:8081", `127.0.0.1:${metrics}`],
        ["127.0.0.1:8082", `127.0.0.1:${health}`],
      ];
      writeFileSync(
        path("editor"),
        `#!/bin/sh\nsed -i ${edits.map(([from, to]) => `-e 's|${from}|${to}|g'`).join(" ")} "$1"\n`,
      );
      chmodSync(path("editor"), 0o755);

      const block = forRealBlock();
      const environment = {
        ...openbao.environment,
        PATH: [dirname(binary("bao")), join(root, "node_modules", ".bin"), process.env["PATH"]].join(
          delimiter,
        ),
        HOME: dir,
        EDITOR: path("editor"),
      };
      for (const line of block.slice(0, -1)) {
        const { status, stderr } = spawnSync("sh", ["-ec", line], {
          cwd: dir,
          encoding: "utf8",
          env: environment,
        });
        expect({ line, status, stderr: status === 0 ? "" : stderr }).toEqual({ line, status: 0, stderr: "" });
      }
      const serve = startChild("sh", ["-ec", `exec ${block.at(-1)}`], { cwd: dir, env: environment });
      const client = openKmsClient(path("run/kms.sock"));
      try {
        await eventually("Status is ok", async () => (await client.status()).healthz === "ok", {
          timeoutMs: 15_000,
          giveUp: () => (serve.exited() ? `serve has exited: ${serve.output()}` : undefined),
        });
        const sealed = await client.encrypt(new Uint8Array(32));
        expect((await client.decrypt(sealed)).plaintext).toEqual(new Uint8Array(32));
      } finally {
        client.close();
        await serve.stop();
      }
    },
    DEMO_TIMEOUT_MS,
  );
});
