/** @module The demo with etcd and kube-apiserver: Secrets are written through the Kubernetes API and looked at in etcd. */
import { randomBytes } from "node:crypto";
import { classifyStoredValue } from "../../src/etcd/stored/stored-value.ts";
import { type RealEtcd, startEtcd } from "../../test/harness/etcd.ts";
import { eventually } from "../../test/harness/eventually.ts";
import { type KubeApiServer, startKubeApiServer } from "../../test/harness/kube-apiserver.ts";
import { rotate, type Stage, shortKeyId, startProvider } from "./stage.ts";

const SECRETS = "/api/v1/namespaces/default/secrets";
const STORED = "/registry/secrets/default/";
const SHOWN_BYTES = 64;
const BYTES_PER_LINE = 16;
const PLAINTEXT = `correct horse ${randomBytes(4).toString("hex")}`;
/** kube-apiserver polls Status once a minute. */
const NOTICE_TIMEOUT_MS = 90_000;

export async function clusterStory(
  stage: Stage,
  binaries: { readonly etcd: string; readonly kubeApiServer: string },
  undo: (() => Promise<void>)[],
): Promise<void> {
  const { narrator, provider } = stage;
  narrator.chapter("Start");
  await startProvider(stage);
  const etcd = await narrator.timed("etcd answers", () => startEtcd(binaries.etcd));
  undo.push(etcd.dispose);
  const api = await narrator.timed("kube-apiserver is ready; its seed was encrypted by OpenBao", () =>
    startKubeApiServer(binaries.kubeApiServer, {
      etcdAddress: etcd.address,
      kmsSocketPath: provider.socketPath,
      kmsName: "openbao",
    }),
  );
  undo.push(api.dispose);

  narrator.chapter("A Secret, and what is in etcd");
  await narrator.timed(`Secret "first" is written: password = "${PLAINTEXT}"`, () => write(api, "first"));
  await show(stage, etcd, "first");

  narrator.chapter("Rotation");
  const newKeyId = await rotate(stage);
  await narrator.timed(
    'kube-apiserver noticed at its next poll: Secret "second" is under the new key_id',
    () =>
      eventually(
        "kube-apiserver uses the new key",
        async () => {
          await write(api, "second");
          return (await keyIdOf(etcd, "second")) === newKeyId;
        },
        { timeoutMs: NOTICE_TIMEOUT_MS, everyMs: 1000 },
      ),
  );
  await show(stage, etcd, "second");
  narrator.say(`Secret "first" is still under ${shortKeyId((await keyIdOf(etcd, "first")) ?? "")}`);

  narrator.chapter("kill -9 of the provider, cold restart of kube-apiserver");
  await provider.kill();
  await startProvider(stage);
  await api.stop();
  await narrator.timed("kube-apiserver starts from nothing", () => api.start());
  for (const name of ["first", "second"]) {
    await narrator.timed(
      (password) => `Secret "${name}" reads: password = "${password}"`,
      () => read(api, name),
    );
  }
}

async function write(api: KubeApiServer, name: string): Promise<void> {
  const body = {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name },
    stringData: { password: PLAINTEXT, attempt: randomBytes(4).toString("hex") },
  };
  const created = await api.request("POST", SECRETS, body);
  const reply = created.status === 409 ? await api.request("PUT", `${SECRETS}/${name}`, body) : created;
  if (reply.status >= 300) {
    throw new Error(`Secret ${name} was not written: ${reply.text}`);
  }
}

async function read(api: KubeApiServer, name: string): Promise<string> {
  const { status, text } = await api.request("GET", `${SECRETS}/${name}`);
  const encoded = /"password":\s*"([^"]+)"/.exec(text)?.[1];
  if (status !== 200 || encoded === undefined) {
    throw new Error(`Secret ${name} was not read: ${text}`);
  }
  return Buffer.from(encoded, "base64").toString();
}

async function keyIdOf(etcd: RealEtcd, name: string): Promise<string | undefined> {
  const stored = classifyStoredValue((await etcd.get(STORED + name)) ?? new Uint8Array());
  return stored.kind === "ours" ? stored.keyId : undefined;
}

async function show({ narrator }: Stage, etcd: RealEtcd, name: string): Promise<void> {
  const value = (await etcd.get(STORED + name)) ?? Buffer.alloc(0);
  narrator.say(`in etcd, ${STORED}${name}, ${value.length} bytes:`);
  for (let at = 0; at < Math.min(value.length, SHOWN_BYTES); at += BYTES_PER_LINE) {
    const line = value.subarray(at, at + BYTES_PER_LINE);
    const text = line.toString("latin1").replace(/[^\x20-\x7e]/g, ".");
    narrator.say(
      `  ${line
        .toString("hex")
        .replace(/(..)(?=.)/g, "$1 ")
        .padEnd(BYTES_PER_LINE * 3)} ${text}`,
    );
  }
  narrator.say(`  the password is ${value.includes(PLAINTEXT) ? "IN THERE" : "not in there"}`);
  const stored = classifyStoredValue(value);
  if (stored.kind === "ours") {
    narrator.say(`  key_id ${shortKeyId(stored.keyId)}, Transit version ${stored.statedVersion}`);
  }
}
