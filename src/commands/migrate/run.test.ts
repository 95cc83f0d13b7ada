/** migrate over a registry on disk, the stand-in for OpenBao, and a small cluster. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, writeFileSync } from "node:fs";
import * as v from "valibot";
import { REPORT_SCHEMAS } from "../../../scripts/reference/report-schemas.ts";
import { ourStoredValue } from "../../../test/fakes/etcd/envelope-bytes.ts";
import { leaseBytes } from "../../../test/fakes/etcd/lease-bytes.ts";
import { openSmallCluster, type SmallCluster } from "../../../test/fakes/etcd/small-cluster.ts";
import { makeRotatedNode, type RotatedNode } from "../../../test/fakes/rotated-node.ts";

let node: RotatedNode;
let cluster: SmallCluster;
beforeAll(async () => {
  node = await makeRotatedNode();
  await node.writeRegistry(["retired", "active"]);
});
afterAll(() => node.dispose());

const SECRETS = "/registry/secrets/n/";
const of = (index: 0 | 1): Uint8Array => ourStoredValue(node.identity, node.versions[index]);
const PLAIN = Buffer.from("k8s\0CANARY");
const DAMAGED = Buffer.from("k8s:enc:kms:v2:openbao:x");

beforeEach(async () => {
  cluster = await openSmallCluster();
  writeFileSync(node.at("kubeconfig"), cluster.kubeconfig);
  chmodSync(node.at("kubeconfig"), 0o600);
  cluster.store(`${SECRETS}new`, of(1));
  cluster.store(`${SECRETS}old1`, of(0));
  cluster.store(`${SECRETS}old2`, of(0));
  cluster.store(`${SECRETS}plain`, PLAIN);
  cluster.store("/registry/configmaps/n/plain", PLAIN);
  cluster.api.patch = stores(() => of(1));
  return cluster.close;
});

/** A kube-apiserver that writes this in place of what it is asked to rewrite. */
const stores = (value: () => Uint8Array) => (key: string) => {
  cluster.store(key, value());
  return 200;
};
const at = (...addresses: readonly string[]) => [
  {
    addressType: "IPv4",
    endpoints: [{ addresses }],
    ports: [{ name: "https", port: Number(new URL(cluster.apiUrl).port) }],
  },
];
const patched = (): readonly string[] =>
  cluster.calls.flatMap((call) => /^PATCH .*\/([^/?]+)\?/.exec(call)?.[1] ?? []).sort();

async function migrate(...words: readonly string[]) {
  const { code, stdout, stderr } = await node.type(
    ..."migrate --rate 5000 --output json --config".split(" "),
    node.configPath,
    "--etcd-endpoints",
    cluster.etcdUrl,
    "--kubeconfig",
    node.at("kubeconfig"),
    ...words,
  );
  await cluster.disconnected();
  if (stdout === "") {
    return { code, stderr };
  }
  expect(stdout).not.toContain("CANARY");
  const report = JSON.parse(stdout);
  expect(v.safeParse(REPORT_SCHEMAS.migrate, report).issues).toBeUndefined();
  const objects = ({ remaining }: { remaining: { objects: number }[] }) =>
    remaining.reduce((sum, each) => sum + each.objects, 0);
  const { warnings } = report.after;
  const [before, after] = [objects(report.before), objects(report.after)];
  return { ...report, code, stderr, before, after, warnings: warnings.length };
}

test("needs both an etcd and a kubeconfig", async () => {
  const words = ["migrate", "--config", node.configPath];
  expect((await node.type(...words, "--etcd-endpoints", cluster.etcdUrl)).code).toBe(2);
  expect((await node.type(...words, "--kubeconfig", node.at("kubeconfig"))).code).toBe(2);
});

test("takes no kubeconfig that others may read", async () => {
  chmodSync(node.at("kubeconfig"), 0o644);
  expect((await migrate()).code).toBe(3);
  expect(cluster.calls).toEqual([]);
});

describe("a dry run", () => {
  test("counts what is stale, asks discovery and patches nothing", async () => {
    expect(await migrate()).toMatchObject({ code: 0, applied: false, before: 3, after: 3 });
    expect(patched()).toEqual([]);
    expect(cluster.calls).toContain("GET /api/v1");
  });

  test("with nothing to rewrite is good; where nothing is seen, it proves nothing", async () => {
    for (const name of ["old1", "old2", "plain"]) {
      cluster.store(SECRETS + name, of(1));
    }
    expect(await migrate()).toMatchObject({ code: 0, before: 0 });
    expect(await migrate("--etcd-prefix", "elsewhere")).toMatchObject({ code: 4, before: 0 });
  });
});

describe("--apply", () => {
  test("rewrites what is stale in encrypted resources, and nothing else", async () => {
    const report = await migrate("--apply");
    expect(report).toMatchObject({ code: 0, applied: true, before: 3, after: 0, stderr: "" });
    expect(new Set(patched())).toEqual(new Set(["old1", "old2", "plain"]));
    expect(report.counts).toEqual({ rewritten: 3, deleted: 0, contended: 0, refused: 0, not_served: 0 });
  });

  test("leaves what cannot be repaired or is refused, each named once, and ends refused", async () => {
    cluster.store(`${SECRETS}damaged`, DAMAGED);
    cluster.api.patch = (key) => (key.endsWith("plain") ? 422 : stores(() => of(1))(key));
    const { stderr, ...report } = await migrate("--apply");
    expect(report).toMatchObject({ code: 4, before: 4, after: 2, counts: { refused: 1 } });
    expect(stderr.match(/^left: .*$/gm)).toEqual([expect.stringContaining("secrets n/plain")]);
    expect(patched()).not.toContain("damaged");
  });

  test("ends when a round makes nothing fewer", async () => {
    cluster.api.patch = (key) => stores(() => of(key.endsWith("old2") ? 0 : 1))(key);
    expect(await migrate("--apply")).toMatchObject({
      code: 4,
      before: 3,
      after: 1,
      counts: { rewritten: 4 },
    });
    expect(patched().filter((name) => name === "old2")).toHaveLength(2);
  });

  test.each<[string, () => Uint8Array]>([
    ["an old version", () => of(0)],
    ["plaintext", () => PLAIN],
  ])("a server that writes %s is found by its first object", async (_, value) => {
    cluster.api.patch = stores(value);
    expect((await migrate("--apply")).code).toBe(4);
    expect(patched()).toHaveLength(1);
  });

  test("what disappears before the look at it proves nothing, and the next object is taken", async () => {
    cluster.api.patch = (key) => {
      cluster.store(key, patched().length === 1 ? undefined : of(1));
      return 200;
    };
    expect(await migrate("--apply")).toMatchObject({ code: 0, after: 0 });
  });

  test("needs as many API servers as have a Lease", async () => {
    const lease = leaseBytes({ durationSeconds: 3600, renewedSeconds: Math.floor(Date.now() / 1000) });
    for (const name of ["apiserver-a", "apiserver-b"]) {
      cluster.store(`/registry/leases/kube-system/${name}`, lease);
    }
    expect((await migrate("--apply")).code).toBe(4);
    cluster.api.slices = at("127.0.0.1");
    expect((await migrate("--apply")).code).toBe(4);
    expect(patched()).toEqual([]);
    cluster.api.slices = at("127.0.0.1", "127.0.0.1");
    expect(await migrate("--apply")).toMatchObject({ code: 0, before: 3, after: 0 });
    cluster.api.slices = at("127.0.0.1");
    cluster.store(`${SECRETS}old1`, of(0));
    const named = ["--api-server", cluster.apiUrl, "--api-server", cluster.apiUrl];
    expect(await migrate("--apply", ...named)).toMatchObject({ code: 0, before: 1, after: 0 });
  });
});

describe("--away", () => {
  test("rewrites what is ours, to whatever comes", async () => {
    cluster.api.patch = stores(() => PLAIN);
    expect(await migrate("--away")).toMatchObject({ code: 0, before: 3, warnings: 2 });
    expect(await migrate("--away", "--apply")).toMatchObject({ code: 0, before: 3, after: 0, warnings: 1 });
    expect(new Set(patched())).toEqual(new Set(["new", "old1", "old2"]));
  });

  test("a server that still writes with this provider is behind", async () => {
    expect((await migrate("--away", "--apply")).code).toBe(4);
    expect(patched()).toHaveLength(1);
  });
});

describe("--storage-version-migration", () => {
  const words = ["--apply", "--storage-version-migration", "--wait", "0s"];

  test("proves a server, and leaves the rest to the cluster", async () => {
    cluster.api.migration = "Succeeded";
    expect(await migrate(...words)).toMatchObject({
      code: 4,
      after: 2,
      requested: [{ resource: "secrets", state: "pending" }],
    });
    expect(patched()).toHaveLength(1);
  });

  test("asks for nothing where only damage is left", async () => {
    for (const name of ["old1", "old2", "plain"]) {
      cluster.store(SECRETS + name, DAMAGED);
    }
    expect(await migrate(...words)).toMatchObject({ code: 4, after: 3, requested: [] });
  });

  test("is refused by a cluster that does not offer it", async () => {
    expect((await migrate(...words)).code).toBe(4);
    expect(patched()).toEqual([]);
  });
});
