import { describe, expect, test } from "bun:test";
import { manualClock } from "../../../test/fakes/manual-clock.ts";
import type { HttpResponse } from "../../http/https.ts";
import type { KubeCall, KubeClient } from "../../kubernetes/kube-client.ts";
import { rewriteThroughCluster, storageVersionMigrations } from "./storage-version-migration.ts";

const PATH = "/apis/storagemigration.k8s.io/v1beta1/storageversionmigrations";
const signal = new AbortController().signal;

/** A cluster whose migrations get the conditions of `script`, one entry a look. */
function cluster(
  script: Readonly<Record<string, readonly (string | undefined)[]>>,
  version = "v1beta1",
  versions?: readonly string[],
) {
  const asked: KubeCall[] = [];
  const looks = new Map<string, number>();
  const reply = (status: number, body: unknown): HttpResponse => ({
    status,
    headers: new Headers(),
    body: Buffer.from(JSON.stringify(body)),
  });
  const client: KubeClient = {
    address: "https://api.test",
    close: () => {},
    call: async (call) => {
      asked.push(call);
      if (call.path === "/apis/storagemigration.k8s.io") {
        const named = (each: string) => ({ groupVersion: `storagemigration.k8s.io/${each}`, version: each });
        return reply(200, { preferredVersion: named(version), versions: versions?.map(named) });
      }
      if (call.method === "POST") {
        const { spec } = JSON.parse(call.body ?? "{}");
        return reply(201, { metadata: { name: `of-${spec.resource.resource}` } });
      }
      const name = call.path.split("/").at(-1) ?? "";
      const look = looks.get(name) ?? 0;
      looks.set(name, look + 1);
      const states = script[name] ?? [];
      const type = states[Math.min(look, states.length - 1)];
      return type === "404"
        ? reply(404, {})
        : reply(200, { status: { conditions: type === undefined ? null : [{ type, status: "True" }] } });
    },
  };
  return { client, asked };
}

async function run(
  script: Parameters<typeof cluster>[0],
  { waitMs = 60_000, resources = ["secrets", "widgets.example.com"] } = {},
) {
  const { client, asked } = cluster(script);
  const clock = manualClock();
  const done = rewriteThroughCluster(resources, {
    migrations: await storageVersionMigrations(client, signal),
    discover: async (resource) =>
      resource === "gone.example.com"
        ? undefined
        : resource === "secrets"
          ? { namespaced: true, root: "/api/v1", plural: resource }
          : { namespaced: true, root: "/apis/example.com/v1", plural: "widgets" },
    clock,
    signal,
    waitMs,
    onProgress: () => {},
  });
  for (let passedMs = 0; passedMs < 10_000; passedMs += 1000) {
    await clock.advance(1000);
  }
  return { requested: await done, asked };
}

describe("asks for every resource and waits until none is in progress", () => {
  test("each is asked for once, by its group", async () => {
    const { requested, asked } = await run({
      "of-secrets": [undefined, "Running", "Succeeded"],
      "of-widgets": ["Failed"],
    });
    expect(requested).toEqual([
      { resource: "secrets", name: "of-secrets", state: "succeeded" },
      { resource: "widgets.example.com", name: "of-widgets", state: "failed" },
    ]);
    const posts = asked.filter(({ method }) => method === "POST");
    expect(posts.map(({ path, body }) => [path, JSON.parse(body ?? "").spec.resource])).toEqual([
      [PATH, { group: "", resource: "secrets" }],
      [PATH, { group: "example.com", resource: "widgets" }],
    ]);
    expect(asked.filter(({ path }) => path === `${PATH}/of-widgets`).length).toBe(1);
  });

  test("one that was cleared away is no longer waited for", async () => {
    const { requested } = await run({ "of-secrets": ["Running", "404"] }, { resources: ["secrets"] });
    expect(requested.map(({ state }) => state)).toEqual(["gone"]);
  });

  test("what is not served is not asked for", async () => {
    const { requested } = await run({}, { resources: ["gone.example.com"] });
    expect(requested).toEqual([]);
  });

  test.each([
    [0, "pending"],
    [5000, "running"],
  ] as const)("it ends after %d ms with what is still in progress", async (waitMs, state) => {
    const { requested } = await run({ "of-secrets": ["Running"] }, { waitMs, resources: ["secrets"] });
    expect(requested.map((each) => each.state)).toEqual([state]);
  });
});

test("the first release of the API wants the version too", async () => {
  const { client, asked } = cluster({}, "v1alpha1");
  const migrations = await storageVersionMigrations(client, signal);
  await migrations.request({ namespaced: true, root: "/api/v1", plural: "secrets" });
  expect(JSON.parse(asked.at(-1)?.body ?? "").spec.resource).toEqual({
    group: "",
    version: "v1",
    resource: "secrets",
  });
});

test.each([
  ["v1beta1", ["v1beta1", "v1"], "v1"],
  ["v1", ["v1", "v1beta1"], "v1"],
  ["v1beta1", ["v1beta1", "v1alpha1"], "v1beta1"],
  ["v1beta1", ["v1beta1", "v1beta2"], "v1beta1"],
  ["v1beta1", [], "v1beta1"],
])("preferred %s of %p: %s is asked", async (preferred, versions, expected) => {
  const { client, asked } = cluster({}, preferred, versions);
  const migrations = await storageVersionMigrations(client, signal);
  const name = await migrations.request({ namespaced: true, root: "/api/v1", plural: "secrets" });
  await migrations.stateOf(name);
  const path = `/apis/storagemigration.k8s.io/${expected}/storageversionmigrations`;
  expect(asked.slice(-2).map((call) => call.path)).toEqual([path, `${path}/${name}`]);
  expect(JSON.parse(asked.at(-2)?.body ?? "")).toMatchObject({
    apiVersion: `storagemigration.k8s.io/${expected}`,
    spec: { resource: { group: "", resource: "secrets" } },
  });
});

test("not accepted", async () => {
  const { client } = cluster({});
  const migrations = await storageVersionMigrations(
    {
      ...client,
      call: async (call) =>
        call.method === "POST"
          ? { status: 422, headers: new Headers(), body: new Uint8Array() }
          : client.call(call),
    },
    signal,
  );
  const failed = migrations.request({ namespaced: true, root: "/api/v1", plural: "secrets" });
  expect(await failed.catch((error: unknown) => error)).toMatchObject({ code: "kube_reply_invalid" });
});

test.each([
  ["no such group", 404, {}],
  ["a version that would lead elsewhere", 200, { preferredVersion: { groupVersion: "../../api/v1" } }],
])("%s: not offered", async (_, status, body) => {
  const client: KubeClient = {
    address: "https://api.test",
    close: () => {},
    call: async () => ({ status, headers: new Headers(), body: Buffer.from(JSON.stringify(body)) }),
  };
  const failed = storageVersionMigrations(client, signal);
  expect(await failed.catch((error: unknown) => error)).toMatchObject({ code: "migration_not_offered" });
});
