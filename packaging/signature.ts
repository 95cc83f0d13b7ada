/** @module Signatures that cosign and openssl verify: ECDSA P-256 with SHA-256, over a file and over a DSSE envelope. */
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { runBytes } from "./run.ts";

export const payloadType = "application/vnd.in-toto+json";

function sign(bytes: Uint8Array, keyFile: string, work: string): string {
  const file = join(work, `to-sign-${createHash("sha256").update(bytes).digest("hex")}`);
  writeFileSync(file, bytes);
  return runBytes("openssl", ["dgst", "-sha256", "-sign", keyFile, file]).toString("base64");
}

/** What `cosign verify-blob --signature` reads. */
export function blobSignature(bytes: Uint8Array, keyFile: string, work: string): string {
  return `${sign(bytes, keyFile, work)}\n`;
}

/** DSSE v1 (github.com/secure-systems-lab/dsse): what is signed names the payload's type and length. */
export function preAuthentication(payload: Uint8Array): Uint8Array {
  return Buffer.concat([
    Buffer.from(`DSSEv1 ${payloadType.length} ${payloadType} ${payload.length} `),
    payload,
  ]);
}

/** What `cosign verify-blob-attestation --signature` reads: one line of JSON. */
export function envelope(statement: string, keyFile: string, work: string): string {
  const payload = Buffer.from(statement);
  const sig = sign(preAuthentication(payload), keyFile, work);
  return `${JSON.stringify({ payloadType, payload: payload.toString("base64"), signatures: [{ keyid: "", sig }] })}\n`;
}
