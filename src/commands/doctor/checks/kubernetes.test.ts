import { describe, expect, test } from "bun:test";
import { encryptionConfig, type Group } from "../../../../test/fakes/encryption-config.ts";
import { decodeEncryptionConfig } from "../../../kubernetes/encryption-config/decode.ts";
import { encryptionFindings, legacyFindings } from "./kubernetes.ts";

const expected = {
  providerName: "openbao",
  endpoint: "unix:///run/openbao-kms/kms.sock",
  openbaoTimeoutMs: 2000,
};
const kms = {
  kms: { apiVersion: "v2", name: "openbao", endpoint: "unix:///run/openbao-kms/kms.sock", timeout: "3s" },
};
const identity = { identity: {} };

const codes = (...groups: readonly Group[]) =>
  encryptionFindings(encryptionConfig(...groups), expected).map(({ code }) => code);
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
      "an endpoint without the two slashes, which is dialled alike",
      [[covering, changed({ endpoint: "unix:/run/openbao-kms/kms.sock" })]],
      [],
    ],
    [
      "an endpoint with two slashes, whose first part is a host",
      [[covering, changed({ endpoint: "unix://run/openbao-kms/kms.sock" })]],
      ["endpoint_differs"],
    ],
    ["a short timeout", [[covering, changed({ timeout: "500ms" })]], ["timeout_short"]],
    ["another name", [[covering, changed({ name: "other" })]], ["provider_name_differs"]],
    ["no KMS provider", [[covering, identity]], ["provider_absent"]],
    ["Secrets uncovered", [[["events"], kms]], ["secrets_uncovered"]],
    [
      "an entry with secrets decides before a wildcard",
      [
        [["secrets"], identity],
        [["*."], kms],
      ],
      ["provider_elsewhere"],
    ],
    [
      "two entries with secrets count as one list",
      [
        [["secrets"], identity],
        [covering, kms],
      ],
      ["not_writing"],
    ],
  ])("%s", (_, groups, wanted) => {
    expect(codes(...groups)).toEqual([...wanted]);
  });
});

describe("what kube-apiserver loads by exception", () => {
  const v1 = (name: string) => ({ kms: { name, endpoint: "unix:///x" } });
  const legacy = (current: readonly Group[], previous?: readonly Group[]) =>
    legacyFindings(
      encryptionConfig(...current),
      previous === undefined ? undefined : encryptionConfig(...previous),
    ).map(({ code, severity }) => `${severity} ${code}`);

  test("KMS v1 fails, unless the previous file has the same provider", () => {
    expect(legacy([[covering, kms]])).toEqual([]);
    expect(legacy([[covering, kms, v1("a")]])).toEqual(["failure kms_v1_gate"]);
    expect(legacy([[covering, kms, v1("a")]], [[covering, v1("a")]])).toEqual([]);
    expect(legacy([[covering, kms, v1("a")]], [[covering, v1("b")]])).toEqual(["failure kms_v1_gate"]);
    expect(legacy([[covering, v1("openbao")]], [[covering, kms]])).toEqual(["failure kms_v1_gate"]);
  });

  test("the legacy kind is a warning", () => {
    const text =
      "apiVersion: v1\nkind: EncryptionConfig\nresources: [{resources: [a], providers: [identity: {}]}]\n";
    const decoded = decodeEncryptionConfig(Buffer.from(text), "file");
    expect(legacyFindings(decoded, undefined).map(({ code }) => code)).toEqual(["legacy_kind"]);
  });
});
