import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { systemClock } from "../../base/clock.ts";
import type { StoredValue } from "../../etcd/stored/stored-value.ts";
import { discovery, objectPath } from "../../kubernetes/discovery.ts";
import type { KubeCall, KubeClient } from "../../kubernetes/kube-client.ts";
import { apiServerAddresses, proveApiServers } from "./api-servers.ts";
import { rewrite, rewriteAll } from "./rewrite-objects.ts";

const signal = new AbortController().signal;

interface Answer {
  readonly status: number;
  readonly body?: unknown;
}

/** A client whose answers are made by a function; keeps the calls. */
function fakeClient(answer: (call: KubeCall) => Answer, address = "https://a:6443") {
  const calls: KubeCall[] = [];
  const client: KubeClient = {
    address,
    call: (call) => {
      calls.push(call);
      const { status, body } = answer(call);
      return Promise.resolve({
        status,
        headers: new Headers(),
        body: Buffer.from(JSON.stringify(body ?? {})),
      });
    },
    close: () => {},
  };
  return { client, calls };
}

const version = (resourceVersion: string): Answer => ({
  status: 200,
  body: { metadata: { resourceVersion } },
});

describe("rewrite", () => {
  test("one empty patch that carries the resourceVersion and asks for metadata alone", async () => {
    const { client, calls } = fakeClient(() => ({ status: 200 }));
    expect(await rewrite(client, "/api/v1/namespaces/n/secrets/s", "7", signal)).toBe("rewritten");
    expect(calls).toHaveLength(1);
    expect(calls[0]).toMatchObject({ method: "PATCH", body: '{"metadata":{"resourceVersion":"7"}}' });
    expect(calls[0]?.accept).toContain("as=PartialObjectMetadata");
  });

  test("after a conflict with the present version", async () => {
    const { client, calls } = fakeClient(({ method, body }) =>
      method === "GET" ? version("9") : { status: body?.includes('"9"') === true ? 200 : 409 },
    );
    expect(await rewrite(client, "/p", "7", signal)).toBe("rewritten");
    expect(calls.map(({ method }) => method)).toEqual(["PATCH", "GET", "PATCH"]);
  });

  test.each<[string, (call: KubeCall) => Answer, string]>([
    ["gone", () => ({ status: 404 }), "deleted"],
    ["gone after a conflict", ({ method }) => ({ status: method === "GET" ? 404 : 409 }), "deleted"],
    ["not valid any more", () => ({ status: 422 }), "refused"],
    ["always changed", ({ method }) => (method === "GET" ? version("9") : { status: 409 }), "contended"],
  ])("%s", async (_, answer, expected) => {
    expect<string>(await rewrite(fakeClient(answer).client, "/p", "7", signal)).toBe(expected);
  });
});

describe("discovery", () => {
  const { client, calls } = fakeClient(({ path }) => {
    switch (path) {
      case "/api/v1":
        return {
          status: 200,
          body: { resources: [{ name: "secrets", namespaced: true, verbs: ["get", "patch"] }] },
        };
      case "/apis/example.com":
        return { status: 200, body: { preferredVersion: { groupVersion: "example.com/v2" } } };
      case "/apis/example.com/v2":
        return {
          status: 200,
          body: {
            resources: [
              { name: "widgets", namespaced: false, verbs: ["patch"] },
              { name: "gauges", namespaced: true, verbs: ["get"] },
            ],
          },
        };
      default:
        return { status: 404 };
    }
  });
  const discover = discovery(client, signal);

  test.each([
    ["secrets", "n/s", "/api/v1/namespaces/n/secrets/s"],
    ["widgets.example.com", "w", "/apis/example.com/v2/widgets/w"],
    ["widgets.example.com", "n/w", undefined],
    ["secrets", "s", undefined],
    ["secrets", "n/a b", "/api/v1/namespaces/n/secrets/a%20b"],
    ["gauges.example.com", "n/g", undefined],
    ["gone.example.org", "g", undefined],
  ])("%s %s", async (resource, path, expected) => {
    const served = await discover(resource);
    expect(served === undefined ? undefined : objectPath(served, path)).toBe(expected);
  });

  test("asks for each resource once", async () => {
    const before = calls.length;
    await discover("secrets");
    expect(calls.length).toBe(before);
  });
});

describe("API servers", () => {
  const discover = () => Promise.resolve({ namespaced: true, root: "/api/v1", plural: "secrets" });
  const candidates = [1, 2, 3].map((n) => ({
    key: `k${n}`,
    resource: "secrets",
    path: `n/s${n}`,
    resourceVersion: "1",
  }));
  const ours = (keyId: string): StoredValue => ({ kind: "ours", provider: "p", keyId, statedVersion: "1" });
  const prove = (stored: StoredValue | undefined, servers: number) =>
    proveApiServers(
      Array.from({ length: servers }, (_, n) => fakeClient(() => ({ status: 200 }), `https://s${n}`).client),
      {
        candidates,
        discover,
        isReached: (each) => each.kind === "ours" && each.keyId === "new",
        signal,
        storedNow: () => Promise.resolve(stored),
      },
    ).then(
      () => "proven",
      (error: unknown) => (error instanceof Error && "code" in error ? error.code : error),
    );

  test.each<[string, StoredValue | undefined, string]>([
    ["writes under the active key_id", ours("new"), "proven"],
    ["writes under an old one", ours("old"), "api_server_behind"],
    ["writes plaintext", { kind: "plaintext" }, "api_server_behind"],
    ["deleted meanwhile: nothing is left to rewrite", undefined, "proven"],
  ])("%s", async (_, stored, expected) => {
    expect(await prove(stored, 2)).toBe(expected);
  });

  test("their addresses are those behind the Service kubernetes", async () => {
    const { client } = fakeClient(() => ({
      status: 200,
      body: {
        items: [
          {
            addressType: "IPv4",
            endpoints: [{ addresses: ["10.0.0.1", "10.0.0.2"] }],
            ports: [{ name: "https", port: 6444 }],
          },
          { addressType: "IPv6", endpoints: [{ addresses: ["fd00::1"] }], ports: null },
        ],
      },
    }));
    expect(await apiServerAddresses(client, signal)).toEqual([
      "https://10.0.0.1:6444",
      "https://10.0.0.2:6444",
      "https://[fd00::1]:6443",
    ]);
  });
});

test("each object is tried once, whatever becomes of it, and counted once", async () => {
  const clock = { ...systemClock, sleep: () => Promise.resolve() };
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom(200, 404, 422), { maxLength: 40 }), async (statuses) => {
      const tried: string[] = [];
      const { client } = fakeClient(({ path }) => {
        const name = /s(\d+)\?/.exec(path)?.[1] ?? "";
        tried.push(name);
        return { status: statuses[Number(name)] ?? 500 };
      });
      const left: string[] = [];
      const progress: number[] = [];
      const counts = await rewriteAll(
        statuses.map((_, n) => ({
          key: `k${n}`,
          resource: "secrets",
          path: `n/s${n}`,
          resourceVersion: "1",
        })),
        {
          clients: [client, client],
          discover: () => Promise.resolve({ namespaced: true, root: "/api/v1", plural: "secrets" }),
          clock,
          signal,
          objectsPerSecond: 1000,
          onDone: (done) => progress.push(done),
          onLeft: ({ path }) => left.push(path),
        },
      );
      const count = (status: number): number => statuses.filter((each) => each === status).length;
      expect(counts).toEqual({
        rewritten: count(200),
        deleted: count(404),
        refused: count(422),
        contended: 0,
        not_served: 0,
      });
      expect(left.length).toBe(count(422));
      expect(progress).toEqual(statuses.map((_, n) => n + 1));
      expect(new Set(tried).size).toBe(statuses.length);
    }),
    { numRuns: 60 },
  );
});
