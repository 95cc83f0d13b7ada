/**
 * @module What both deployment models share on a kubeadm node: kube-apiserver's configuration and Secrets under it. The
 * commands are those of docs/deployment/kubeadm.md.
 */
import { test } from "bun:test";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseDocument } from "yaml";
import { eventually } from "../harness/eventually.ts";
import { root } from "../packaging/artefacts.ts";
import { docBlock } from "../packaging/doc-blocks.ts";
import type { KubeNode } from "./kube-node.ts";

const COUNT = 10;
/** How long kube-apiserver may take to pick up a changed file: it looks once a minute. */
const RELOAD_TIMEOUT_MS = 100_000;
/** What a value of ours starts with in etcd. */
export const OURS = "k8s:enc:kms:v2:openbao-kms:";

/** A row that CI leaves to the full matrix, FULL_MATRIX=1. */
export const inFullMatrix = test.skipIf(process.env["FULL_MATRIX"] !== "1");

/** The blocks of the page that give an existing cluster's kube-apiserver its flags and mounts. */
export async function configureApiServer(node: KubeNode): Promise<void> {
  const { machine, ready } = node;
  await machine.must(`cd /root\n${docBlock("kubeadm.md#fetch-config")}`);
  const sample = parseDocument(
    readFileSync(join(root, "deploy", "kubernetes", "kubeadm-config.yaml"), "utf8"),
  );
  const cluster = parseDocument(readFileSync(machine.path("/root/cluster.yaml"), "utf8"));
  cluster.set("apiServer", sample.get("apiServer"));
  machine.put("/root/cluster.yaml", cluster.toString());
  await machine.must(
    `export KUBECONFIG=/etc/kubernetes/admin.conf\ncd /root\n${docBlock("kubeadm.md#upload-config")}`,
  );
  await machine.must(`cd /root\n${docBlock("kubeadm.md#apiserver-manifest")}`);
  await eventually("kube-apiserver runs with the new flags", () => runsWithEncryption(node), {
    timeoutMs: RELOAD_TIMEOUT_MS,
    everyMs: 500,
  });
  await ready();
}

export async function runsWithEncryption({ machine }: KubeNode): Promise<boolean> {
  const { stdout } = await machine.sh("ps -C kube-apiserver -o args=");
  return stdout.includes("--encryption-provider-config=");
}

const name = (index: number): string => `secret-${index}`;

export async function writeSecrets({ kubectl }: KubeNode): Promise<void> {
  for (let index = 0; index < COUNT; index += 1) {
    await kubectl(`create secret generic ${name(index)} --from-literal=password=plain-${index}`);
  }
}

/** Reads every Secret through kube-apiserver. @throws when one is missing or has another value */
export async function readSecrets({ kubectl }: KubeNode): Promise<void> {
  const { items }: { items: readonly { metadata: { name: string }; data: { password: string } }[] } =
    JSON.parse(await kubectl("get secrets --namespace default --output json"));
  const found = new Map(items.map(({ metadata, data }) => [metadata.name, atob(data.password)]));
  for (let index = 0; index < COUNT; index += 1) {
    if (found.get(name(index)) !== `plain-${index}`) {
      throw new Error(`${name(index)} is ${found.get(name(index))}`);
    }
  }
}

/** The values in etcd that are not ours. */
export async function notOurs(node: KubeNode): Promise<readonly string[]> {
  const names = Array.from({ length: COUNT }, (_, index) => name(index));
  const stored = await Promise.all(
    names.map(async (each) => [each, await node.stored(`/registry/secrets/default/${each}`)] as const),
  );
  return stored.filter(([, value]) => !value.startsWith(OURS)).map(([each]) => each);
}

/** Waits until kube-apiserver uses the EncryptionConfiguration that is in the directory: its metrics have the file's hash. */
export async function untilReloaded({ machine, kubectl }: KubeNode): Promise<void> {
  const file = readFileSync(machine.path("/etc/kubernetes/encryption/encryption-config.yaml"));
  const hash = `hash="sha256:${createHash("sha256").update(file).digest("hex")}"`;
  await eventually(
    "kube-apiserver uses the changed file",
    async () =>
      (await kubectl("get --raw /metrics"))
        .split("\n")
        .some(
          (line) =>
            line.startsWith("apiserver_encryption_config_controller_last_config_info{") &&
            line.includes(hash),
        ),
    { timeoutMs: RELOAD_TIMEOUT_MS, everyMs: 1000 },
  );
}

/** Writes until KMS encrypts: kube-apiserver has read the file of phase 2. */
export async function untilKmsWrites({ kubectl, stored }: KubeNode): Promise<void> {
  await kubectl("create secret generic example --from-literal=password=example");
  await eventually(
    "kube-apiserver writes with KMS",
    async () => {
      await kubectl(`patch secret example --patch '{"stringData":{"at":"${performance.now()}"}}'`);
      return (await stored("/registry/secrets/default/example")).startsWith(OURS);
    },
    { timeoutMs: RELOAD_TIMEOUT_MS, everyMs: 1000 },
  );
}
