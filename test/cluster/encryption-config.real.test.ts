/**
 * @module EncryptionConfigurations judged by the real kube-apiserver and by the decoder of doctor and init. Files of each
 * rule, files with random changes, and what init writes. A file that kube-apiserver refuses is never passed.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import * as fc from "fast-check";
import { encryptionFiles } from "../../src/commands/init/encryption-files.ts";
import { decodeEncryptionConfig } from "../../src/kubernetes/encryption-config/decode.ts";
import {
  EncryptionConfigError,
  type EncryptionRule,
} from "../../src/kubernetes/encryption-config/refusal.ts";
import { type EncryptionConfigJudge, encryptionConfigJudge } from "../harness/encryption-config-judge.ts";
import { describeReal } from "../harness/real-suite.ts";

const KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const HEAD = "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\n";
const IDENTITY = "  - identity: {}\n";
const entry = (resources: string, providers = IDENTITY) =>
  `- resources: ${resources}\n  providers:\n${providers}`;
const file = (...entries: readonly string[]) => `${HEAD}resources:\n${entries.join("")}`;
const providers = (text: string) => file(entry("[secrets]", text));
/** Short timeouts: kube-apiserver waits for the socket as long. */
const kms = (endpoint: string, more = "") =>
  providers(`  - kms: {apiVersion: v2, name: a, endpoint: '${endpoint}', timeout: 1ms${more}}\n`);
const key = (name: string, secret = KEY, kind = "aescbc") =>
  providers(`  - ${kind}: {keys: [{name: ${name}, secret: ${secret}}]}\n`);
const json = `{"apiVersion":"apiserver.config.k8s.io/v1","kind":"EncryptionConfiguration","resources":[{"resources":["secrets"],"providers":[{"identity":{}}]}]}`;

/** One after the other at random, each refused by kube-apiserver or passed by both. */
const RULES: readonly string[] = [
  providers(IDENTITY),
  key("a"),
  key("y"),
  key("2024_01_01"),
  key("0b11"),
  key("0o17"),
  key("1e999"),
  key("2024-01-01"),
  key('"\\/x"'),
  key('"\\ud83d"'),
  key("''"),
  key("a", "''"),
  key("a", "<BASE 64 ENCODED SECRET>"),
  key("a", "QUFB"),
  key("a", `"${KEY.slice(0, 9)}\\n${KEY.slice(9)}"`),
  key("a", "QUJDREVGR0hJSktMTU5PUA==", "secretbox"),
  key("a", "QUJDREVGR0hJSktMTU5PUA==", "aesgcm"),
  key("a", "QUJDREVGR0hJSktMTU5PUA"),
  key("a, x: y"),
  kms("unix:///x"),
  kms("unix:x"),
  kms("UNIX://run/x"),
  kms("tcp://127.0.0.1:1"),
  kms("unix:///a%zz"),
  kms("unix:///a%25zz"),
  kms("unix://a:b/x"),
  kms(""),
  kms("unix:///x", ", cachesize: 1000"),
  kms("unix:///x", ", cachesize: null"),
  kms("unix:///x", ", timout: 3s"),
  kms("unix:///x").replace("1ms", "0s"),
  kms("unix:///x").replace("1ms", "-1s"),
  kms("unix:///x").replace("1ms", "0.5ns"),
  kms("unix:///x").replace("1ms", "3"),
  kms("unix:///x").replace("1ms", "9223372037s"),
  kms("unix:///x").replace("name: a", "name: 'a:b'"),
  kms("unix:///x").replace("v2", "v3"),
  kms("unix:///x").replace("apiVersion: v2, ", ""),
  kms("unix:///x") +
    entry("[pods]", "  - kms: {apiVersion: v2, name: a, endpoint: 'unix:///y', timeout: 1ms}\n"),
  ...[
    "[secrets?, pods]",
    "[sec?rets]",
    "['secrets?']",
    "\n  - secrets?",
    "[secrets, secrets]",
    "[secrets, secrets.]",
    "['*.*', secrets]",
    "['*.', secrets]",
    "['*.apps', secrets]",
    "[Secrets]",
    "['*']",
    "[apiserveripinfo]",
    "[events.events.k8s.io]",
    "[ingresses.extensions]",
    "['secrets.*']",
    "[null]",
    "[]",
    "secrets",
    "[1]",
  ].map((resources) => file(entry(resources))),
  file(entry("['*.*']"), entry("[secrets]")),
  file(entry("['*.']"), entry("[deployments.apps]")),
  file(entry("[secrets]"), entry("[secrets]")),
  file(entry("['*.apps']"), entry("['*.apps']")),
  providers("  - identity:\n"),
  providers("  - identity: {}\n    kms: null\n"),
  providers("  - {}\n"),
  providers("  - aescbc: {keys: []}\n"),
  providers("  - {identity:{}}\n"),
  `${providers(IDENTITY)}metadata: {}\n`,
  `${providers(IDENTITY)}kind: EncryptionConfiguration\n`,
  providers(IDENTITY).replace("kind:", "Kind:"),
  providers(IDENTITY).replace(HEAD, "apiVersion: v1\nkind: EncryptionConfig\n"),
  providers(IDENTITY).replace("apiserver.config.k8s.io/v1", "v1"),
  HEAD,
  "",
  json,
  json.replace("}]}]}", "}]}],}"),
  json.replace('"kind"', '"kind":"a","kind"'),
  `# YAML\n${json.replace("}]}]}", "}]}],}")}`,
];

/** Loaded by kube-apiserver and refused here, by choice. */
const BY_CHOICE: readonly (readonly [EncryptionRule, string])[] = [
  ["alias", file(entry("&a [secrets]"), entry("*a"))],
  ["tag", key("!!str 1")],
  ["directive", `%YAML 1.1\n---\n${providers(IDENTITY)}`],
  ["documents", `${providers(IDENTITY)}---\na: b\n`],
  ["tab", providers(IDENTITY).replace("kind: ", "kind:\t")],
  ["character", providers(IDENTITY).replaceAll("\n", "\r")],
];
const CHOSEN = new Set<string>(BY_CHOICE.map(([rule]) => rule));

const SAMPLE = file(
  entry(
    '[secrets, "config\\x6daps"]',
    `  - kms: {apiVersion: v2, name: 'bao', endpoint: "unix:///x", timeout: 1ms}\n  - aescbc:\n      keys:\n      - name: key1\n        secret: >-\n          ${KEY}\n${IDENTITY}`,
  ),
  entry("\n  - '*.apps'\n  - events # ours"),
);
const PUT = Array.from(" \n:,{}[]'\"#&*!|>%@-?x0.\\/");

/** Files with a changed character that are still passed here: those that must be right. */
function passedMutants(count: number): readonly string[] {
  const mutant = fc
    .tuple(fc.nat(SAMPLE.length - 1), fc.constantFrom("", ...PUT), fc.boolean())
    .map(([at, put, isAdded]) => SAMPLE.slice(0, at) + put + SAMPLE.slice(isAdded ? at : at + 1));
  const seed = Math.floor(Math.random() * 2 ** 31);
  console.log(`mutants: seed ${seed}`);
  const all = fc.sample(mutant, { numRuns: count * 12, seed });
  return [...new Set(all)].filter((text) => verdictOf(text) === "loads").slice(0, count);
}

function verdictOf(text: string): EncryptionRule | "loads" {
  try {
    const { groups } = decodeEncryptionConfig(Buffer.from(text), "file");
    // kube-apiserver takes KMS v1 only behind a flag; doctor has a check of its own for it.
    const isV1 = groups.some(({ providers: all }) =>
      all.some((each) => each.kind === "kms" && each.apiVersion === "v1"),
    );
    return isV1 ? "kms_version" : "loads";
  } catch (error) {
    if (error instanceof EncryptionConfigError) {
      return error.rule;
    }
    throw error;
  }
}

describeReal("EncryptionConfiguration on a real kube-apiserver", { needs: ["kube-apiserver"] }, (binary) => {
  let judge: EncryptionConfigJudge;
  beforeAll(async () => {
    judge = await encryptionConfigJudge(binary("kube-apiserver"));
  });
  afterAll(() => judge.dispose());

  async function agree(files: readonly string[]): Promise<void> {
    const theirs = await judge.judge(files);
    for (const [index, text] of files.entries()) {
      const ours = verdictOf(text);
      const { loads, reason } = theirs[index] ?? { loads: false, reason: "" };
      const told = { text, ours, reason };
      expect({ ...told, agree: loads === (ours === "loads") || (loads && CHOSEN.has(ours)) }).toEqual({
        ...told,
        agree: true,
      });
    }
    expect(theirs.some(({ loads }) => loads)).toBe(true);
  }

  test("files of each rule: the same verdict", () => agree(RULES), 120_000);

  test(
    "files with a changed character that are passed here load there",
    () => agree(passedMutants(30)),
    120_000,
  );

  test("files that are refused by choice load there, and here the error gives the choice", async () => {
    const theirs = await judge.judge(BY_CHOICE.map(([, text]) => text));
    expect(theirs.map(({ loads }) => loads)).toEqual(BY_CHOICE.map(() => true));
    expect(BY_CHOICE.map(([, text]) => verdictOf(text))).toEqual(BY_CHOICE.map(([rule]) => rule));
  });

  test("what init writes loads, whatever names the keys and the provider have", async () => {
    const word = fc.oneof(
      fc.constantFrom(
        "2024_01_01",
        "on",
        "n",
        "Y",
        "1_000",
        "0b11",
        "0o17",
        "~",
        "null",
        ".inf",
        "<<",
        "-",
        "?",
        "@a",
        "a: b",
        "a #b",
      ),
      fc.string({ minLength: 1, unit: "binary" }),
      fc.stringMatching(/^[0-9+._eExob-]{1,8}$/),
    );
    const keys = [...new Set(fc.sample(word, 600))].map((name) => ({ name, secret: KEY }));
    const current = decodeEncryptionConfig(
      Buffer.from(json.replace('{"identity":{}}', JSON.stringify({ aescbc: { keys } }))),
      "current",
    );
    // transit.keyIdScope.providerName takes these characters.
    const names = ["on", "2024", "0x1f", "1e3", "y", "null", "a.b_c-d"];
    const made = names.map((providerName) =>
      encryptionFiles(providerName, "/run/openbao-kms/kms.sock", current),
    );
    const files = made.flatMap(({ readers, writers }) => [readers, writers]);
    const verdicts = await judge.judge(files.map((text) => text.replace("timeout: 3s", "timeout: 1ms")));
    expect(verdicts.filter(({ loads }) => !loads)).toEqual([]);
    expect(files.map(verdictOf)).toEqual(files.map(() => "loads"));
  }, 60_000);
});
