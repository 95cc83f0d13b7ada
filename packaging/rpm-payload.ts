/**
 * Puts another compressed form of the same payload into an RPM package, with what rpmbuild has no option for.
 *
 * @module The format is rpm 4's (rpm.org, "RPM V4 Package format"); knows no compressor. A digest that a newer rpmbuild adds and
 * that is not in the tables here makes `rpm --checksig` fail, which writeRpm runs.
 */
import { createHash } from "node:crypto";

const leadBytes = 96;
const prefixBytes = 16;
const entryBytes = 16;
const magic = Buffer.from("8eade801", "hex");

/** Tags of the signature header, which is about all that follows it. */
const signature = { size: 1000, md5: 1004, sha1: 269, sha256: 273 } as const;
/** Tags of the main header. The payload's second digest is of the uncompressed bytes, which stay. */
const main = { payloadDigest: 5092, payloadDigestAlgorithm: 5093 } as const;
/** RFC 4880 section 9.4 */
const sha256Algorithm = 8;

interface Section {
  readonly start: number;
  readonly end: number;
  /** Where in the file a tag's value begins. */
  readonly valueOf: (tag: number) => number;
}

function sectionAt(rpm: Buffer, start: number): Section {
  if (!rpm.subarray(start, start + magic.length).equals(magic)) {
    throw new Error(`not an RPM package: no header at byte ${start}`);
  }
  const count = rpm.readUInt32BE(start + 8);
  const store = start + prefixBytes + count * entryBytes;
  return {
    start,
    end: store + rpm.readUInt32BE(start + 12),
    valueOf: (tag) => {
      for (let at = start + prefixBytes; at < store; at += entryBytes) {
        if (rpm.readUInt32BE(at) === tag) {
          return store + rpm.readUInt32BE(at + 8);
        }
      }
      throw new Error(`the RPM package has no tag ${tag} in the header at byte ${start}`);
    },
  };
}

function digest(algorithm: "md5" | "sha1" | "sha256", ...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash(algorithm);
  for (const part of parts) {
    hash.update(part);
  }
  return hash.digest();
}

/** `rpm` with `recompress` applied to its payload, and every size and digest that covers it made to agree. */
export async function replacePayload(
  rpm: Uint8Array,
  recompress: (payload: Uint8Array) => Promise<Uint8Array>,
): Promise<Buffer> {
  const before = Buffer.from(rpm);
  const signatures = sectionAt(before, leadBytes);
  const header = sectionAt(before, Math.ceil(signatures.end / 8) * 8);
  if (before.readUInt32BE(header.valueOf(main.payloadDigestAlgorithm)) !== sha256Algorithm) {
    throw new Error("the RPM package's payload digest is not SHA-256");
  }
  const payload = await recompress(before.subarray(header.end));
  const after = Buffer.from(before.subarray(0, header.end));
  after.write(digest("sha256", payload).toString("hex"), header.valueOf(main.payloadDigest), "latin1");
  const headerBytes = after.subarray(header.start);
  after.write(digest("sha1", headerBytes).toString("hex"), signatures.valueOf(signature.sha1), "latin1");
  after.write(digest("sha256", headerBytes).toString("hex"), signatures.valueOf(signature.sha256), "latin1");
  digest("md5", headerBytes, payload).copy(after, signatures.valueOf(signature.md5));
  after.writeUInt32BE(headerBytes.length + payload.length, signatures.valueOf(signature.size));
  return Buffer.concat([after, payload]);
}
