/**
 * A SoftHSM token in a temporary directory, with keys that never leave it.
 *
 * @module Made with SoftHSM's and OpenSC's own tools. Optionally behind stub-module.c, which hangs, spins, crashes or
 * forks on demand and counts logins.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SOFTHSM_MODULE } from "./requirements.ts";

export const TOKEN_LABEL = "test token";
export const USER_PIN = "482913";

export type SoftKeyType = "EC:prime256v1" | "EC:secp384r1" | "rsa:2048" | "rsa:3072" | "rsa:4096";

export interface SoftToken {
  readonly directory: string;
  /** For the child's environment. */
  readonly environment: { readonly SOFTHSM2_CONF: string };
  readonly pinFile: string;
  /** Replaces the PIN file, as an operator does: a new file, moved over the old one. */
  writePin(text: string): void;
  /** Makes a key pair in the token; gives the public half, SPKI as DER. */
  makeKey(label: string, type: SoftKeyType): Uint8Array<ArrayBuffer>;
  /** The stub module in front of SoftHSM, which behaves as the lines say from its next load on. */
  stubModule(behaviour?: string): string;
  /** How often the stub module was asked to log in. */
  logins(): number;
  [Symbol.dispose](): void;
}

export function makeSoftToken(): SoftToken {
  const directory = mkdtempSync(join(tmpdir(), "soft-token-"));
  const configuration = join(directory, "softhsm2.conf");
  const pinFile = join(directory, "pin");
  const stub = join(directory, "stub.so");
  const environment = { SOFTHSM2_CONF: configuration };
  const run = (command: string, ...args: string[]): void => {
    execFileSync(command, args, { env: { ...process.env, ...environment }, stdio: "pipe" });
  };
  const writePin = (text: string): void => {
    writeFileSync(`${pinFile}.new`, text, { mode: 0o600 });
    execFileSync("mv", [`${pinFile}.new`, pinFile]);
  };

  mkdirSync(join(directory, "tokens"));
  writeFileSync(configuration, `directories.tokendir = ${join(directory, "tokens")}\nlog.level = ERROR\n`);
  run(
    "softhsm2-util",
    "--init-token",
    "--free",
    "--label",
    TOKEN_LABEL,
    "--so-pin",
    "12345678",
    "--pin",
    USER_PIN,
  );
  writePin(`${USER_PIN}\n`);

  return {
    directory,
    environment,
    pinFile,
    writePin,
    makeKey: (label, type) => {
      const common = ["--module", SOFTHSM_MODULE, "--token-label", TOKEN_LABEL, "--label", label];
      const spki = join(directory, "spki.der");
      run("pkcs11-tool", ...common, "--login", "--pin", USER_PIN, "--keypairgen", "--key-type", type);
      run("pkcs11-tool", ...common, "--read-object", "--type", "pubkey", "--output-file", spki);
      return new Uint8Array(readFileSync(spki));
    },
    stubModule: (behaviour = "") => {
      run("cc", "-shared", "-fPIC", "-w", "-o", stub, join(import.meta.dir, "stub-module.c"), "-ldl");
      chmodSync(stub, 0o755);
      writeFileSync(`${stub}.behaviour`, `module ${SOFTHSM_MODULE}\n${behaviour}\n`);
      return stub;
    },
    logins: () => {
      try {
        return readFileSync(`${stub}.logins`).length;
      } catch {
        return 0;
      }
    },
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
}
