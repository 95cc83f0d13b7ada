/** @module What a release proves itself with: checksums and SLSA provenance, both signed as cosign and openssl verify. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Build } from "./artefacts.ts";
import { bunVersion } from "./materials.ts";
import { runBytes } from "./run.ts";

const payloadType = "application/vnd.in-toto+json";

/** Puts it beside the artefacts. Without a PEM private key it is unsigned. @returns whether it is signed */
export function writeEvidence(
  build: Build,
  architectures: readonly string[],
  keyFile: string | undefined,
): boolean {
  const { out, work } = build;
  const files = readdirSync(out)
    .filter((name) => name.startsWith("bao-kms-provider"))
    .sort()
    .map((name) => ({ name, digest: { sha256: sha256(readFileSync(join(out, name))) } }));
  const checksums = files.map(({ name, digest }) => `${digest.sha256}  ${name}\n`).join("");
  writeFileSync(join(out, "checksums.txt"), checksums);
  const statement = JSON.stringify(provenance(build, architectures, files));
  if (keyFile === undefined) {
    writeFileSync(join(out, "provenance.json"), statement);
    return false;
  }
  // What `cosign verify-blob --signature` reads.
  writeFileSync(join(out, "checksums.txt.sig"), `${sign(Buffer.from(checksums), keyFile, work)}\n`);
  writeFileSync(join(out, "provenance.intoto.jsonl"), envelope(statement, keyFile, work));
  return true;
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** The in-toto statement with SLSA provenance v1 (slsa.dev/spec/v1.0/provenance). */
function provenance(
  { root, release: { version }, commit }: Build,
  architectures: readonly string[],
  subject: readonly object[],
): object {
  const lock = readFileSync(join(root, "package-lock.json"));
  return {
    _type: "https://in-toto.io/Statement/v1",
    subject,
    predicateType: "https://slsa.dev/provenance/v1",
    predicate: {
      buildDefinition: {
        buildType: "urn:bao-kms-provider:release:v1",
        externalParameters: { version, commit, architectures },
        resolvedDependencies: [
          { name: "source", digest: { gitCommit: commit } },
          { name: "package-lock.json", digest: { sha256: sha256(lock) } },
          { uri: `pkg:npm/bun@${bunVersion}` },
        ],
      },
      runDetails: { builder: { id: "urn:bao-kms-provider:scripts-release" } },
    },
  };
}

/** ECDSA P-256 with SHA-256, in Base64. */
function sign(bytes: Uint8Array, keyFile: string, work: string): string {
  const file = join(work, `to-sign-${sha256(bytes)}`);
  writeFileSync(file, bytes);
  return runBytes("openssl", ["dgst", "-sha256", "-sign", keyFile, file]).toString("base64");
}

/**
 * What `cosign verify-blob-attestation --signature` reads: one line of JSON. DSSE v1 (github.com/secure-systems-lab/dsse) signs the
 * payload with its type and length.
 */
function envelope(statement: string, keyFile: string, work: string): string {
  const payload = Buffer.from(statement);
  const head = Buffer.from(`DSSEv1 ${payloadType.length} ${payloadType} ${payload.length} `);
  const sig = sign(Buffer.concat([head, payload]), keyFile, work);
  return `${JSON.stringify({ payloadType, payload: payload.toString("base64"), signatures: [{ keyid: "", sig }] })}\n`;
}
