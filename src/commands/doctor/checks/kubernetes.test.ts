import { describe, expect, test } from "bun:test";
import { decodeEncryptionConfig } from "../../../kubernetes/encryption-config.ts";
import { encryptionFindings, lostReaders } from "./kubernetes.ts";

const expected = {
  providerName: "openbao",
  endpoint: "unix:///run/openbao-kms/kms.sock",
  openbaoTimeoutMs: 2000,
};
const kms = {
  kms: { apiVersion: "v2", name: "openbao", endpoint: "unix:///run/openbao-kms/kms.sock", timeout: "3s" },
};
const identity = { identity: {} };
const aescbc = { aescbc: { keys: [{ name: "key1", secret: "c2VjcmV0" }] } };

type Group = readonly [resources: readonly string[], ...providers: readonly unknown[]];

const config = (...groups: readonly Group[]) =>
  decodeEncryptionConfig(
    Buffer.from(
      JSON.stringify({
        apiVersion: "apiserver.config.k8s.io/v1",
        kind: "EncryptionConfiguration",
        resources: groups.map(([resources, ...providers]) => ({ resources, providers })),
      }),
    ),
    "file",
  );
const codes = (...groups: readonly Group[]) =>
  encryptionFindings(config(...groups), expected).map(({ code }) => code);
const changed = (change: object) => ({ kms: { ...kms.kms, ...change } });
const covering = ["secrets", "configmaps"];

describe("findings", () => {
  test.each<readonly [string, readonly Group[], readonly string[]]>([
    ["KMS alone", [[covering, kms]], []],
    ["second phase, identity left", [[covering, kms, identity]], ["identity_left"]],
    ["first phase", [[covering, identity, kms]], ["not_writing"]],
    ["all resources by wildcard", [[["*.*"], kms]], []],
    ["the core group by wildcard", [[["*."], kms]], []],
    ["Secrets only", [[["secrets"], kms]], ["resources_uncovered"]],
    ["apiVersion left out", [[covering, changed({ apiVersion: undefined })]], ["kms_version"]],
    ["KMS v1", [[covering, changed({ apiVersion: "v1" })]], ["kms_version"]],
    ["another endpoint", [[covering, changed({ endpoint: "unix:///other.sock" })]], ["endpoint_differs"]],
    [
      "an endpoint with two slashes",
      [[covering, changed({ endpoint: "unix:/run/openbao-kms/kms.sock" })]],
      ["endpoint_differs"],
    ],
    ["a short timeout", [[covering, changed({ timeout: "500ms" })]], ["timeout_short"]],
    ["a timeout that is none", [[covering, changed({ timeout: "fast" })]], ["timeout_invalid"]],
    ["another name", [[covering, changed({ name: "other" })]], ["provider_name_differs"]],
    ["no KMS provider", [[covering, identity]], ["provider_absent"]],
    [
      "twice",
      [
        [covering, kms],
        [["events"], kms],
      ],
      ["provider_twice"],
    ],
    ["Secrets uncovered", [[["events"], kms]], ["secrets_uncovered"]],
    [
      "an earlier wildcard decides",
      [
        [["*."], identity],
        [["secrets"], kms],
      ],
      ["provider_elsewhere"],
    ],
  ])("%s", (_, groups, wanted) => {
    expect(codes(...groups)).toEqual([...wanted]);
  });
});

describe("readers that would disappear", () => {
  const lost = (before: readonly Group[], now: readonly Group[]) =>
    lostReaders(config(...before), config(...now)).map(({ message }) => message);

  test("none when all stay", () => {
    expect(lost([[["secrets"], aescbc, identity]], [[["secrets"], kms, aescbc, identity]])).toEqual([]);
  });

  test("a key, a provider, a whole entry", () => {
    const other = { aescbc: { keys: [{ name: "key2", secret: "c2VjcmV0" }] } };
    expect(lost([[["secrets"], aescbc]], [[["secrets"], kms, other]])).toHaveLength(1);
    expect(lost([[["secrets"], kms, identity]], [[["secrets"], identity]])).toHaveLength(1);
    expect(lost([[["events"], aescbc]], [[["secrets"], kms]])).toHaveLength(1);
    expect(lost([[["events"], identity]], [[["secrets"], kms]])).toEqual([]);
  });

  test("no key is in the message", () => {
    expect(lost([[["secrets"], aescbc]], [[["secrets"], kms]]).join()).not.toContain("c2VjcmV0");
  });
});
