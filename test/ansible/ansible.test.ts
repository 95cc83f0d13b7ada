/** The playbooks of deploy/ansible on two machines with systemd and a real OpenBao. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { run } from "../../packaging/run.ts";
import { identityClaims, makeJwtIssuer } from "../fakes/openbao/jwt-issuer.ts";
import { type Provisioning, provision } from "../fakes/openbao/provision.ts";
import { runCommand } from "../harness/command.ts";
import { freePorts } from "../harness/free-port.ts";
import { type RealOpenBao, startOpenBao } from "../harness/openbao.ts";
import { findBinary } from "../harness/real-suite.ts";
import { releaseTools, root, testRelease } from "../packaging/artefacts.ts";
import { openbaoFields, sampleWith } from "../packaging/sample-config.ts";
import { describeWithTools } from "../packaging/tool-suite.ts";
import type { Machine } from "../systemd/machine.ts";
import { newMachine } from "../systemd/machine.ts";

const nodes = ["node-1", "node-2"] as const;
type Node = (typeof nodes)[number];
const playbooks = join(root, "deploy", "ansible");
const tools = { ...releaseTools, debootstrap: "debootstrap", python3: "python3" };

/** A playbook takes a minute for both nodes on an idle machine. */
setDefaultTimeout(600_000);

describeWithTools(
  "the Ansible role",
  { needs: { ...tools, bao: "none: an OpenBao binary on PATH" }, asRoot: true, long: true, full: true },
  () => {
    const directory = mkdtempSync(join(tmpdir(), "kms-ansible-"));
    const configurations = new Map<Node, unknown>();
    let machines: ReadonlyMap<Node, Machine>;
    let openbao: RealOpenBao;
    let names: Provisioning;

    beforeAll(async () => {
      run("python3", ["-m", "venv", join(directory, "venv")]);
      run(join(directory, "venv", "bin", "pip"), [
        "install",
        "--quiet",
        "--requirement",
        join(root, "test", "ansible", "requirements.txt"),
      ]);
      openbao = await startOpenBao(findBinary("bao") ?? "");
      machines = new Map(
        await Promise.all(
          nodes.map(async (node): Promise<[Node, Machine]> => {
            const machine = await newMachine();
            await machine.boot();
            // What Ansible needs on each node.
            await machine.must(
              "apt-get update -qq && apt-get install -y -qq --no-install-recommends python3 python3-apt >/dev/null",
            );
            return [node, machine];
          }),
        ),
      );
      const issuer = makeJwtIssuer();
      names = await provision(openbao.operator, issuer.publicKeyPem);
      writeFileSync(join(directory, "ca.crt"), openbao.caPem);
      writeFileSync(join(directory, "identity.jwt"), issuer.sign(identityClaims(names, Date.now())));
      for (const node of nodes) {
        const [metrics = 0, health = 0] = await freePorts(2);
        configurations.set(
          node,
          parse(
            await sampleWith("provider-systemd.yaml", {
              "server.metricsAddress": `127.0.0.1:${metrics}`,
              "server.healthAddress": `127.0.0.1:${health}`,
              "rotation.activationDelay": "5s",
              "status.probeInterval": "2s",
              ...openbaoFields(openbao.address, names),
            }),
          ),
        );
      }
    });
    afterAll(async () => {
      await Promise.all([...machines.values()].map((machine) => machine.remove()));
      await openbao.dispose();
      rmSync(directory, { recursive: true, force: true });
    });

    /** Runs a playbook; `changes` are variables of single nodes. */
    async function play(book: string, changes: Partial<Record<Node, object>> = {}) {
      const inventory = join(directory, "inventory.json");
      const hosts = nodes.map((node) => [
        node,
        {
          machine_dir: join(machines.get(node)?.shared ?? "", ".."),
          bao_kms_provider_config: configurations.get(node),
          ...changes[node],
        },
      ]);
      const vars = {
        ansible_connection: "machine",
        ansible_become: false,
        ansible_python_interpreter: "/usr/bin/python3",
        machine_script: join(root, "test", "systemd", "machine"),
        bao_kms_provider_package: testRelease().artefact("", "deb"),
        bao_kms_provider_ca_file: join(directory, "ca.crt"),
        bao_kms_provider_jwt_file: join(directory, "identity.jwt"),
        bao_kms_provider_bao_command: findBinary("bao"),
        bao_kms_provider_bao_environment: { ...openbao.environment, BAO_TLS_SERVER_NAME: "localhost" },
      };
      writeFileSync(
        inventory,
        JSON.stringify({ control_plane: { hosts: Object.fromEntries(hosts), vars } }),
        { mode: 0o600 },
      );
      const { status, stdout, stderr } = await runCommand(
        [join(directory, "venv", "bin", "ansible-playbook"), "--inventory", inventory, join(playbooks, book)],
        {
          env: {
            PATH: process.env["PATH"],
            HOME: directory,
            LC_ALL: "C.UTF-8",
            ANSIBLE_CONNECTION_PLUGINS: join(root, "test", "ansible", "connection_plugins"),
            ANSIBLE_ROLES_PATH: join(playbooks, "roles"),
            ANSIBLE_NOCOLOR: "1",
          },
        },
      );
      const changed = Object.fromEntries(
        [...stdout.matchAll(/^(node-\d) +: ok=\d+ +changed=(\d+)/gm)].map((match) => [
          match[1],
          Number(match[2]),
        ]),
      );
      return { status, changed, output: `${stdout}${stderr}` };
    }

    const keyId = async (node: Node): Promise<string> =>
      JSON.parse((await machines.get(node)?.must("bao-kms-provider probe --output json")) ?? "{}").keyId;

    test("install.yml takes bare machines to running providers", async () => {
      const { status, output } = await play("install.yml");
      expect(status, output).toBe(0);
      expect(await keyId("node-1")).toBe(await keyId("node-2"));
      const modes = await machines
        .get("node-1")
        ?.must("stat -c '%U:%G %a' /etc/openbao-kms/config.yaml /var/lib/openbao-kms/identity.jwt");
      expect(modes).toBe("root:openbao-kms 640\nroot:openbao-kms 640");
    });

    test("a second run changes nothing", async () => {
      const { status, changed, output } = await play("install.yml");
      expect(status, output).toBe(0);
      expect(changed).toEqual({ "node-1": 0, "node-2": 0 });
    });

    test("a configuration that doctor refuses stops the roll-out and leaves the node as it was", async () => {
      const before = await machines.get("node-1")?.must("cat /etc/openbao-kms/config.yaml");
      const wrong = await sampleWith("provider-systemd.yaml", {
        ...openbaoFields(openbao.address, names),
        "openbao.tlsServerName": "another.example.com",
      });
      const { status, output } = await play("install.yml", {
        "node-1": { bao_kms_provider_config: parse(wrong) },
      });
      expect(status).not.toBe(0);
      expect(output).toContain("tlsServerName");
      expect(output).not.toContain("node-2 ");
      expect(await machines.get("node-1")?.must("cat /etc/openbao-kms/config.yaml")).toBe(before ?? "");
      expect((await machines.get("node-1")?.sh("ls /etc/openbao-kms/*.candidate"))?.status).not.toBe(0);
      expect(await keyId("node-1")).toBe(await keyId("node-2"));
    });

    test("rotate.yml rotates the key and waits for both nodes", async () => {
      const before = await keyId("node-1");
      const { status, output } = await play("rotate.yml");
      expect(status, output).toBe(0);
      expect(output).not.toContain(openbao.rootToken);
      expect(await keyId("node-1")).not.toBe(before);
      expect(await keyId("node-1")).toBe(await keyId("node-2"));
    });

    test("a missing variable is named", async () => {
      const { status, output } = await play("install.yml", { "node-1": { bao_kms_provider_config: {} } });
      expect(status).not.toBe(0);
      expect(output).toContain("bao_kms_provider_config");
    });
  },
);
