/**
 * The pages of docs/configure: their configurations are accepted, every command is marked, what they name is there, and the systemd
 * drop-in of each method waits for the files that its page names.
 */
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parse } from "yaml";
import { credentialFiles } from "../../src/commands/credential-files.ts";
import { decodeConfig } from "../../src/config/decode-config.ts";
import { configFile } from "../fakes/config-file.ts";
import { blocksIn } from "../packaging/doc-blocks.ts";

const root = join(import.meta.dir, "..", "..");
const pages = join(root, "docs", "configure");
const names = readdirSync(pages).sort();
const textOf = (name: string): string => readFileSync(join(pages, name), "utf8");

/** The configurations of a page, in its order. */
const configurations = (name: string) =>
  [...textOf(name).matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, yaml = ""]) => {
    const text = configFile((fields) => ({ ...fields, ...parse(yaml) }));
    return decodeConfig(new TextEncoder().encode(text), name).config;
  });

describe.each(names)("%s", (name) => {
  test("its configurations are accepted as they stand", () => {
    expect(configurations(name).length).toBeGreaterThan(0);
  });

  test("what it names is there", () => {
    const text = textOf(name);
    const links = [...text.matchAll(/\]\(([^)#]+)[^)]*\)/g)].map(([, target = ""]) =>
      join(dirname(join(pages, name)), target),
    );
    const tests = [...text.matchAll(/`(test\/[\w./-]+)`/g)].map(([, path = ""]) => join(root, path));
    expect([...links, ...tests].filter((path) => !existsSync(path))).toEqual([]);
  });

  // The commands of the certificate page are those of test/real/cert-token-daemon.real.test.ts.
  test.skipIf(name === "auth-cert.md")("every block of commands says why it is not run", () => {
    const silent = blocksIn(name, textOf(name)).filter(({ id, reason }) => (id ?? reason ?? "") === "");
    expect(silent.map(({ text }) => text)).toEqual([]);
  });
});

test.each([
  ["auth-oauth2.md", "oauth2.conf", 0, ["/etc/openbao-kms/client/oauth2-client-secret"]],
  ["auth-approle.md", "approle.conf", 0, ["/etc/openbao-kms/client/secret-id"]],
  [
    "auth-cert.md",
    "cert-pkcs11.conf",
    0,
    ["/etc/openbao-kms/client/client-chain.pem", "/etc/openbao-kms/pkcs11/pin"],
  ],
  [
    "auth-cert.md",
    "cert-file.conf",
    1,
    ["/etc/openbao-kms/client/client-chain.pem", "/etc/openbao-kms/client/client-key.pem"],
  ],
  ["auth-spiffe.md", "spiffe.conf", 0, []],
] as const)("%s and the drop-in %s name the same files", (page, dropIn, index, files) => {
  const config = configurations(page)[index];
  const waitsFor = readFileSync(join(root, "deploy", "systemd", "drop-ins", dropIn), "utf8")
    .match(/^ConditionPathExists=\/etc\/openbao-kms\/(?:client|pkcs11)\/.*$/gm)
    ?.map((line) => line.slice("ConditionPathExists=".length));
  expect(waitsFor ?? []).toEqual([...files]);
  const read = config === undefined ? [] : credentialFiles(config.auth).map(({ path }) => path);
  expect(read).toEqual(expect.arrayContaining([...files]));
});
