/**
 * The commands of docs/operations, run as they stand: one control plane goes through the rotation runbook, loses its registry,
 * comes from the Go implementation, and leaves the provider.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { adminKubeconfig } from "../harness/admin-kubeconfig.ts";
import { type Cluster, startCluster } from "../harness/cluster.ts";
import { type CommandResult, runCommand } from "../harness/command.ts";
import { builtExecutable } from "../harness/executable.ts";
import { goRegistry } from "../harness/go-registry.ts";
import { aescbcProvider, encryptionConfiguration, kmsProvider } from "../harness/kube-apiserver.ts";
import { untilKeyIdChanges } from "../harness/outage.ts";
import { describeReal } from "../harness/real-suite.ts";
import { docBlock } from "../packaging/doc-blocks.ts";

const MINUTE_MS = 60_000;
/** The service's user, made by number. */
const SERVICE_UID = 47_160;
const isRoot = process.getuid?.() === 0;

describeReal(
  "operations pages",
  { needs: ["bao", "etcd", "etcdctl", "kube-apiserver"], long: true },
  (binary) => {
    let cluster: Cluster;
    let work = "";

    const shell = async (
      text: string,
      variables: Readonly<Record<string, string>> = {},
    ): Promise<CommandResult> => {
      const { mount, keyName } = cluster.names;
      const script = text
        .replaceAll("transit/keys/kubernetes-etcd", `${mount}/keys/${keyName}`)
        .replaceAll("/run/openbao-kms/kms.sock", cluster.provider.socketPath)
        .replaceAll("/var/lib/openbao-kms/state", dirname(cluster.provider.statePath));
      return runCommand(["bash", "-e", "-c", script], {
        cwd: work,
        env: {
          ...cluster.openbao.environment,
          PATH: `${join(work, "bin")}:${dirname(builtExecutable())}:${dirname(binary("bao"))}:${process.env["PATH"] ?? ""}`,
          CONFIG: cluster.provider.configPath,
          ETCD: etcdFlags(),
          KUBE: "--kubeconfig admin.conf",
          ...variables,
        },
      });
    };
    /** As with kubeadm: the key of the certificate is root's alone. */
    const etcdFlags = (): string => {
      const { endpoints, tls } = cluster.etcd;
      const { ca, cert, key } = tls;
      return `--etcd-endpoints ${endpoints[0]} --etcd-ca ${ca} --etcd-cert ${cert} --etcd-key ${key}`;
    };
    /** After a command of root's: every file of the state is still the service's, and the service can start on it. */
    const expectServiceOwnsState = (): void => {
      const directory = dirname(cluster.provider.statePath);
      for (const name of readdirSync(directory).filter((each) => !each.endsWith(".lost"))) {
        expect([name, statSync(join(directory, name)).uid]).toEqual([
          name,
          isRoot ? SERVICE_UID : (process.getuid?.() ?? 0),
        ]);
      }
    };
    const good = async (id: string, variables: Readonly<Record<string, string>> = {}): Promise<string> => {
      const { status, stdout, stderr } = await shell(docBlock(id), variables);
      expect({ id, status, stderr }).toEqual({
        id,
        status: 0,
        stderr: expect.not.stringContaining("error:"),
      });
      return stdout;
    };
    const hashOf = async (id: string, field: string): Promise<string> => {
      const plan = docBlock(id)
        .split("\n")
        .filter((line) => !line.startsWith("mv ") && !line.startsWith("systemctl "))
        .join("\n")
        .trimEnd();
      const { stdout } = await shell(`${plan} --output json`);
      return JSON.parse(stdout)[field];
    };

    beforeAll(async () => {
      cluster = await startCluster(
        { bao: binary("bao"), etcd: binary("etcd"), kubeApiServer: binary("kube-apiserver") },
        {},
        { olderProviders: [{ identity: {} }] },
        isRoot ? { uid: SERVICE_UID } : {},
      );
      work = join(cluster.provider.dir, "work");
      mkdirSync(join(work, "bin"), { recursive: true });
      // What systemd does, the test does itself.
      writeFileSync(join(work, "bin", "systemctl"), "#!/bin/sh\nexit 0\n");
      chmodSync(join(work, "bin", "systemctl"), 0o755);
      writeFileSync(join(work, "admin.conf"), adminKubeconfig(cluster.api), { mode: 0o600 });
      for (let n = 0; n < 20; n++) {
        await cluster.write("secrets", `s-${n}`, `text ${n}`);
      }
    }, 3 * MINUTE_MS);
    afterAll(() => cluster?.dispose());

    test(
      "rotation.md",
      async () => {
        expect(await good("rotation.md#before")).toContain("version 1");
        const before = (await cluster.provider.client.status()).keyId;
        await good("rotation.md#rotate");
        await untilKeyIdChanges(cluster.provider, before);
        await cluster.api.restart();
        await good("rotation.md#probe");
        const own = readdirSync(work).find((each) => each.startsWith("node-")) ?? "";
        const other = { ...JSON.parse(readFileSync(join(work, own), "utf8")), host: "other" };
        writeFileSync(join(work, "node-other.json"), JSON.stringify(other));
        expect(await good("rotation.md#compare")).toContain("✓");
        rmSync(join(work, "node-other.json"));
        expect(await good("rotation.md#migrate")).toContain(
          "22 rewritten, 0 deleted by others meanwhile, 0 left",
        );
        expect(await good("rotation.md#verify")).toContain("done");
        expect(await good("audit.md#digest")).toStartWith(
          JSON.parse(readFileSync(join(work, "after.json"), "utf8")).digest.replace("sha256:", ""),
        );

        // The five minutes after the last report, which this test does not wait for.
        for (const name of readdirSync(work).filter((each) => each.startsWith("node-"))) {
          const report = JSON.parse(readFileSync(join(work, name), "utf8"));
          const earlier = new Date(Date.parse(report.checkedAt) - 6 * MINUTE_MS).toISOString();
          writeFileSync(join(work, name), JSON.stringify({ ...report, checkedAt: earlier }));
        }
        expect(await good("rotation.md#retire-plan")).toContain("would remove: version 1");
        const HASH = await hashOf("rotation.md#retire-plan", "stateHash");
        expect(await good("rotation.md#retire-apply", { HASH })).toContain("removed: version 1");
        expectServiceOwnsState();
        expect(await good("rotation.md#restore-plan")).toContain("would restore: version 1");
        const RESTORE = await hashOf("rotation.md#restore-plan", "stateHash");
        expect(await good("rotation.md#restore-apply", { HASH: RESTORE })).toContain("restored: version 1");
        expectServiceOwnsState();
        await cluster.provider.stop();
        await cluster.provider.start();
      },
      3 * MINUTE_MS,
    );

    test(
      "disaster-recovery.md",
      async () => {
        // doctor looks at the whole machine: here it is enough that it speaks.
        const { stdout } = await shell(docBlock("disaster-recovery.md#look"));
        expect(stdout.length).toBeGreaterThan(0);
        const keyId = (await cluster.provider.client.status()).keyId;
        await cluster.provider.stop();
        expect(await good("disaster-recovery.md#rebuild-plan")).toContain("version 2  active");
        const HASH = await hashOf("disaster-recovery.md#rebuild-plan", "planHash");
        expect(await good("disaster-recovery.md#rebuild-apply", { HASH })).toContain("written");
        expectServiceOwnsState();
        await cluster.provider.start();
        expect((await cluster.provider.client.status()).keyId).toBe(keyId);
        const saved = await shell(
          `${binary("etcdctl")} --endpoints ${cluster.etcd.address} snapshot save etcd-snapshot.db`,
        );
        expect(saved.status).toBe(0);
        expect(await good("disaster-recovery.md#kept")).toContain("version 2");
      },
      2 * MINUTE_MS,
    );

    test(
      "switching-from-go.md",
      async () => {
        await cluster.provider.stop();
        const state = cluster.provider.statePath;
        const go = goRegistry(state);
        renameSync(state, `${state}.ours`);
        renameSync(`${state}.checkpoint`, `${state}.checkpoint.ours`);
        writeFileSync(state, go, { mode: 0o600 });
        writeFileSync(`${state}.checkpoint`, "{}", { mode: 0o600 });
        if (isRoot) {
          for (const path of [state, `${state}.checkpoint`]) {
            chownSync(path, SERVICE_UID, SERVICE_UID);
          }
        }
        await good("switching-from-go.md#go-aside");
        expect(await good("switching-from-go.md#from-go")).toContain("version 2  active");
        renameSync(`${state}.ours`, state);
        renameSync(`${state}.checkpoint.ours`, `${state}.checkpoint`);
        await cluster.provider.start();
      },
      MINUTE_MS,
    );

    test(
      "leaving.md",
      async () => {
        const providers = [
          aescbcProvider("next", randomBytes(32)),
          kmsProvider(cluster.provider.socketPath),
          { identity: {} },
        ];
        const encryption = (kept: readonly unknown[]): string =>
          encryptionConfiguration(["secrets", "configmaps"], kept);
        cluster.api.replaceEncryptionConfig(encryption(providers));
        await cluster.api.restart();
        expect(await good("leaving.md#away")).toContain(", 0 left");
        await shell(
          `rm etcd-snapshot.db; ${binary("etcdctl")} --endpoints ${cluster.etcd.address} snapshot save etcd-snapshot.db`,
        );
        expect(await good("leaving.md#nothing-left")).not.toContain("version 2");
        cluster.api.replaceEncryptionConfig(encryption([providers[0], { identity: {} }]));
        await cluster.provider.stop();
        await cluster.api.restart();
        expect(await cluster.read("secrets", "s-3")).toBe("text 3");
      },
      2 * MINUTE_MS,
    );
  },
);
