/**
 * @module A SoftHSM token in a temporary directory. Made with SoftHSM's own tool; its keys are made here and then imported.
 * Optionally behind stub-module.c, which hangs, spins, crashes or forks on demand and counts logins.
 */
import { execFileSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SOFTHSM_MODULE } from "./requirements.ts";

export const TOKEN_LABEL = "test token";
export const USER_PIN = "482913";

export type SoftKeyType = "P-256" | "P-384" | "RSA-2048" | "RSA-4096";

export function makeSoftToken() {
  const directory = mkdtempSync(join(tmpdir(), "soft-token-"));
  const configuration = join(directory, "softhsm2.conf");
  const pinFile = join(directory, "pin");
  const stub = join(directory, "stub.so");
  const environment = { SOFTHSM2_CONF: configuration };
  let keys = 0;
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
    /** For the child's environment. */
    environment,
    pinFile,
    /** Replaces the PIN file, as an operator does: a new file, moved over the old one. */
    writePin,
    /** Puts a new key into the token; gives the public half, SPKI as DER. */
    makeKey: (label: string, type: SoftKeyType) => {
      const { publicKey, privateKey } = makePair(type);
      const pem = join(directory, "key.pem");
      writeFileSync(pem, privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
      keys += 1;
      const id = keys.toString(16).padStart(4, "0");
      run(
        "softhsm2-util",
        "--import",
        pem,
        "--token",
        TOKEN_LABEL,
        "--label",
        label,
        "--id",
        id,
        "--pin",
        USER_PIN,
      );
      rmSync(pem);
      return new Uint8Array(publicKey.export({ type: "spki", format: "der" }));
    },
    /** The stub module in front of SoftHSM, which behaves as the lines say from its next load on. */
    stubModule: (behaviour: string = "") => {
      if (!existsSync(stub)) {
        run("cc", "-shared", "-fPIC", "-w", "-o", stub, join(import.meta.dir, "stub-module.c"), "-ldl");
        chmodSync(stub, 0o755);
      }
      writeFileSync(`${stub}.behaviour`, `module ${SOFTHSM_MODULE}\n${behaviour}\n`);
      return stub;
    },
    /** How often the stub module was asked to log in. */
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

export type SoftToken = ReturnType<typeof makeSoftToken>;

function makePair(type: SoftKeyType) {
  switch (type) {
    case "RSA-2048":
    case "RSA-4096":
      return generateKeyPairSync("rsa", { modulusLength: Number(type.slice("RSA-".length)) });
    default:
      return generateKeyPairSync("ec", { namedCurve: type });
  }
}
