import { describe, expect, test } from "bun:test";
import { UsageError } from "../cli/usage-error.ts";
import { etcdEndpointUrls } from "./audit-sources.ts";

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
