import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeTestCa } from "../../test/fakes/tls/test-ca.ts";
import { ProviderError } from "../base/error-class.ts";
import { UsageError } from "../cli/errors.ts";
import { etcdEndpointUrls, openTargets, type SourceFlags } from "./audit-sources.ts";

describe("--etcd-endpoints, as etcdctl takes them", () => {
  test.each<[string, boolean, readonly string[]]>([
    ["https://10.0.0.1:2379", true, ["https://10.0.0.1:2379"]],
    ["https://10.0.0.1:2379/", true, ["https://10.0.0.1:2379"]],
    ["10.0.0.1:2379", true, ["https://10.0.0.1:2379"]],
    ["localhost:2379", false, ["http://localhost:2379"]],
    ["[::1]:2379", false, ["http://[::1]:2379"]],
    ["https://a:2379, https://b:2379", true, ["https://a:2379", "https://b:2379"]],
    ["a:2379,b:2379", true, ["https://a:2379", "https://b:2379"]],
    ["HTTPS://A:2379", true, ["https://a:2379"]],
  ])("%s (TLS files: %p)", (list, hasTls, urls) => {
    expect(etcdEndpointUrls(list, hasTls)).toEqual([...urls]);
  });

  test.each<[string, boolean]>([
    ["", true],
    ["https://a:2379,", true],
    ["https://a:2379/v3", true],
    ["https://a:2379?x=1", true],
    ["https://a:2379#x", true],
    ["https://user@a:2379", true],
    ["unix:///run/etcd.sock", true],
    ["ftp://a:2379", true],
    ["http://10.0.0.1:2379", true],
    ["10.0.0.1:2379", false],
    ["127.0.0.1.example.com:2379", false],
  ])("%p is refused (TLS files: %p)", (list, hasTls) => {
    expect(() => etcdEndpointUrls(list, hasTls)).toThrow(UsageError);
  });
});

describe("the targets of a command line", () => {
  const directory = mkdtempSync(join(tmpdir(), "audit-sources-"));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  const file = (name: string, content: string, mode = 0o600): string => {
    const path = join(directory, name);
    writeFileSync(path, content, { mode });
    return path;
  };
  const flags = (change: Partial<SourceFlags>): SourceFlags => ({
    "etcd-endpoints": undefined,
    "etcd-ca": undefined,
    "etcd-cert": undefined,
    "etcd-key": undefined,
    "etcd-prefix": "/registry",
    "etcd-rate": 77,
    snapshot: [],
    ...change,
  });
  /** Its sources in a few words, or the code with which it is refused. */
  const opened = async (change: Partial<SourceFlags>): Promise<unknown> => {
    try {
      const { targets, close } = await openTargets(flags(change));
      close();
      return targets.map((target) =>
        target.kind === "snapshot"
          ? target.file
          : `${target.endpoints.map(({ url }) => url).join(" ")} at ${target.objectsPerSecond}`,
      );
    } catch (error) {
      return error instanceof UsageError
        ? "usage"
        : error instanceof ProviderError
          ? error.code
          : Promise.reject(error);
    }
  };
  const SECURE = "https://127.0.0.1:1";

  test("are the running etcd and then the snapshots, or none", async () => {
    expect(await opened({})).toEqual([]);
    expect(await opened({ snapshot: ["a.db", "b.db"] })).toEqual(["a.db", "b.db"]);
    expect(await opened({ "etcd-endpoints": "http://127.0.0.1:1", snapshot: ["a.db"] })).toEqual([
      "http://127.0.0.1:1 at 77",
      "a.db",
    ]);
  });

  test("with TLS need a CA; a client certificate comes with its key", async () => {
    const ca = await makeTestCa();
    const client = await ca.client();
    const files = {
      "etcd-ca": file("ca.pem", ca.certPem),
      "etcd-cert": file("cert.pem", client.chainPem),
      "etcd-key": file("key.pem", client.keyPem),
    };
    const { "etcd-ca": caOnly, "etcd-cert": cert, "etcd-key": key } = files;
    const open = (change: Partial<SourceFlags>) => opened({ "etcd-endpoints": SECURE, ...change });
    expect(await open({})).toBe("usage");
    expect(await open({ "etcd-ca": caOnly })).toEqual([`${SECURE} at 77`]);
    expect(await open(files)).toEqual([`${SECURE} at 77`]);
    expect(await open({ "etcd-endpoints": "127.0.0.1:1", ...files })).toEqual([`${SECURE} at 77`]);
    for (const incomplete of [
      { "etcd-cert": cert, "etcd-key": key },
      { "etcd-cert": cert },
      { "etcd-key": key },
      { "etcd-ca": caOnly, "etcd-cert": cert },
      { "etcd-ca": caOnly, "etcd-key": key },
    ]) {
      expect(await open(incomplete)).toBe("usage");
    }
  });

  test("take a certificate that others may read, but no such key", async () => {
    const open = (change: Partial<SourceFlags>) =>
      opened({
        "etcd-endpoints": SECURE,
        "etcd-ca": file("open-ca.pem", "CA", 0o644),
        "etcd-cert": file("open-cert.pem", "C", 0o644),
        "etcd-key": file("closed-key.pem", "K", 0o600),
        ...change,
      });
    expect(await open({})).toEqual([`${SECURE} at 77`]);
    expect(await open({ "etcd-key": file("open-key.pem", "K", 0o644) })).toBe("file_readable_by_others");
  });

  test("take files of 1 MiB at most", async () => {
    const open = (bytes: number) =>
      opened({ "etcd-endpoints": SECURE, "etcd-ca": file("large.pem", "x".repeat(bytes)) });
    expect(await open(1024 * 1024)).toEqual([`${SECURE} at 77`]);
    expect(await open(1024 * 1024 + 1)).toBe("file_too_large");
  });
});
