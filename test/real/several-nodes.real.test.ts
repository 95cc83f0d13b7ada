/** docs/deployment/several-nodes.md: its commands with two nodes, whose directories the test puts beside each other. */
import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { identityClaims, makeJwtIssuer } from "../fakes/openbao/jwt-issuer.ts";
import { makeSocketDirectory } from "../fakes/socket-directory.ts";
import { type Child, startChild } from "../harness/child.ts";
import { runCommand } from "../harness/command.ts";
import { eventually } from "../harness/eventually.ts";
import { builtExecutable } from "../harness/executable.ts";
import { freePorts } from "../harness/free-port.ts";
import { startOpenBao } from "../harness/openbao.ts";
import { describeReal } from "../harness/real-suite.ts";
import { docBlock } from "../packaging/doc-blocks.ts";
import { root } from "../readme/commands.ts";

const TIMEOUT_MS = 120_000;
const NODES = ["control-plane-1", "control-plane-2"] as const;
/** The scripts ask before each change. */
const YES = "y\n".repeat(20);

const replaced = (text: string, pairs: Readonly<Record<string, string>>): string =>
  Object.entries(pairs).reduce((each, [from, to]) => each.replaceAll(from, to), text);

describeReal("several nodes", { needs: ["bao"], long: true }, (binary) => {
  test(
    "two nodes get roles of their own, share one key and show one key_id",
    async () => {
      const openbao = await startOpenBao(binary("bao"));
      const home = mkdtempSync(join(tmpdir(), "nodes-"));
      const running: Child[] = [];
      const at = (...names: readonly string[]): string => join(home, ...names);
      /** A block of the page; `node` is the node on which it is run. */
      const run = (block: string, node = ""): string => {
        const text = replaced(docBlock(block), {
          "/run/openbao-kms": at(node, "run"),
          "/etc/openbao-kms": at(node),
          "$(hostname)": node,
        });
        const { status, stdout, stderr } = spawnSync("bash", ["-e", "-c", text], {
          cwd: home,
          encoding: "utf8",
          input: YES,
          env: {
            ...openbao.environment,
            PATH: `${dirname(builtExecutable())}:${dirname(binary("bao"))}:${process.env["PATH"]}`,
          },
        });
        expect({ block, status, stderr: status === 0 ? "" : stderr + stdout }).toEqual({
          block,
          status: 0,
          stderr: "",
        });
        return stdout;
      };
      try {
        const issuer = makeJwtIssuer();
        const gid = process.getgid?.() ?? 0;
        writeFileSync(at("ca.crt"), openbao.caPem);
        writeFileSync(at("issuer.pub"), issuer.publicKeyPem);
        writeFileSync(
          at("values.yaml"),
          replaced(readFileSync(join(root, "examples", "values.yaml"), "utf8"), {
            "https://openbao.example.com:8200": openbao.address,
            "openbao.example.com": "localhost",
            "openbao-kms-socket": `"${gid}"`,
            "/etc/openbao-kms/tls/ca.crt": at("ca.crt"),
          }),
        );
        const fingerprints = ["several-nodes.md#first-node", "several-nodes.md#further-node"].map(
          (block) => /fingerprint {2}(\S+)/.exec(run(block))?.[1],
        );
        expect(fingerprints[0]).toMatch(/^[0-9a-f-]{19}$/);
        expect(fingerprints[1]).toBe(fingerprints[0]);

        for (const node of NODES) {
          const [metrics = 0, health = 0] = await freePorts(2);
          const config = readFileSync(at(node, "config.yaml"), "utf8");
          expect(config).toContain(`expectedSubject: ${node}\n`);
          writeFileSync(
            at(node, "config.yaml"),
            replaced(config, {
              "/run/openbao-kms": at(node, "run"),
              "/var/lib/openbao-kms": at(node),
              "127.0.0.1:8081": `127.0.0.1:${metrics}`,
              "127.0.0.1:8082": `127.0.0.1:${health}`,
            }),
          );
          makeSocketDirectory(at(node, "run"), gid);
          mkdirSync(at(node, "state"), { mode: 0o750 });
          const claims = identityClaims({ audience: "openbao", subject: node }, Date.now());
          writeFileSync(
            at(node, "identity.jwt"),
            issuer.sign({ ...claims, iss: "https://issuer.example.com" }),
            { mode: 0o600 },
          );
          const serve = ["serve", "--config", at(node, "config.yaml")];
          const serving = startChild(builtExecutable(), serve, { cwd: home });
          running.push(serving);
          // The socket is there a moment before the key has been read.
          const probe = [builtExecutable(), "probe", "--socket", at(node, "run", "kms.sock")];
          await eventually(
            `${node} passes a probe`,
            async () => (await runCommand([...probe, "--wait-socket", "15s"], { env: {} })).status === 0,
            { timeoutMs: 20_000, giveUp: () => (serving.exited() ? serving.output() : undefined) },
          );
          run("several-nodes.md#probe", node);
          // Both nodes are this machine: each report gets the name that the other machine would give it.
          const report = at(`node-${node}.json`);
          writeFileSync(report, JSON.stringify({ ...JSON.parse(readFileSync(report, "utf8")), host: node }));
        }
        const compared = run("several-nodes.md#compare");
        for (const node of NODES) {
          expect(compared).toContain(node);
        }
        expect(compared).toContain("✓");
      } finally {
        await Promise.all(running.map((each) => each.stop()));
        await openbao.dispose();
        rmSync(home, { recursive: true, force: true });
      }
    },
    TIMEOUT_MS,
  );
});
