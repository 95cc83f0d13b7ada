/**
 * A rotation with evidence, from the first audit to the retired version: the compiled executable's commands on a real
 * kube-apiserver, etcd and OpenBao.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createCipheriv, randomBytes } from "node:crypto";
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { REPORT_SCHEMAS } from "../../scripts/reference/report-schemas.ts";
import { adminKubeconfig } from "../harness/admin-kubeconfig.ts";
import { type Cluster, inParallel, startCluster } from "../harness/cluster.ts";
import { type CommandResult, runCommand } from "../harness/command.ts";
import { eventually } from "../harness/eventually.ts";
import { builtExecutable } from "../harness/executable.ts";
import { goRegistry } from "../harness/go-registry.ts";
import { aescbcProvider, encryptionConfiguration, kmsProvider } from "../harness/kube-apiserver.ts";
import { describeReal } from "../harness/real-suite.ts";

const MINUTE_MS = 60_000;
const WIDTH = 8;
const BULK = 5000;
const PER_VERSION = 20;
const aesKey = randomBytes(32);
const older = aescbcProvider("old", aesKey);
const MIGRATIONS = "/apis/storagemigration.k8s.io/v1beta1/storageversionmigrations";
const WIDGETS = "/apis/example.com/v1/namespaces/default/widgets";

const CRD = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "widgets.example.com" },
  spec: {
    group: "example.com",
    scope: "Namespaced",
    names: { plural: "widgets", singular: "widget", kind: "Widget", listKind: "WidgetList" },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
      },
    ],
  },
};

function secretJson(name: string): Buffer {
  const metadata = {
    name,
    namespace: "default",
    uid: crypto.randomUUID(),
    creationTimestamp: "2030-01-01T00:00:00Z",
  };
  const data = { text: Buffer.from(`text of ${name}`).toString("base64") };
  return Buffer.from(JSON.stringify({ kind: "Secret", apiVersion: "v1", metadata, data, type: "Opaque" }));
}

function aescbc(plain: Buffer): Buffer {
  const iv = randomBytes(16);
  const cipher = createCipheriv("aes-256-cbc", aesKey, iv);
  return Buffer.concat([Buffer.from("k8s:enc:aescbc:v1:old:"), iv, cipher.update(plain), cipher.final()]);
}

/** Makes objects in a new cluster: three rotations, objects that stay on each version, and some that are not ours. */
async function fill(cluster: Cluster): Promise<void> {
  const create = async (path: string, body: unknown): Promise<void> => {
    expect((await cluster.api.request("POST", path, body)).status).toBe(201);
  };
  await create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", CRD);
  await eventually(
    "widgets are served",
    async () => (await cluster.api.request("GET", "/apis/example.com/v1/widgets")).status === 200,
    { timeoutMs: 30_000 },
  );
  const kind = { apiVersion: "v1", kind: "Secret" };
  await create("/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name: "bulk" } });
  await inParallel([...Array(BULK).keys()], WIDTH * 2, (n) =>
    create("/api/v1/namespaces/bulk/secrets", {
      ...kind,
      metadata: { name: `bulk-${n}` },
      stringData: { text: `bulk ${n}` },
    }),
  );
  for (let version = 1; version <= 4; version++) {
    if (version > 1) {
      await cluster.rotate();
      await cluster.api.restart();
    }
    for (let n = 0; n < PER_VERSION; n++) {
      await cluster.write("secrets", `v${version}-${n}`, `v${version} ${n}`);
      await cluster.write("configmaps", `v${version}-${n}`, `v${version} ${n}`);
    }
    const metadata = { name: `w${version}` };
    await create(WIDGETS, {
      apiVersion: "example.com/v1",
      kind: "Widget",
      metadata,
      spec: { size: version },
    });
  }
  const plain = [0, 1, 2].map(
    (n) => [`/registry/secrets/default/plain-${n}`, secretJson(`plain-${n}`)] as const,
  );
  await cluster.etcd.put([...plain, ["/registry/secrets/default/older-0", aescbc(secretJson("older-0"))]]);
}

/** Every object's data, without what a rewrite may change. */
async function contents({ api }: Cluster): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const path of ["/api/v1/secrets", "/api/v1/configmaps", "/apis/example.com/v1/widgets"]) {
    // A restarted API server fills its caches first and answers 429 until then.
    const reply = await eventually(
      `${path} is listed`,
      async () => {
        const answer = await api.request("GET", path);
        return answer.status === 200 && answer;
      },
      { timeoutMs: MINUTE_MS, everyMs: 200 },
    );
    const { items } = JSON.parse(reply.text);
    for (const { metadata, data, spec } of items) {
      found.set(`${path} ${metadata.namespace}/${metadata.name}`, JSON.stringify({ data, spec }));
    }
  }
  return found;
}

describeReal("rotation with evidence", { needs: ["bao", "etcd", "kube-apiserver"], long: true }, (binary) => {
  let cluster: Cluster;
  let sources: readonly string[] = [];
  let kube: readonly string[] = [];

  const file = (name: string): string => join(cluster.provider.dir, name);
  const run = (...words: readonly string[]): Promise<CommandResult> =>
    runCommand([builtExecutable(), ...words], { env: { PATH: process.env["PATH"] ?? "" } });
  /** On the provider's configuration and etcd. */
  const command = (name: string, ...words: readonly string[]): Promise<CommandResult> =>
    run(name, "--config", cluster.provider.configPath, ...sources, ...words);
  const migrate = (...words: readonly string[]) => command("migrate", ...kube, ...words);
  /** The report of a command that says nothing else, checked against its published schema. */
  const reportOf = async (
    name: keyof typeof REPORT_SCHEMAS,
    expected: number,
    ...words: readonly string[]
  ) => {
    const more = name === "migrate" ? kube : [];
    const { status, stdout, stderr } = await command(name, ...more, ...words, "--output", "json");
    expect({ stderr, status }).toEqual({ stderr: "", status: expected });
    const report = JSON.parse(stdout);
    const { issues = [] } = v.safeParse(REPORT_SCHEMAS[name], report);
    expect(issues.map((issue) => v.getDotPath(issue))).toEqual([]);
    return report;
  };

  beforeAll(async () => {
    cluster = await startCluster(
      { bao: binary("bao"), etcd: binary("etcd"), kubeApiServer: binary("kube-apiserver") },
      {},
      {
        alsoEncrypted: ["widgets.example.com"],
        extraFlags: [
          "--feature-gates=StorageVersionMigrator=true",
          "--runtime-config=storagemigration.k8s.io/v1beta1=true",
        ],
        olderProviders: [older, { identity: {} }],
      },
    );
    writeFileSync(file("admin.conf"), adminKubeconfig(cluster.api), { mode: 0o600 });
    sources = ["--etcd-endpoints", cluster.etcd.address];
    kube = ["--kubeconfig", file("admin.conf"), "--api-server", cluster.api.address];
    await fill(cluster);
  }, 10 * MINUTE_MS);
  afterAll(() => cluster?.dispose());

  test(
    "audit names every version, the plaintext and the older provider",
    async () => {
      const written = ["--evidence-out", file("before.json"), "--html", file("before.html")];
      const [audit] = (await reportOf("audit", 0, ...written)).audits;
      const groups = (resource: string): unknown[] =>
        audit.resources
          .find((each: { resource: string }) => each.resource === resource)
          .groups.map((group: Record<string, unknown>) => [
            group["kind"],
            group["version"] ?? null,
            group["objects"],
          ]);
      expect(groups("secrets")).toEqual([
        ["ours", 4, PER_VERSION],
        ["ours", 3, PER_VERSION],
        ["ours", 2, PER_VERSION],
        ["ours", 1, PER_VERSION + BULK],
        ["local_key", null, 1],
        ["plaintext", null, 3],
      ]);
      expect(groups("widgets.example.com")).toEqual([4, 3, 2, 1].map((version) => ["ours", version, 1]));
      expect(audit.source.apiServers).toBeGreaterThanOrEqual(1);
    },
    MINUTE_MS,
  );

  test(
    "verify-rotation says what remains, retire-versions refuses",
    async () => {
      const evidence = ["--config", cluster.provider.configPath, "--evidence", file("before.json")];
      const verify = await run("verify-rotation", ...evidence);
      expect(verify.stderr).toBe("");
      expect(verify.status).toBe(4);
      expect(verify.stdout).toContain(`${BULK + PER_VERSION}`.replace(/(\d)(\d{3})$/, "$1,$2"));
      const { status, stdout } = await command(
        "retire-versions",
        "--before-version",
        "4",
        "--output",
        "json",
      );
      expect(status).toBe(4);
      const codes = JSON.parse(stdout).blockers.map((blocker: { code: string }) => blocker.code);
      expect(codes).toContain("still_needed");
      expect(codes).toContain("nodes_missing");
    },
    MINUTE_MS,
  );

  test(
    "migrate asks the cluster for StorageVersionMigrations instead, waits for them, and audits again",
    async () => {
      const { api } = cluster;
      const merge = (target: string, body: object) =>
        api.request("PATCH", target, body, { contentType: "application/merge-patch+json" });
      // What kube-controller-manager does, which is not here: for one of the resources.
      const control = async (): Promise<void> => {
        const name = await eventually(
          "the migration of widgets is asked for",
          async () => {
            const { items } = JSON.parse((await api.request("GET", MIGRATIONS)).text);
            const wanted = items.find(
              ({ spec }: { spec: { resource: { resource: string } } }) =>
                spec.resource.resource === "widgets",
            );
            return wanted?.metadata.name;
          },
          { timeoutMs: 30_000 },
        );
        for (let version = 1; version <= 4; version++) {
          expect((await merge(`${WIDGETS}/w${version}`, {})).status).toBe(200);
        }
        const reason = "StorageVersionMigrationSucceeded";
        const lastTransitionTime = new Date().toISOString();
        const conditions = [{ type: "Succeeded", status: "True", reason, message: "", lastTransitionTime }];
        const done = { status: { resourceVersion: "1", conditions } };
        expect((await merge(`${MIGRATIONS}/${name}/status`, done)).status).toBe(200);
      };
      const controller = control();
      // The others are not carried out here; what is stale there stays so.
      const words = "--apply --storage-version-migration --wait 10s".split(" ");
      const report = await reportOf("migrate", 4, ...words);
      await controller;
      const states = report.requested.map(({ resource, state }: Record<string, string>) => [resource, state]);
      expect(states.sort()).toEqual([
        ["configmaps", "pending"],
        ["secrets", "pending"],
        ["widgets.example.com", "succeeded"],
      ]);
      const stale = (verdict: { remaining: { resource: string }[] }) =>
        [...new Set(verdict.remaining.map(({ resource }) => resource))].sort();
      expect(stale(report.before)).toEqual(["configmaps", "secrets", "widgets.example.com"]);
      expect(stale(report.after)).toEqual(["configmaps", "secrets"]);
      for (const { name } of report.requested) {
        expect((await api.request("DELETE", `${MIGRATIONS}/${name}`)).status).toBe(200);
      }
    },
    MINUTE_MS,
  );

  test(
    "migrate: a dry run changes nothing; applied it rewrites what is stale, beside writers, and loses nothing",
    async () => {
      const dry = await migrate();
      expect(dry.stderr).toBe("");
      expect(dry.status).toBe(0);
      expect(dry.stdout).toContain("nothing was changed");

      const before = await contents(cluster);
      const written = new Map<string, string>();
      const done = new AbortController();
      const writers = Promise.all(
        ["a", "b", "c"].map(async (name) => {
          for (let n = 0; !done.signal.aborted; n++) {
            const target = `bulk-${(n * 37) % BULK}`;
            const reply = await cluster.api.request(
              "PATCH",
              `/api/v1/namespaces/bulk/secrets/${target}`,
              { stringData: { [name]: `${name} ${n}` } },
              { contentType: "application/merge-patch+json" },
            );
            expect(reply.status).toBe(200);
            written.set(`${target}/${name}`, Buffer.from(`${name} ${n}`).toString("base64"));
          }
        }),
      );
      const deleted = `bulk-${BULK - 1}`;
      const deletion = cluster.api.request("DELETE", `/api/v1/namespaces/bulk/secrets/${deleted}`);
      const report = await reportOf("migrate", 0, "--apply", "--rate", "2000");
      done.abort();
      await writers;
      await deletion;
      expect(report.after.remaining).toEqual([]);
      expect(report.counts.rewritten).toBeGreaterThan(BULK / 2);

      const after = await contents(cluster);
      for (const [name, text] of before) {
        const target = name.split("/").at(-1) ?? "";
        if (target === deleted) {
          continue;
        }
        const now = JSON.parse(after.get(name) ?? "{}");
        for (const [key, value] of Object.entries(JSON.parse(text).data ?? {})) {
          expect(now.data?.[key]).toBe(written.get(`${target}/${key}`) ?? value);
        }
        expect(JSON.stringify(now.spec)).toBe(JSON.stringify(JSON.parse(text).spec));
      }
      for (const [name, value] of written) {
        const [target = "", key = ""] = name.split("/");
        if (target !== deleted) {
          expect(JSON.parse(after.get(`/api/v1/secrets bulk/${target}`) ?? "{}").data[key]).toBe(value);
        }
      }
    },
    5 * MINUTE_MS,
  );

  test(
    "verify-rotation: done, with high confidence",
    async () => {
      expect(await reportOf("verify-rotation", 0)).toMatchObject({
        result: "done",
        activeVersion: 4,
        confidence: "high",
        remaining: [],
        problems: [],
      });
    },
    MINUTE_MS,
  );

  test(
    "retire-versions: too early without an override; with one the reason is recorded; restore-versions reverts it",
    async () => {
      const { provider, names } = cluster;
      const probe = (...words: readonly string[]) =>
        run("probe", "--socket", provider.socketPath, ...words, "--output", "json");
      writeFileSync(file("node.json"), (await probe()).stdout);
      const retire = ["--before-version", "4", "--node-report", file("node.json")];
      const { remove, blockers, stateHash } = await reportOf("retire-versions", 4, ...retire);
      expect(remove).toEqual([1, 2, 3]);
      expect(blockers.map(({ code }: { code: string }) => code)).toEqual(["read_too_early"]);
      const apply = (hash: string, reason: string): readonly string[] => [
        "--apply",
        "--expected-state-hash",
        hash,
        "--override-reason",
        reason,
      ];
      expect((await command("retire-versions", ...retire, ...apply("x", "y"))).status).toBe(4);
      const done = await reportOf(
        "retire-versions",
        0,
        ...retire,
        ...apply(stateHash, "test of the runbook"),
      );
      expect(done).toMatchObject({ applied: true, remove: [1, 2, 3] });
      const state = JSON.parse(await Bun.file(provider.statePath).text());
      expect(state.body.notes.at(-1)).toMatchObject({ kind: "retire_override" });
      expect(state.body.notes.at(-1).reason).toContain("test of the runbook");

      // All is still readable: nothing needs the removed versions.
      await cluster.api.restart();
      expect((await contents(cluster)).size).toBeGreaterThan(BULK);

      writeFileSync(file("node-after.json"), (await probe("--config", provider.configPath)).stdout);
      const after = ["--before-version", "4", "--node-report", file("node-after.json")];
      expect((await command("retire-versions", ...after)).stdout).toContain(
        `bao write ${names.mount}/keys/${names.keyName}/config min_decryption_version=4`,
      );

      const restore = async (...words: readonly string[]) => {
        const versions = ["--config", provider.configPath, "--versions", "1,2"];
        const { stdout } = await run("restore-versions", ...versions, ...words, "--output", "json");
        return JSON.parse(stdout);
      };
      const { stateHash: hash } = await restore();
      const restored = await restore("--apply", "--expected-state-hash", hash);
      expect(restored).toMatchObject({ applied: true, restore: [1, 2] });
    },
    3 * MINUTE_MS,
  );

  test(
    "rebuild-registry --from-go takes over versions that Transit hides",
    async () => {
      const { names, openbao, provider } = cluster;
      const go = goRegistry(provider.statePath, (state) => (state === "active" ? "active" : "retired"));
      writeFileSync(file("go.json"), go);
      const minimum = (version: number): Promise<unknown> =>
        openbao.operator.must("POST", `${names.mount}/keys/${names.keyName}/config`, {
          min_decryption_version: version,
        });
      await minimum(3);
      const taken = await command("rebuild-registry", "--from-go", file("go.json"), "--output", "json");
      await minimum(1);
      expect(taken.stderr).toBe("");
      const versions = JSON.parse(taken.stdout).versions;
      expect(versions.map(({ version }: { version: number }) => version)).toEqual([1, 2, 3, 4]);
    },
    MINUTE_MS,
  );

  test(
    "rebuild-registry: a lost state is made again from the running etcd, and the provider starts on it",
    async () => {
      const { provider } = cluster;
      const { keyId } = await provider.client.status();
      await provider.stop();
      for (const path of [provider.statePath, `${provider.statePath}.checkpoint`]) {
        renameSync(path, `${path}.lost`);
      }
      const { planHash, versions } = await reportOf("rebuild-registry", 0);
      expect(versions.map(({ state }: { state: string }) => state)).toEqual([
        "retired",
        "retired",
        "retired",
        "active",
      ]);
      const done = await reportOf("rebuild-registry", 0, "--apply", "--expected-state-hash", planHash);
      expect(done.applied).toBe(true);
      await provider.start();
      expect((await provider.client.status()).keyId).toBe(keyId);
      expect((await contents(cluster)).size).toBeGreaterThan(BULK);
    },
    2 * MINUTE_MS,
  );

  test(
    "leaving: another provider first, migrate --away, and the cluster is read without this one",
    async () => {
      const { api, provider } = cluster;
      const before = await contents(cluster);
      const next = aescbcProvider("next", randomBytes(32));
      const encryptBy = (...providers: readonly unknown[]): void =>
        api.replaceEncryptionConfig(
          encryptionConfiguration(["secrets", "configmaps", "widgets.example.com"], providers),
        );
      encryptBy(next, kmsProvider(provider.socketPath), older, { identity: {} });
      await api.restart();
      for (const apply of [[], ["--apply"]]) {
        const unseen = await migrate("--away", "--etcd-prefix", "elsewhere", ...apply);
        expect(unseen.status).toBe(4);
        expect(unseen.stdout).toContain("wrong --etcd-prefix");
        expect(unseen.stdout).not.toContain("✓");
      }
      const report = await reportOf("migrate", 0, "--away", "--apply", "--rate", "2000");
      expect(report).toMatchObject({ after: { remaining: [] } });
      expect((await reportOf("audit", 0)).audits[0].keyIds).toEqual([]);

      encryptBy(next, older, { identity: {} });
      await api.stop();
      await provider.stop();
      await api.start();
      expect(await contents(cluster)).toEqual(new Map(before));
    },
    3 * MINUTE_MS,
  );
});
