/** docs/configure/auth-cert.md: its configurations are accepted, its commands marked, its codes and checks those of the code. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { CHECK_IDS } from "../../src/commands/doctor/context.ts";
import { decodeConfig } from "../../src/config/decode-config.ts";
import { configFile } from "../fakes/config-file.ts";
import { blocksIn } from "../packaging/doc-blocks.ts";

const root = join(import.meta.dir, "..", "..");
const page = readFileSync(join(root, "docs", "configure", "auth-cert.md"), "utf8");
const real = readFileSync(join(root, "test", "real", "cert-token.real.test.ts"), "utf8");

test("every command is run by a test, or says why not", () => {
  for (const { id, reason, text } of blocksIn("auth-cert.md", page)) {
    expect(id ?? reason ?? `unmarked: ${text}`).not.toStartWith("unmarked");
    expect(id === undefined || real.includes(`"${id}"`) ? "run" : id).toBe("run");
  }
});

test("both configurations are accepted", () => {
  const sources = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text = ""]) => {
    const { auth }: { auth: unknown } = parse(text);
    const file = configFile((fields) => ({ ...fields, auth }));
    const { config } = decodeConfig(Buffer.from(file), "auth-cert.md");
    return config.auth.method === "cert" ? config.auth.cert.credential.source : config.auth.method;
  });
  expect(sources).toEqual(["pkcs11", "file"]);
});

test("its codes and checks are those of the code", () => {
  const sources = [
    "src/pkcs11/errors.ts",
    "src/openbao/auth/errors.ts",
    "src/http/errors.ts",
    "src/openbao/client/errors.ts",
  ]
    .map((file) => readFileSync(join(root, file), "utf8"))
    .join("");
  const [, failures = ""] = page.split("## When it fails");
  const codes = [...failures.matchAll(/^\| ([a-z0-9_, ]+) \|/gm)].flatMap(([, list = ""]) =>
    list.split(", "),
  );
  expect(codes.filter((code) => code !== "code" && !new RegExp(`\\b${code}\\b`).test(sources))).toEqual([]);
  expect(codes.length).toBeGreaterThan(20);
  const ids = [...page.matchAll(/^\| ((?:auth|openbao)\.[a-z0-9.]+) \|/gm)].map(([, id = ""]) => id);
  expect(ids.filter((id) => !CHECK_IDS.some((known) => known === id))).toEqual([]);
});
