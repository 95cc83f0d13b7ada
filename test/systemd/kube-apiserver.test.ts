/** A real kube-apiserver that is not root, in the socket's group and no other, encrypting through the packaged service. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { type RealEtcd, startEtcd } from "../harness/etcd.ts";
import { eventually } from "../harness/eventually.ts";
import { type KubeApiServer, startKubeApiServer } from "../harness/kube-apiserver.ts";
import { findBinary } from "../harness/real-suite.ts";
import { releaseTools, root } from "../packaging/artefacts.ts";
import { docBlock } from "../packaging/doc-blocks.ts";
import { type ProviderMachine, paths, providerMachine, unit } from "./provider-machine.ts";
import { describeOnMachine, machineTimeoutMs } from "./systemd-suite.ts";

setDefaultTimeout(machineTimeoutMs);

const kubernetes = join(root, "deploy", "kubernetes");
const phase = (name: string): string => readFileSync(join(kubernetes, name), "utf8");
const secretKey = (name: string): string => `/registry/secrets/default/${name}`;

function secret(name: string): object {
  return { apiVersion: "v1", kind: "Secret", metadata: { name }, stringData: { password: `plain-${name}` } };
}

describeOnMachine(
  "kube-apiserver on the machine",
  {
    ...releaseTools,
    bao: "none: an OpenBao binary on PATH",
    etcd: "none: an etcd binary on PATH",
    "kube-apiserver": "none: a kube-apiserver binary on PATH",
  },
  () => {
    let host: ProviderMachine;
    let etcd: RealEtcd;
    let server: KubeApiServer;
    let temporary: string | undefined;

    beforeAll(async () => {
      host = await providerMachine();
      const { machine } = host;
      await machine.must(`useradd --system kube-apiserver; systemctl start ${unit}`);
      await machine.must(docBlock("linux-identity.md#apiserver-member"));
      await machine.must(docBlock("linux-identity.md#apiserver-probe"));
      etcd = await startEtcd(findBinary("etcd") ?? "etcd");
      // kube-apiserver gets the machine's files and users. Its folder is the one that machine and host share.
      temporary = process.env["TMPDIR"];
      process.env["TMPDIR"] = machine.shared;
      server = await startKubeApiServer(asMachineUser(host), {
        etcdAddress: etcd.address,
        kmsSocketPath: paths.socket,
        kmsName: "openbao-kms",
        encryptionConfig: phase("encryption-config-readers.yaml"),
      });
    });
    afterAll(async () => {
      if (temporary === undefined) {
        delete process.env["TMPDIR"];
      } else {
        process.env["TMPDIR"] = temporary;
      }
      await server.dispose();
      await etcd.dispose();
      await host.dispose();
    });

    const create = async (name: string): Promise<Buffer> => {
      const reply = await server.request("POST", "/api/v1/namespaces/default/secrets", secret(name));
      expect(reply.status, reply.text).toBe(201);
      return (await etcd.get(secretKey(name))) ?? Buffer.alloc(0);
    };
    const read = async (name: string): Promise<string> =>
      (await server.request("GET", `/api/v1/namespaces/default/secrets/${name}`)).text;

    test("phase 1 writes as before", async () => {
      expect((await create("before")).includes("plain-before")).toBe(true);
    });

    test("phase 2 writes with KMS, and reads what was written before", async () => {
      server.replaceEncryptionConfig(phase("encryption-config.yaml"));
      await server.stop();
      await server.start();
      const stored = await create("after");
      expect(stored.subarray(0, 27).toString()).toBe("k8s:enc:kms:v2:openbao-kms:");
      expect(stored.includes("plain-after")).toBe(false);
      expect(await read("before")).toContain(Buffer.from("plain-before").toString("base64"));
    });

    test("a cold start reads through the socket of a provider that was restarted meanwhile", async () => {
      await host.machine.must(`systemctl restart ${unit}`);
      await server.stop();
      await server.start();
      expect(await read("after")).toContain(Buffer.from("plain-after").toString("base64"));
    });

    test("the static pod's manifest passes the API's strict validation", async () => {
      const pod = parse(readFileSync(join(root, "deploy", "static-pod", "bao-kms-provider.yaml"), "utf8"));
      pod.metadata.namespace = "default";
      const reply = await eventually(
        "the priority classes are there",
        async () => {
          const answer = await server.request(
            "POST",
            "/api/v1/namespaces/default/pods?dryRun=All&fieldValidation=Strict",
            pod,
          );
          return answer.text.includes("no PriorityClass") ? undefined : answer;
        },
        { timeoutMs: 30_000 },
      );
      expect(reply.status, reply.text).toBe(201);
    });
  },
);

/** A program that becomes kube-apiserver in the machine, as its user there: no capability, no group but the socket's. */
function asMachineUser({ machine }: ProviderMachine): string {
  const binary = join(machine.shared, "kube-apiserver");
  const wrapper = join(machine.shared, "kube-apiserver-as-user");
  copyFileSync(findBinary("kube-apiserver") ?? "", binary);
  chmodSync(binary, 0o755);
  chmodSync(machine.shared, 0o755);
  writeFileSync(
    wrapper,
    `#!/bin/sh
set -e
leader=${machine.leader()}
number() { awk -F: -v name="$2" '$1 == name { print $3 }' "/proc/$leader/root/etc/$1"; }
uid=$(number passwd kube-apiserver)
gid=$(number group kube-apiserver)
chown -R "$uid:$gid" "$PWD"
exec nsenter --target "$leader" --mount --wd="$PWD" setpriv --reuid "$uid" --regid "$gid" \\
  --groups "$gid,$(number group openbao-kms-socket)" --no-new-privs --inh-caps=-all --bounding-set=-all ${binary} "$@"
`,
  );
  chmodSync(wrapper, 0o755);
  return wrapper;
}
