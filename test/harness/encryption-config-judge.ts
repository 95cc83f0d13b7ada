/**
 * @module Asks a real kube-apiserver whether it loads an EncryptionConfiguration, in a fraction of a second and without etcd.
 * The audit policy is read right after the file and does not exist, so that the error names the first of the two that failed.
 */
import { spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeTestCa } from "../fakes/tls/test-ca.ts";
import { freePorts } from "./free-port.ts";

interface Verdict {
  readonly loads: boolean;
  /** The last line of kube-apiserver. */
  readonly reason: string;
}

/** As many at a time as CI has processors. */
const AT_ONCE = 2;
const NO_POLICY = "no-audit-policy.yaml";
/** Logged when a file is loaded and its KMS provider is asked for its status, for as long as its timeout. */
const DIALS = "failed to create connection to unix socket";
const PROBE_MS = 1000;
const LIMIT_MS = 20_000;

export async function encryptionConfigJudge(binary: string, extraFlags: readonly string[] = []) {
  const dir = mkdtempSync(join(tmpdir(), "judge-"));
  const path = (name: string): string => join(dir, name);
  const server = await (await makeTestCa({ commonName: "judge" })).server();
  const [port = 0] = await freePorts(1);
  const account = generateKeyPairSync("ec", { namedCurve: "P-256" });
  writeFileSync(path("server.crt"), server.chainPem);
  writeFileSync(path("server.key"), server.keyPem, { mode: 0o600 });
  writeFileSync(path("sa.key"), account.privateKey.export({ type: "sec1", format: "pem" }), { mode: 0o600 });

  const one = (file: string | Uint8Array, index: number): Promise<Verdict> => {
    const name = path(`${index}.yaml`);
    writeFileSync(name, file, { mode: 0o600 });
    const child = spawn(
      binary,
      [
        "--etcd-servers=http://127.0.0.1:1",
        "--service-account-issuer=https://kubernetes.default.svc",
        `--service-account-key-file=${path("sa.key")}`,
        `--service-account-signing-key-file=${path("sa.key")}`,
        `--tls-cert-file=${path("server.crt")}`,
        `--tls-private-key-file=${path("server.key")}`,
        "--service-cluster-ip-range=10.0.0.0/24",
        "--advertise-address=127.0.0.1",
        "--bind-address=127.0.0.1",
        `--secure-port=${port}`,
        "--permit-port-sharing=true",
        "--external-hostname=localhost",
        `--encryption-provider-config=${name}`,
        `--audit-policy-file=${path(NO_POLICY)}`,
        ...extraFlags,
      ],
      { stdio: ["ignore", "ignore", "pipe"], timeout: LIMIT_MS, killSignal: "SIGKILL" },
    );
    let output = "";
    let dials: ReturnType<typeof setTimeout> | undefined;
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      if (output.includes(DIALS)) {
        dials ??= setTimeout(() => child.kill("SIGKILL"), PROBE_MS);
      }
    });
    return new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", () => {
        clearTimeout(dials);
        const failure = /"command failed" err=(.*)/s.exec(output)?.[1];
        const reason = failure ?? (output.includes(DIALS) ? DIALS : undefined);
        if (reason === undefined) {
          reject(new Error(`kube-apiserver gave no verdict: ${output.slice(-1000)}`));
          return;
        }
        resolve({ loads: reason === DIALS || reason.includes(NO_POLICY), reason });
      });
    });
  };

  return {
    /** Verdicts in the order of the files. */
    judge: async (files: readonly (string | Uint8Array)[]) => {
      const verdicts: Verdict[] = [];
      let next = 0;
      const worker = async (): Promise<void> => {
        for (let index = next++; index < files.length; index = next++) {
          verdicts[index] = await one(files[index] ?? "", index);
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, worker));
      return verdicts;
    },
    dispose: () => rmSync(dir, { recursive: true, force: true }),
  };
}

export type EncryptionConfigJudge = Awaited<ReturnType<typeof encryptionConfigJudge>>;
