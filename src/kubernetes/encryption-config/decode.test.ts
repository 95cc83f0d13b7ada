import { describe, expect, test } from "bun:test";
import { decodeEncryptionConfig } from "./decode.ts";
import { MAX_ENCRYPTION_CONFIG_BYTES } from "./file-tree.ts";
import { EncryptionConfigError, type EncryptionRule } from "./refusal.ts";

const KEY_32 = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const KEY_16 = "QUJDREVGR0hJSktMTU5PUA==";
const KEY_24 = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldY";
const HEAD = "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\n";
const IDENTITY = "  - identity: {}\n";

const entry = (resources: string, providers = IDENTITY) =>
  `- resources: ${resources}\n  providers:\n${providers}`;
const file = (...entries: readonly string[]) => `${HEAD}resources:\n${entries.join("")}`;
const providers = (text: string) => file(entry("[secrets]", text));
const kms = (fields: string) =>
  providers(`  - kms: {apiVersion: v2, name: bao, endpoint: "unix:///x"${fields}}\n`);
const kmsOf = (fields: string) => providers(`  - kms: {${fields}}\n`);
const key = (name: string, secret = KEY_32, kind = "aescbc") =>
  providers(`  - ${kind}: {keys: [{name: ${name}, secret: ${secret}}]}\n`);
const json = (text = "") =>
  `{"apiVersion":"apiserver.config.k8s.io/v1","kind":"EncryptionConfiguration"${text},"resources":[{"resources":["secrets"],"providers":[{"identity":{}}]}]}`;

const decode = (text: string | Uint8Array) => decodeEncryptionConfig(Buffer.from(text), "FILE");

function ruleOf(text: string | Uint8Array): EncryptionRule | "loads" {
  try {
    decode(text);
    return "loads";
  } catch (error) {
    if (error instanceof EncryptionConfigError) {
      return error.rule;
    }
    throw error;
  }
}

describe("what kube-apiserver loads", () => {
  test.each([
    ["identity", providers(IDENTITY)],
    ["identity beside a null kind", providers("  - identity: {}\n    kms: null\n")],
    ["KMS v2 without a timeout", kms("")],
    ["a null timeout", kms(", timeout: null")],
    ["a null cachesize", kms(", cachesize: null")],
    ["KMS v1 by default, with a cache", kmsOf("name: a, endpoint: 'unix:///x', cachesize: -1")],
    ["KMS v1 with a whole float for a cache", kmsOf("name: a, endpoint: 'unix:///x', cachesize: 1e3")],
    ["KMS v1 with a colon in its name", kmsOf("name: 'a:b', endpoint: 'unix:///x'")],
    ["aescbc of 16 bytes", key("a", KEY_16)],
    ["aescbc of 24 bytes", key("a", KEY_24)],
    ["aesgcm of 32 bytes", key("a", KEY_32, "aesgcm")],
    ["secretbox of 32 bytes", key("a", KEY_32, "secretbox")],
    ["a secret in several lines", key("a", `"${KEY_32.slice(0, 20)}\\r\\n${KEY_32.slice(20)}\\n"`)],
    ["a date as a name", key("2024-01-01")],
    ["a quoted boolean as a name", key("'on'")],
    ["a number too great for a number", key("1e999")],
    ["a name in escapes", key('"a\\x20b\\u007f\\U0001f600"')],
    ["an escaped backslash before a slash", key('"\\\\/x"')],
    ["the legacy kind", providers(IDENTITY).replace(HEAD, "apiVersion: v1\nkind: EncryptionConfig\n")],
    [
      "the legacy kind with a slash",
      providers(IDENTITY).replace(HEAD, "apiVersion: /v1\nkind: EncryptionConfig\n"),
    ],
    ["a resource in two entries", file(entry("[secrets]"), entry("[secrets]"))],
    [
      "a wildcard after what it covers",
      file(entry("[deployments.apps]"), entry("['*.apps']"), entry("['*.*']")),
    ],
    ["wildcards of two groups", file(entry("['*.apps', '*.']"))],
    ["a wildcard beside another group", file(entry("['*.apps', secrets]"))],
    ["another group after a wildcard", file(entry("['*.']"), entry("[deployments.apps]"))],
    ["an internal name in a group", file(entry("[apiserveripinfo.x]"))],
    ["a null resource", file(entry("[null]"))],
    ["a question mark in quotes in brackets", file(entry("['secrets?']"))],
    ["a question mark outside of brackets", file(entry("\n  - secrets?"))],
    ["JSON", json()],
    ["JSON with tabs", json().replaceAll(",", ",\n\t")],
    ["JSON after a comment, read as YAML", `# comment\n${json()}`],
    ["flow YAML after a byte order mark", `\ufeff${json().replace("}]}]}", "}],}],}")}`],
    ["a document start and end", `---\n${providers(IDENTITY)}...\n`],
    ["an anchor that nothing uses", file(entry("&a [secrets]"))],
    ["a tab in a comment", `${providers(IDENTITY)}# a\tb\n`],
    ["carriage returns", providers(IDENTITY).replaceAll("\n", "\r\n")],
    ["an explicit key", providers(IDENTITY).replace("kind: E", "? kind\n: E")],
    ["JSON-like keys in YAML", providers('  - {"identity":{}}\n')],
  ])("%s", (_, text) => {
    expect(ruleOf(text)).toBe("loads");
  });
});

describe("what it refuses, and what is refused by choice", () => {
  test.each<readonly [EncryptionRule, string, string | Uint8Array]>([
    ["size", "a file of more than a megabyte", new Uint8Array(MAX_ENCRYPTION_CONFIG_BYTES + 1).fill(35)],
    ["encoding", "bytes that are no UTF-8", new Uint8Array([0xc3, 0x28])],
    ["character", "a control character", `${providers(IDENTITY)}# \u0001`],
    ["character", "a lone carriage return", `${providers(IDENTITY)}# a\rb`],
    ["character", "a Unicode line break", `${providers(IDENTITY)}# \u2028`],
    ["syntax", "an open bracket", file("- resources: [secrets\n")],
    ["syntax", "an escaped slash", key('"\\/x"')],
    ["syntax", "an escaped surrogate", key('"\\ud83d\\ude00"')],
    ["syntax", "a colon in front of a name", file(entry("[:secrets]"))],
    ["syntax", "a question mark in front of a name", file(entry("[?secrets]"))],
    ["syntax", "a question mark behind a name in brackets", file(entry("[secrets?, pods]"))],
    ["syntax", "a question mark within a name in brackets", file(entry("[sec?rets]"))],
    ["syntax", "a question mark in a key in braces", providers("  - {ident?ity: {}}\n")],
    ["syntax", "a question mark in a block in brackets", file(entry("[[{a: b?}]]"))],
    ["syntax", "an escaped surrogate of eight digits", key('"\\U0000D83D"')],
    ["syntax", "a bracket right after a colon", providers("  - {identity:{}}\n")],
    ["json_syntax", "a trailing comma in JSON", json().replace("}]}]}", "}]}],}")],
    ["json_syntax", "flow YAML that begins with a brace", "{kind: EncryptionConfiguration}"],
    ["nesting", "brackets by the thousand", `${"[".repeat(20_000)}${"]".repeat(20_000)}`],
    ["tab", "a tab after a colon", providers(IDENTITY).replace("kind: ", "kind:\t")],
    ["alias", "an alias", file(entry("&a [secrets]"), entry("*a"))],
    ["alias", "an alias without its anchor", file(entry("*a"))],
    ["alias", "an alias as a key", `${providers(IDENTITY)}*a : b\n`],
    ["tag", "a tag on a value", key("!!str 1")],
    ["tag", "a tag on a key", providers("  - {!!str identity: {}}\n")],
    ["tag", "a tag on a list", file(entry("!x [secrets]"))],
    ["directive", "a directive", `%YAML 1.1\n---\n${providers(IDENTITY)}`],
    ["documents", "a second document", `${providers(IDENTITY)}---\na: b\n`],
    [
      "key_not_scalar",
      "a provider as a key",
      file(
        `- {resources: [a], providers: [{aescbc: {keys: [{name: a, secret: ${KEY_32}}]}}: {identity: {}}]}\n`,
      ),
    ],
    ["key_not_scalar", "a list as a key", `${providers(IDENTITY)}? [a]\n: b\n`],
    ["duplicate_field", "a field twice", `${providers(IDENTITY)}kind: EncryptionConfiguration\n`],
    ["duplicate_field", "a JSON field twice", json(',"kind":"EncryptionConfiguration"')],
    ["unknown_field", "metadata", `${providers(IDENTITY)}metadata: {}\n`],
    ["unknown_field", "a null field that is not known", `${providers(IDENTITY)}metadata:\n`],
    ["unknown_field", "timout", kms(", timout: 3s")],
    ["unknown_field", "another case", providers(IDENTITY).replace("kind:", "Kind:")],
    ["unknown_field", "a field of an entry", file(`${entry("[secrets]")}  provider: []\n`)],
    ["unknown_field", "a kind of provider", providers("  - identity: {}\n    aws: null\n")],
    ["unknown_field", "a field of a key", key(`a, x: y`)],
    ["unknown_field", "a field of identity", providers("  - identity: {a: b}\n")],
    ["wrong_type", "a list for the file", "- a\n"],
    ["wrong_type", "a boolean for a name", key("on")],
    ["wrong_type", "a number for a name", key("2024_01_01")],
    ["wrong_type", "a number for a secret", key("a", "1")],
    ["wrong_type", "a number for a duration", kms(", timeout: 3")],
    ["wrong_type", "text for resources", file(entry("secrets"))],
    ["wrong_type", "a mapping for keys", providers("  - aescbc: {keys: {}}\n")],
    ["wrong_type", "text for identity", providers("  - identity: ''\n")],
    ["wrong_type", "text for a cache", kmsOf("name: a, endpoint: 'unix:///x', cachesize: 'a'")],
    ["wrong_type", "half a cache", kmsOf("name: a, endpoint: 'unix:///x', cachesize: 1.5")],
    ["wrong_type", "a cache above 32 bits", kmsOf("name: a, endpoint: 'unix:///x', cachesize: 2147483648")],
    ["wrong_type", "a cache below 32 bits", kmsOf("name: a, endpoint: 'unix:///x', cachesize: -2147483649")],
    [
      "wrong_type",
      "JSON's 1e3 for a cache",
      json().replace('{"identity":{}}', '{"kms":{"name":"a","endpoint":"unix:///x","cachesize":1e3}}'),
    ],
    ["kind", "nothing", ""],
    ["kind", "no kind", "apiVersion: apiserver.config.k8s.io/v1\n"],
    ["kind", "the new kind in v1", providers(IDENTITY).replace("apiserver.config.k8s.io/v1", "v1")],
    [
      "kind",
      "the old kind in the new version",
      providers(IDENTITY).replace("EncryptionConfiguration", "EncryptionConfig"),
    ],
    ["kind", "v1beta1", providers(IDENTITY).replace("k8s.io/v1", "k8s.io/v1beta1")],
    ["resources_empty", "no resources", HEAD],
    ["resources_empty", "an empty list", `${HEAD}resources: []\n`],
    ["resources_empty", "an entry without resources", file(entry("[]"))],
    ["resource_name", "a capital", file(entry("[Secrets]"))],
    ["resource_name", "a lone asterisk", file(entry("['*']"))],
    ["resource_name", "apiserveripinfo", file(entry("[apiserveripinfo]"))],
    ["resource_name", "serviceipallocations", file(entry("[serviceipallocations]"))],
    ["resource_name", "servicenodeportallocations", file(entry("[servicenodeportallocations]"))],
    ["resource_name", "events.events.k8s.io", file(entry("[events.events.k8s.io]"))],
    ["resource_name", "extensions", file(entry("['*.extensions']"))],
    ["resource_name", "all groups", file(entry("['secrets.*']"))],
    ["resource_twice", "a resource twice", file(entry("[secrets, secrets]"))],
    ["resource_twice", "a resource twice, once with a dot", file(entry("[secrets, secrets.]"))],
    ["resource_overlap", "all beside one", file(entry("['*.*', secrets]"))],
    ["resource_overlap", "one beside all", file(entry("[secrets, '*.*']"))],
    ["resource_overlap", "the core group beside secrets", file(entry("[secrets, '*.']"))],
    ["resource_overlap", "a group beside its resource", file(entry("['*.apps', deployments.apps]"))],
    ["resource_masked", "secrets after all", file(entry("['*.*']"), entry("[secrets]"))],
    ["resource_masked", "secrets after the core group", file(entry("['*.']"), entry("[secrets]"))],
    ["resource_masked", "a wildcard twice", file(entry("['*.apps']"), entry("['*.apps']"))],
    ["resource_masked", "a group after all", file(entry("['*.*']"), entry("['*.apps']"))],
    ["providers_empty", "no providers", file("- resources: [secrets]\n")],
    ["providers_empty", "an empty list", file("- resources: [secrets]\n  providers: []\n")],
    ["provider_kind", "no kind", providers("  - {}\n")],
    ["provider_kind", "a null entry", providers("  -\n")],
    ["provider_kind", "identity null", providers("  - identity:\n")],
    ["provider_kind", "two kinds", providers("  - {identity: {}, aescbc: {keys: []}}\n")],
    ["keys_empty", "no keys", providers("  - aescbc: {keys: []}\n")],
    ["keys_empty", "null keys", providers("  - secretbox: {}\n")],
    ["key_name", "no name", key("''")],
    ["key_name", "a null key", providers("  - aescbc: {keys: [null]}\n")],
    ["key_secret_missing", "no secret", key("a", "''")],
    ["key_secret_base64", "a placeholder", key("a", "<BASE 64 ENCODED SECRET>")],
    ["key_secret_base64", "no padding", key("a", KEY_16.slice(0, -2))],
    ["key_secret_base64", "a space", key("a", `"${KEY_32} "`)],
    ["key_secret_base64", "the URL alphabet", key("a", "____REVGR0hJSktMTU5PUA==")],
    ["key_secret_length", "aescbc of 3 bytes", key("a", "QUFB")],
    ["key_secret_length", "secretbox of 16 bytes", key("a", KEY_16, "secretbox")],
    ["key_secret_length", "secretbox of 24 bytes", key("a", KEY_24, "secretbox")],
    [
      "key_secret_length",
      "aesgcm of 30 bytes",
      key("a", "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNk", "aesgcm"),
    ],
    ["kms_name", "no name", kmsOf("apiVersion: v2, endpoint: 'unix:///x'")],
    ["kms_name", "a colon", kmsOf("apiVersion: v2, name: 'a:b', endpoint: 'unix:///x'")],
    [
      "kms_name_twice",
      "v2 twice",
      file(
        entry("[a]", "  - kms: {apiVersion: v2, name: a, endpoint: 'unix:///x'}\n"),
        entry("[b]", "  - kms: {apiVersion: v2, name: a, endpoint: 'unix:///y'}\n"),
      ),
    ],
    [
      "kms_name_twice",
      "v2 after v1",
      providers(
        "  - kms: {name: a, endpoint: 'unix:///x'}\n  - kms: {apiVersion: v2, name: a, endpoint: 'unix:///x'}\n",
      ),
    ],
    ["kms_timeout", "no duration", kms(", timeout: fast")],
    ["kms_timeout", "nothing", kms(", timeout: ''")],
    ["kms_timeout", "zero", kms(", timeout: 0s")],
    ["kms_timeout", "below zero", kms(", timeout: -3s")],
    ["kms_timeout", "half a nanosecond", kms(", timeout: 0.5ns")],
    ["kms_endpoint", "none", kmsOf("apiVersion: v2, name: a")],
    ["kms_endpoint", "TCP", kmsOf("apiVersion: v2, name: a, endpoint: 'tcp://127.0.0.1:1'")],
    ["kms_cachesize", "KMS v2 with a cache", kms(", cachesize: 1000")],
    ["kms_cachesize", "KMS v1 with none", kmsOf("name: a, endpoint: 'unix:///x', cachesize: 0")],
    ["kms_version", "v3", kmsOf("apiVersion: v3, name: a, endpoint: 'unix:///x'")],
  ])("%s: %s", (rule, _, text) => {
    expect(ruleOf(text)).toBe(rule);
  });

  test("the error gives the line", () => {
    const lines = [
      [kms(", timout: 3s"), 6],
      [file(entry("[secrets]"), entry("[Secrets]")), 7],
      [`${providers(IDENTITY)}---\na: b\n`, 7],
      [`${providers(IDENTITY)}# a\rb`, 7],
    ] as const;
    for (const [text, line] of lines) {
      expect(() => decode(text)).toThrow(expect.objectContaining({ line }));
    }
  });

  test("the error gives the bytes that the key has", () => {
    expect(() => decode(key("a", KEY_16, "secretbox"))).toThrow("16 bytes");
  });
});

describe("values", () => {
  test("KMS: defaults, the timeout as written and in milliseconds, the cache", () => {
    const [group] = decode(
      providers(
        "  - kms: {name: a, endpoint: 'unix:///x'}\n  - kms: {apiVersion: v2, name: b, endpoint: 'unix:/y', timeout: 1.5s}\n  - kms: {name: c, endpoint: 'unix:///x', timeout: 1ms, cachesize: 5}\n",
      ),
    ).groups;
    expect(group?.providers).toEqual([
      {
        kind: "kms",
        apiVersion: "v1",
        name: "a",
        endpoint: "unix:///x",
        timeout: undefined,
        timeoutMs: 3000,
        cacheSize: undefined,
      },
      {
        kind: "kms",
        apiVersion: "v2",
        name: "b",
        endpoint: "unix:/y",
        timeout: "1.5s",
        timeoutMs: 1500,
        cacheSize: undefined,
      },
      {
        kind: "kms",
        apiVersion: "v1",
        name: "c",
        endpoint: "unix:///x",
        timeout: "1ms",
        timeoutMs: 1,
        cacheSize: 5,
      },
    ]);
  });

  test("the legacy kind is marked, and no other", () => {
    expect(decode(providers(IDENTITY)).isLegacyKind).toBe(false);
    expect(
      decode(providers(IDENTITY).replace(HEAD, "apiVersion: v1\nkind: EncryptionConfig\n")).isLegacyKind,
    ).toBe(true);
  });
});

test("tens of thousands of fields are read in linear time", () => {
  const names = Array.from({ length: 50_000 }, (_, index) => `a${index}: ""`).join("\n");
  const began = performance.now();
  expect(ruleOf(names)).toBe("unknown_field");
  expect(performance.now() - began).toBeLessThan(15_000);
}, 60_000);
