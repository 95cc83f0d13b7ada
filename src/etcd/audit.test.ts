import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { ourStoredValue } from "../../test/fakes/etcd/envelope-bytes.ts";
import { snapshotBytes } from "../../test/fakes/etcd/snapshot-bytes.ts";
import { TEST_IDENTITY } from "../../test/fakes/key-scope.ts";
import { systemClock } from "../base/clock.ts";
import { reportHtml } from "../commands/audit/report-html.ts";
import { reportText } from "../commands/audit/report-text.ts";
import { deriveKeyId } from "../key/identity/key-id.ts";
import { AuditError } from "./errors.ts";
import {
  type AuditSource,
  decodeEvidence,
  type Evidence,
  evidenceText,
  type SourceAudit,
  sealEvidence,
} from "./evidence.ts";
import { sourceLabel } from "./group-label.ts";
import { limitationsOf, runAudit } from "./run-audit.ts";
import type { ListedObject } from "./tally.ts";

const scope = TEST_IDENTITY;
const versions = [1, 2, 3].map((version) => ({ version, createdAtUnix: 1_700_000_000 + version }));
const [v1, v2, v3] = versions.map((version) => ourStoredValue(scope, version));
const keyIds = versions.map((version) => deriveKeyId(scope, version));
const PLAIN = Buffer.from("k8s\0plain CANARY");

let dir = "";
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "audit-"));
  const file = (name: string, hashed: boolean): void =>
    writeFileSync(
      join(dir, name),
      snapshotBytes(
        [
          { key: "/registry/secrets/a/one", value: v1 ?? PLAIN },
          { key: "/registry/secrets/a/two", value: v1 ?? PLAIN },
          { key: "/registry/secrets/a/two", value: v2 ?? PLAIN },
          { key: "/registry/secrets/a/gone", value: v1 ?? PLAIN },
          { key: "/registry/secrets/a/gone" },
          { key: "/registry/secrets/b/left", value: PLAIN },
          { key: "/registry/example.com/widgets/b/<w&>", value: v3 ?? PLAIN },
          { key: "/registry/configmaps/b/c", value: Buffer.from("k8s:enc:aescbc:v1:key1:x") },
          { key: "/registry/pods/b/p", value: PLAIN },
          { key: "/other/secrets/a/one", value: PLAIN },
        ],
        { pageBytes: 4096, hashed },
      ),
    );
  file("saved.snap", true);
  file("bare.db", false);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function evidenceOf(name: string, objects: ListedObject[] = []): Promise<Evidence> {
  const audit = await runAudit(
    { kind: "snapshot", file: join(dir, name) },
    {
      prefix: "/registry",
      knownKeyIds: new Map(keyIds.slice(0, 2).map((keyId, index) => [keyId, index + 1])),
      onObject: (object) => objects.push(object),
      clock: systemClock,
      signal: new AbortController().signal,
      onProgress: () => {},
    },
  );
  return sealEvidence({
    kind: "bao-kms-provider/audit",
    schemaVersion: 1,
    createdAt: "2030-01-01T00:00:00.000Z",
    providerVersion: "0.1.0",
    configuration: { fingerprint: "0123-4567-89ab-cdef", providerName: "bao" },
    audits: [audit],
    limitations: limitationsOf([audit], true),
  });
}

describe("an audit of a snapshot", () => {
  test("counts the newest state of each object by resource and key", async () => {
    const { audits } = await evidenceOf("saved.snap");
    expect(audits[0]).toMatchObject({
      prefix: "/registry/",
      objects: 6,
      source: { kind: "snapshot", integrity: "verified", revision: 11 },
      resources: [
        { resource: "configmaps", groups: [{ kind: "local_key", keyName: "key1", objects: 1 }] },
        { resource: "pods", groups: [{ kind: "plaintext", objects: 1 }] },
        {
          resource: "secrets",
          objects: 3,
          groups: [
            { kind: "ours", version: 2, versionFrom: "derived", objects: 1 },
            { kind: "ours", version: 1, versionFrom: "derived", objects: 1 },
            { kind: "plaintext", objects: 1 },
          ],
        },
        { resource: "widgets.example.com", groups: [{ kind: "ours", version: 3, versionFrom: "stated" }] },
      ],
      keyIds: [
        { version: 3, objects: 1 },
        { version: 2, objects: 1 },
        { version: 1, objects: 1 },
      ],
    });
  });

  test("lists names, newest write first, and no content", async () => {
    const objects: ListedObject[] = [];
    await evidenceOf("saved.snap", objects);
    expect(objects.map(({ resource, path, modRevision }) => `${resource} ${path} ${modRevision}`)).toEqual([
      "pods b/p 10",
      "configmaps b/c 9",
      "widgets.example.com b/<w&> 8",
      "secrets b/left 7",
      "secrets a/two 4",
      "secrets a/one 2",
    ]);
    expect(JSON.stringify(objects)).not.toContain("CANARY");
  });

  test("a bare database is read, and said to be one", async () => {
    const { audits, limitations } = await evidenceOf("bare.db");
    expect(audits[0]?.source).toMatchObject({ integrity: "absent" });
    expect(limitations.join()).toContain("write-ahead log");
  });

  test("an annotation that contradicts the key_id counts as damage", async () => {
    const audit = await runAudit(
      { kind: "snapshot", file: join(dir, "saved.snap") },
      {
        prefix: "/registry/",
        knownKeyIds: new Map([[keyIds[0] ?? "", 7]]),
        clock: systemClock,
        signal: new AbortController().signal,
        onProgress: () => {},
      },
    );
    const secrets = audit.resources.find(({ resource }) => resource === "secrets");
    expect(secrets?.groups).toContainEqual({ kind: "damaged", provider: "bao", objects: 1 });
  });

  test("ends when the signal aborts", async () => {
    const stopped = AbortSignal.abort(new Error("stopped"));
    const attempt = runAudit(
      { kind: "snapshot", file: join(dir, "saved.snap") },
      {
        prefix: "/registry",
        knownKeyIds: new Map(),
        clock: systemClock,
        signal: stopped,
        onProgress: () => {},
      },
    );
    expect(attempt).rejects.toThrow("stopped");
  });

  test("a file that is not there", async () => {
    const failed = await runAudit(
      { kind: "snapshot", file: join(dir, "none") },
      {
        prefix: "/registry",
        knownKeyIds: new Map(),
        clock: systemClock,
        signal: new AbortController().signal,
        onProgress: () => {},
      },
    ).catch((error: unknown) => error);
    expect(failed).toMatchObject({
      code: "snapshot_unreadable",
      message: expect.stringContaining(join(dir, "none")),
      advice: expect.stringContaining("ls -l"),
    });
  });
});

describe("evidence", () => {
  test("is read back as it was written", async () => {
    const evidence = await evidenceOf("saved.snap");
    expect(decodeEvidence(Buffer.from(evidenceText(evidence)), "evidence.json")).toEqual(evidence);
  });

  test("is read up to 16 MiB", async () => {
    const text = evidenceText(await evidenceOf("saved.snap"));
    const largest = Buffer.from(text.padEnd(16 * 1024 * 1024, " "));
    expect(decodeEvidence(largest, "e").kind).toBe("bao-kms-provider/audit");
    expect(() => decodeEvidence(Buffer.concat([largest, Buffer.from(" ")]), "e")).toThrow(AuditError);
  });

  test("that is wrong in a field names the field, and nothing when it is no JSON", async () => {
    const evidence = await evidenceOf("saved.snap");
    const wrong = Buffer.from(
      JSON.stringify({ ...evidence, audits: [{ ...evidence.audits[0], objects: -1 }] }),
    );
    expect(() => decodeEvidence(wrong, "e")).toThrow("e is not an evidence file: audits.0.objects is wrong");
    expect(() => decodeEvidence(Buffer.from("x"), "e")).toThrow(/^e is not an evidence file$/);
  });

  test("a changed count is noticed", async () => {
    const text = evidenceText(await evidenceOf("saved.snap")).replace('"objects": 3', '"objects": 4');
    expect(() => decodeEvidence(Buffer.from(text), "evidence.json")).toThrow(AuditError);
  });

  test.each([
    ["a time", '"createdAt": "2030-01-01', '"createdAt": "2030-01-02'],
    ["a file", '"file": "', '"file": "x'],
  ])("%s that was changed is noticed by the digest alone", async (_, before, after) => {
    const text = evidenceText(await evidenceOf("saved.snap"));
    const changed = text.replace(before, after);
    expect(changed).not.toBe(text);
    expect(() => decodeEvidence(Buffer.from(changed), "evidence.json")).toThrow("its digest is not");
  });

  test("counts that do not add up are refused even under a right digest", async () => {
    const { digest: _, ...body } = await evidenceOf("saved.snap");
    const [audit] = body.audits;
    const forged = sealEvidence({ ...body, audits: audit === undefined ? [] : [{ ...audit, keyIds: [] }] });
    expect(() => decodeEvidence(Buffer.from(evidenceText(forged)), "e")).toThrow("do not add up");
  });

  test("no bytes make the decoder fail otherwise", async () => {
    const text = evidenceText(await evidenceOf("saved.snap"));
    fc.assert(
      fc.property(fc.nat({ max: text.length }), fc.string({ maxLength: 3 }), (at, change) => {
        const hostile = text.slice(0, at) + change + text.slice(at + change.length);
        try {
          decodeEvidence(Buffer.from(hostile), "e");
        } catch (error) {
          expect(error).toMatchObject({ code: "evidence_invalid" });
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe("what an audit cannot have seen", () => {
  const source = (integrity: "verified" | "absent") =>
    ({ kind: "snapshot", integrity, file: "f", sha256: "", sizeBytes: 1, revision: 1, readAt: "" }) as const;
  const live: AuditSource = {
    kind: "etcd",
    clusterId: "a",
    endpoints: [],
    revision: 1,
    readAt: "",
    restarts: 0,
    apiServers: 0,
  };
  const of = (each: AuditSource, prefix = "/registry/"): SourceAudit => ({
    source: each,
    prefix,
    objects: 0,
    resources: [],
    keyIds: [],
  });
  const said = (audits: readonly SourceAudit[], withConfiguration = true): string =>
    limitationsOf(audits, withConfiguration).join("\n");

  test("depends on whether a running etcd was read", () => {
    expect(said([of(live), of(source("verified"))])).toContain("after the audited revision");
    expect(said([of(source("verified"))])).toContain("no running etcd was read");
  });

  test("of a database file without a digest", () => {
    expect(said([of(live), of(source("absent"))])).toContain("write-ahead log");
    expect(said([of(live), of(source("verified"))])).not.toContain("write-ahead log");
  });

  test("without a configuration, and outside the prefixes", () => {
    expect(said([of(live)], false)).toContain("no configuration was given");
    expect(said([of(live)])).not.toContain("no configuration was given");
    expect(said([of(live), of(live, "/b/"), of(live)])).toContain("the prefix /registry/, /b/ were");
  });

  test("is named with the source", () => {
    expect(sourceLabel(of(live))).toBe("etcd cluster a at revision 1, read ");
    expect(sourceLabel(of(source("verified")))).toBe("snapshot f at revision 1 (digest verified)");
    expect(sourceLabel(of(source("absent")))).toContain("(no digest");
  });
});

describe("reports", () => {
  test("text names versions, plaintext and what was not looked at", async () => {
    const text = reportText(await evidenceOf("saved.snap"), (_, each) => each);
    for (const part of [
      "version 2",
      "version 3 (not derived)",
      "plaintext",
      "aescbc in the file",
      "33.3 %",
    ]) {
      expect(text).toContain(part);
    }
    expect(text).toContain("in plaintext only: 1 other resource with 1 object");
    expect(text).toContain("not looked at:");
  });

  test("HTML loads nothing, runs nothing, and escapes what objects are called", async () => {
    const evidence = await evidenceOf("saved.snap");
    const [audit] = evidence.audits;
    const html = reportHtml({
      ...evidence,
      audits: audit === undefined ? [] : [{ ...audit, prefix: "<script>alert(1)</script>" }],
    });
    expect(html).not.toContain("<script");
    expect(html).not.toMatch(/(?:src|href)=/);
    expect(html).toContain("&lt;script&gt;");
    expect(html.match(/<rect/g)?.length).toBe(5);
  });
});
