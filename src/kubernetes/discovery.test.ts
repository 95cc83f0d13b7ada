import { describe, expect, test } from "bun:test";
import { discovery, objectPath } from "./discovery.ts";
import type { KubeClient } from "./kube-client.ts";

const signal = new AbortController().signal;
const resource = (name: string, verbs: readonly string[] = ["get", "patch"], namespaced = true) => ({
  name,
  namespaced,
  verbs,
});

/** An API server with these answers by path; 404 for any other. */
function server(answers: Readonly<Record<string, unknown>>): { client: KubeClient; asked: string[] } {
  const asked: string[] = [];
  const client: KubeClient = {
    address: "https://10.0.0.1:6443",
    call: async ({ path }) => {
      asked.push(path);
      const found = answers[path];
      return {
        status: found === undefined ? 404 : 200,
        headers: new Headers(),
        body: Buffer.from(JSON.stringify(found ?? {})),
      };
    },
    close: () => {},
  };
  return { client, asked };
}

const CORE = {
  "/api/v1": { resources: [resource("secrets/status"), resource("events", ["get"]), resource("secrets")] },
};
const WIDGETS = {
  "/apis/example.com": { preferredVersion: { groupVersion: "example.com/v2" } },
  "/apis/example.com/v2": { resources: [resource("widgets", ["patch"], false)] },
};

describe("where a resource is served", () => {
  test("of the core group and of others, in their preferred version", async () => {
    const find = discovery(server({ ...CORE, ...WIDGETS }).client, signal);
    expect(await find("secrets")).toEqual({ namespaced: true, root: "/api/v1", plural: "secrets" });
    expect(await find("widgets.example.com")).toEqual({
      namespaced: false,
      root: "/apis/example.com/v2",
      plural: "widgets",
    });
  });

  test.each(["nothing", "events", "widgets.gone.example.com", "gadgets.example.com"])(
    "%s is not served, or cannot be patched",
    async (name) => {
      expect(await discovery(server({ ...CORE, ...WIDGETS }).client, signal)(name)).toBeUndefined();
    },
  );

  test("each resource is asked for once", async () => {
    const { client, asked } = server(CORE);
    const find = discovery(client, signal);
    await Promise.all([find("secrets"), find("secrets"), find("secrets")]);
    expect(asked).toEqual(["/api/v1"]);
  });

  test("an answer of another shape is refused", async () => {
    const { client } = server({ "/api/v1": { resources: "all" } });
    await expect(discovery(client, signal)("secrets")).rejects.toMatchObject({ code: "kube_reply_invalid" });
  });
});

describe("the path of an object", () => {
  const secrets = { namespaced: true, root: "/api/v1", plural: "secrets" };
  const nodes = { namespaced: false, root: "/api/v1", plural: "nodes" };
  test.each([
    [secrets, "team/db", "/api/v1/namespaces/team/secrets/db"],
    [secrets, "te%am/d b", "/api/v1/namespaces/te%25am/secrets/d%20b"],
    [secrets, "db", undefined],
    [secrets, "a/b/c", undefined],
    [nodes, "n1", "/api/v1/nodes/n1"],
    [nodes, "n:1", "/api/v1/nodes/n%3A1"],
    [nodes, "a/b", undefined],
  ])("%j %s", (served, path, expected) => {
    expect(objectPath(served, path)).toBe(expected);
  });
});
