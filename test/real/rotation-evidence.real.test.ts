/**
 * A rotation with evidence, from the first audit to the retired version: the compiled executable's commands on a real
 * kube-apiserver, etcd and OpenBao.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createCipheriv, randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { REPORT_SCHEMAS } from "../../scripts/reference/report-schemas.ts";
import { deriveKeyId } from "../../src/key/identity/key-id.ts";
import { type Cluster, inParallel, startCluster } from "../harness/cluster.ts";
import { eventually } from "../harness/eventually.ts";
import { builtExecutable } from "../harness/executable.ts";
import { untilKeyIdChanges } from "../harness/outage.ts";
import { describeReal } from "../harness/real-suite.ts";

const MINUTE_MS = 60_000;
const WIDTH = 8;
const BULK = 5000;
const PER_VERSION = 20;
const aesKey = randomBytes(32);

interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

describeReal("rotation with evidence", { needs: ["bao", "etcd", "kube-apiserver"], long: true }, (binary) => {
  let cluster: Cluster;

  const run = async (...args: string[]): Promise<Result> => {
    const child = Bun.spawn([builtExecutable(), ...args], {
      stdout: "pipe",
      stderr: "pipe",
      env: { PATH: process.env["PATH"] ?? "" },
    });
    const [stdout, stderr, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { code, stdout, stderr };
  };
  const config = (): string[] => ["--config", cluster.provider.configPath];
  const kube = (): string[] => ["--kubeconfig", file("admin.conf"), "--api-server", cluster.api.address];
  const issuesOf = (name: keyof typeof REPORT_SCHEMAS, report: unknown) =>
    (v.safeParse(REPORT_SCHEMAS[name], report).issues ?? []).map((issue) => v.getDotPath(issue));
  const etcd = (): string[] => ["--etcd-endpoints", cluster.etcd.address];
  const file = (name: string): string => join(cluster.provider.dir, name);

  const rotate = async (): Promise<void> => {
    const before = (await cluster.provider.client.status()).keyId;
    const { mount, keyName } = cluster.names;
    await cluster.openbao.operator.must("POST", `${mount}/keys/${keyName}/rotate`, {});
    await untilKeyIdChanges(cluster.provider, before);
    // A restarted API server asks for Status at once, a running one within a minute.
    await cluster.api.stop();
    await cluster.api.start();
  };
  const put = async (key: string, value: Uint8Array): Promise<void> => {
    const base64 = (bytes: string | Uint8Array): string => Buffer.from(bytes).toString("base64");
    const reply = await fetch(`${cluster.etcd.address}/v3/kv/put`, {
      method: "POST",
      body: JSON.stringify({ key: base64(key), value: base64(value) }),
    });
    expect(reply.status).toBe(200);
  };
  const secretJson = (name: string): Buffer =>
    Buffer.from(
      JSON.stringify({
        kind: "Secret",
        apiVersion: "v1",
        metadata: {
          name,
          namespace: "default",
          uid: crypto.randomUUID(),
          creationTimestamp: "2030-01-01T00:00:00Z",
        },
        data: { text: Buffer.from(`text of ${name}`).toString("base64") },
        type: "Opaque",
      }),
    );
  const aescbc = (plain: Buffer): Buffer => {
    const iv = randomBytes(16);
    const cipher = createCipheriv("aes-256-cbc", aesKey, iv);
    return Buffer.concat([Buffer.from("k8s:enc:aescbc:v1:old:"), iv, cipher.update(plain), cipher.final()]);
  };
  /** Every object's data, without what a rewrite may change. */
  const contents = async (): Promise<ReadonlyMap<string, string>> => {
    const found = new Map<string, string>();
    for (const path of ["/api/v1/secrets", "/api/v1/configmaps", "/apis/example.com/v1/widgets"]) {
      // A restarted API server fills its caches first and answers 429 until then.
      const reply = await eventually(
        `${path} is listed`,
        async () => {
          const answer = await cluster.api.request("GET", path);
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
        olderProviders: [
          { aescbc: { keys: [{ name: "old", secret: aesKey.toString("base64") }] } },
          { identity: {} },
        ],
      },
    );
    writeFileSync(
      file("admin.conf"),
      JSON.stringify({
        apiVersion: "v1",
        kind: "Config",
        "current-context": "c",
        contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
        clusters: [
          {
            name: "c",
            cluster: {
              server: cluster.api.address,
              "certificate-authority-data": Buffer.from(cluster.api.caPem).toString("base64"),
            },
          },
        ],
        users: [
          {
            name: "u",
            user: {
              "client-certificate-data": Buffer.from(cluster.api.admin.certPem).toString("base64"),
              "client-key-data": Buffer.from(cluster.api.admin.keyPem).toString("base64"),
            },
          },
        ],
      }),
      { mode: 0o600 },
    );
    await cluster.api.request("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
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
    });
    await eventually(
      "widgets are served",
      async () => (await cluster.api.request("GET", "/apis/example.com/v1/widgets")).status === 200,
      { timeoutMs: 30_000 },
    );
    await cluster.api.request("POST", "/api/v1/namespaces", {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: "bulk" },
    });
    await inParallel(
      Array.from({ length: BULK }, (_, n) => n),
      WIDTH * 2,
      async (n) => {
        const { status } = await cluster.api.request("POST", "/api/v1/namespaces/bulk/secrets", {
          apiVersion: "v1",
          kind: "Secret",
          metadata: { name: `bulk-${n}` },
          stringData: { text: `bulk ${n}` },
        });
        expect(status).toBe(201);
      },
    );
    // Three rotations, and objects that stay on each version.
    for (let version = 1; version <= 4; version++) {
      if (version > 1) {
        await rotate();
      }
      for (let n = 0; n < PER_VERSION; n++) {
        await cluster.write("secrets", `v${version}-${n}`, `v${version} ${n}`);
        await cluster.write("configmaps", `v${version}-${n}`, `v${version} ${n}`);
      }
      const widget = await cluster.api.request("POST", "/apis/example.com/v1/namespaces/default/widgets", {
        apiVersion: "example.com/v1",
        kind: "Widget",
        metadata: { name: `w${version}` },
        spec: { size: version },
      });
      expect(widget.status).toBe(201);
    }
    for (let n = 0; n < 3; n++) {
      await put(`/registry/secrets/default/plain-${n}`, secretJson(`plain-${n}`));
    }
    await put("/registry/secrets/default/older-0", aescbc(secretJson("older-0")));
  }, 10 * MINUTE_MS);
  afterAll(() => cluster?.dispose());

  test(
    "audit names every version, the plaintext and the older provider",
    async () => {
      const { code, stdout, stderr } = await run(
        "audit",
        ...config(),
        ...etcd(),
        "--output",
        "json",
        "--evidence-out",
        file("before.json"),
        "--html",
        file("before.html"),
      );
      expect(stderr).toBe("");
      expect(code).toBe(0);
      expect(issuesOf("audit", JSON.parse(stdout))).toEqual([]);
      const [audit] = JSON.parse(stdout).audits;
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
      const verify = await run("verify-rotation", ...config(), "--evidence", file("before.json"));
      expect(verify.stderr).toBe("");
      expect(verify.code).toBe(4);
      expect(verify.stdout).toContain(`${BULK + PER_VERSION}`.replace(/(\d)(\d{3})$/, "$1,$2"));
      const retire = await run(
        "retire-versions",
        ...config(),
        "--before-version",
        "4",
        ...etcd(),
        "--output",
        "json",
      );
      expect(retire.code).toBe(4);
      const codes = JSON.parse(retire.stdout).blockers.map(({ code }: { code: string }) => code);
      expect(codes).toContain("still_needed");
      expect(codes).toContain("nodes_missing");
    },
    MINUTE_MS,
  );

  test(
    "migrate asks the cluster for StorageVersionMigrations instead, waits for them, and audits again",
    async () => {
      const path = "/apis/storagemigration.k8s.io/v1beta1/storageversionmigrations";
      const merge = (target: string, body: object) =>
        cluster.api.request("PATCH", target, body, { contentType: "application/merge-patch+json" });
      // What kube-controller-manager does, which is not here: for one of the resources.
      const control = async (): Promise<void> => {
        const name = await eventually(
          "the migration of widgets is asked for",
          async () => {
            const { items } = JSON.parse((await cluster.api.request("GET", path)).text);
            const wanted = items.find(
              ({ spec }: { spec: { resource: { resource: string } } }) =>
                spec.resource.resource === "widgets",
            );
            return wanted?.metadata.name;
          },
          { timeoutMs: 30_000 },
        );
        for (let version = 1; version <= 4; version++) {
          const target = `/apis/example.com/v1/namespaces/default/widgets/w${version}`;
          expect((await merge(target, {})).status).toBe(200);
        }
        const reason = "StorageVersionMigrationSucceeded";
        const lastTransitionTime = new Date().toISOString();
        const conditions = [{ type: "Succeeded", status: "True", reason, message: "", lastTransitionTime }];
        const done = { status: { resourceVersion: "1", conditions } };
        expect((await merge(`${path}/${name}/status`, done)).status).toBe(200);
      };
      const controller = control();
      const asked = await run(
        ..."migrate --apply --storage-version-migration --wait 10s --output json".split(" "),
        ...config(),
        ...etcd(),
        ...kube(),
      );
      await controller;
      expect(asked.stderr).toBe("");
      // The others are not carried out here; what is stale there stays so.
      expect(asked.code).toBe(4);
      const report = JSON.parse(asked.stdout);
      expect(issuesOf("migrate", report)).toEqual([]);
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
        expect((await cluster.api.request("DELETE", `${path}/${name}`)).status).toBe(200);
      }
    },
    MINUTE_MS,
  );

  test(
    "migrate: a dry run changes nothing; applied it rewrites what is stale, beside writers, and loses nothing",
    async () => {
      const dry = await run("migrate", ...config(), ...etcd(), ...kube());
      expect(dry.stderr).toBe("");
      expect(dry.code).toBe(0);
      expect(dry.stdout).toContain("nothing was changed");

      const before = await contents();
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
      const applied = await run(
        "migrate",
        ...config(),
        ...etcd(),
        ...kube(),
        "--apply",
        "--rate",
        "2000",
        "--output",
        "json",
      );
      done.abort();
      await writers;
      await deletion;
      expect(applied.stderr).toBe("");
      expect(applied.code).toBe(0);
      const report = JSON.parse(applied.stdout);
      expect(issuesOf("migrate", report)).toEqual([]);
      expect(report.after.remaining).toEqual([]);
      expect(report.counts.rewritten).toBeGreaterThan(BULK / 2);

      const after = await contents();
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
      const { code, stdout } = await run("verify-rotation", ...config(), ...etcd(), "--output", "json");
      expect(issuesOf("verify-rotation", JSON.parse(stdout))).toEqual([]);
      expect(JSON.parse(stdout)).toMatchObject({
        result: "done",
        activeVersion: 4,
        confidence: "high",
        remaining: [],
        problems: [],
      });
      expect(code).toBe(0);
    },
    MINUTE_MS,
  );

  test(
    "retire-versions: too early without an override; with one the reason is recorded; restore-versions reverts it",
    async () => {
      const probe = await run("probe", "--socket", cluster.provider.socketPath, "--output", "json");
      writeFileSync(file("node.json"), probe.stdout);
      const sources = [...etcd(), "--node-report", file("node.json")];
      const plan = await run(
        "retire-versions",
        ...config(),
        "--before-version",
        "4",
        ...sources,
        "--output",
        "json",
      );
      expect(plan.stderr).toBe("");
      expect(issuesOf("retire-versions", JSON.parse(plan.stdout))).toEqual([]);
      const { remove, blockers, stateHash } = JSON.parse(plan.stdout);
      expect(remove).toEqual([1, 2, 3]);
      expect(blockers.map(({ code }: { code: string }) => code)).toEqual(["read_too_early"]);
      const apply = [
        "--apply",
        "--expected-state-hash",
        stateHash,
        "--override-reason",
        "test of the runbook",
      ];
      const wrong = await run(
        "retire-versions",
        ...config(),
        "--before-version",
        "4",
        ...sources,
        "--apply",
        "--expected-state-hash",
        "x",
        "--override-reason",
        "y",
      );
      expect(wrong.code).toBe(4);
      const done = await run(
        "retire-versions",
        ...config(),
        "--before-version",
        "4",
        ...sources,
        ...apply,
        "--output",
        "json",
      );
      expect(done.stderr).toBe("");
      expect(JSON.parse(done.stdout)).toMatchObject({ applied: true, remove: [1, 2, 3] });
      const state = JSON.parse(await Bun.file(cluster.provider.statePath).text());
      expect(state.body.notes.at(-1)).toMatchObject({ kind: "retire_override" });
      expect(state.body.notes.at(-1).reason).toContain("test of the runbook");

      // All is still readable: nothing needs the removed versions.
      await cluster.api.stop();
      await cluster.api.start();
      expect((await contents()).size).toBeGreaterThan(BULK);

      const reported = await run(
        "probe",
        "--socket",
        cluster.provider.socketPath,
        ...config(),
        "--output",
        "json",
      );
      writeFileSync(file("node-after.json"), reported.stdout);
      const last = await run(
        "retire-versions",
        ...config(),
        "--before-version",
        "4",
        ...etcd(),
        "--node-report",
        file("node-after.json"),
      );
      expect(last.stdout).toContain(
        `bao write ${cluster.names.mount}/keys/${cluster.names.keyName}/config min_decryption_version=4`,
      );

      const restore = await run("restore-versions", ...config(), "--versions", "1,2", "--output", "json");
      const { stateHash: hash } = JSON.parse(restore.stdout);
      const restored = await run(
        "restore-versions",
        ...config(),
        "--versions",
        "1,2",
        "--apply",
        "--expected-state-hash",
        hash,
        "--output",
        "json",
      );
      expect(JSON.parse(restored.stdout)).toMatchObject({ applied: true, restore: [1, 2] });
    },
    3 * MINUTE_MS,
  );

  test(
    "rebuild-registry --from-go takes over versions that Transit hides",
    async () => {
      const scope = {
        providerName: "openbao",
        clusterId: "test-cluster",
        openbaoInstanceId: "openbao-test",
        transitMountId: "transit-test",
      };
      const { body } = JSON.parse(await Bun.file(cluster.provider.statePath).text());
      const snapshots = body.versions.map((each: { version: number; createdAtUnix: number; state: string }) =>
        Object.assign(
          { ...scope },
          {
            transitKeyLineageId: "lineage-test",
            transitVersion: each.version,
            transitVersionCreatedAtUnix: each.createdAtUnix,
            kubernetesKeyId: deriveKeyId(
              { ...scope, openbaoNamespace: "", keyLineageId: "lineage-test" },
              each,
            ),
            state: each.state === "active" ? "active" : "retired",
            aadMode: "aad.required",
          },
        ),
      );
      const go = { schemaVersion: "keyregistry.openbao-kms/v1alpha1", activeKeyId: "x", snapshots };
      writeFileSync(file("go.json"), JSON.stringify(go));
      const minimum = (version: number): Promise<unknown> =>
        cluster.openbao.operator.must("POST", `${cluster.names.mount}/keys/${cluster.names.keyName}/config`, {
          min_decryption_version: version,
        });
      await minimum(3);
      const taken = await run(
        "rebuild-registry",
        ...config(),
        "--from-go",
        file("go.json"),
        ...etcd(),
        "--output",
        "json",
      );
      await minimum(1);
      expect(taken.stderr).toBe("");
      expect(JSON.parse(taken.stdout).versions.map(({ version }: { version: number }) => version)).toEqual([
        1, 2, 3, 4,
      ]);
    },
    MINUTE_MS,
  );

  test(
    "rebuild-registry: a lost state is made again from the running etcd, and the provider starts on it",
    async () => {
      const keyId = (await cluster.provider.client.status()).keyId;
      await cluster.provider.stop();
      for (const name of ["", ".checkpoint"]) {
        await Bun.spawn([
          "mv",
          `${cluster.provider.statePath}${name}`,
          `${cluster.provider.statePath}${name}.lost`,
        ]).exited;
      }
      const plan = await run("rebuild-registry", ...config(), ...etcd(), "--output", "json");
      expect(plan.stderr).toBe("");
      expect(issuesOf("rebuild-registry", JSON.parse(plan.stdout))).toEqual([]);
      const { planHash, versions } = JSON.parse(plan.stdout);
      expect(versions.map(({ state }: { state: string }) => state)).toEqual([
        "retired",
        "retired",
        "retired",
        "active",
      ]);
      const done = await run(
        "rebuild-registry",
        ...config(),
        ...etcd(),
        "--apply",
        "--expected-state-hash",
        planHash,
        "--output",
        "json",
      );
      expect(done.stderr).toBe("");
      expect(JSON.parse(done.stdout).applied).toBe(true);
      await cluster.provider.start();
      expect((await cluster.provider.client.status()).keyId).toBe(keyId);
      expect((await contents()).size).toBeGreaterThan(BULK);
    },
    2 * MINUTE_MS,
  );

  test(
    "leaving: another provider first, migrate --away, and the cluster is read without this one",
    async () => {
      const before = await contents();
      const aes = { aescbc: { keys: [{ name: "next", secret: randomBytes(32).toString("base64") }] } };
      const older = { aescbc: { keys: [{ name: "old", secret: aesKey.toString("base64") }] } };
      const kms = {
        kms: {
          apiVersion: "v2",
          name: "openbao",
          endpoint: `unix://${cluster.provider.socketPath}`,
          timeout: "3s",
        },
      };
      const encryption = (...providers: unknown[]): string =>
        JSON.stringify({
          apiVersion: "apiserver.config.k8s.io/v1",
          kind: "EncryptionConfiguration",
          resources: [{ resources: ["secrets", "configmaps", "widgets.example.com"], providers }],
        });
      cluster.api.replaceEncryptionConfig(encryption(aes, kms, older, { identity: {} }));
      await cluster.api.stop();
      await cluster.api.start();
      const wrongPrefix = ["--etcd-prefix", "elsewhere"];
      for (const apply of [[], ["--apply"]]) {
        const unseen = await run(
          "migrate",
          "--away",
          ...config(),
          ...etcd(),
          ...wrongPrefix,
          ...kube(),
          ...apply,
        );
        expect(unseen.code).toBe(4);
        expect(unseen.stdout).toContain("wrong --etcd-prefix");
        expect(unseen.stdout).not.toContain("✓");
      }
      const left = await run(
        "migrate",
        "--away",
        ...config(),
        ...etcd(),
        ...kube(),
        "--apply",
        "--rate",
        "2000",
        "--output",
        "json",
      );
      expect(left.stderr).toBe("");
      const report = JSON.parse(left.stdout);
      expect(issuesOf("migrate", report)).toEqual([]);
      expect(report).toMatchObject({ after: { remaining: [] } });
      const audit = await run("audit", ...config(), ...etcd(), "--output", "json");
      expect(JSON.parse(audit.stdout).audits[0].keyIds).toEqual([]);

      cluster.api.replaceEncryptionConfig(encryption(aes, older, { identity: {} }));
      await cluster.api.stop();
      await cluster.provider.stop();
      await cluster.api.start();
      expect(await contents()).toEqual(new Map(before));
    },
    3 * MINUTE_MS,
  );
});
