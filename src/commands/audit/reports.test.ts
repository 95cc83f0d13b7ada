import { describe, expect, test } from "bun:test";
import { type Evidence, type SourceAudit, type StoredGroup, sealEvidence } from "../../etcd/evidence.ts";
import { reportHtml } from "./report-html.ts";
import { reportText } from "./report-text.ts";
import { judgementOf } from "./run.ts";

const ours = (version: number, objects: number) => ({
  kind: "ours" as const,
  provider: "bao",
  keyId: `obk2.key-of-version-${version}`,
  version,
  versionFrom: "derived" as const,
  objects,
});
const plain = (objects: number): StoredGroup => ({ kind: "plaintext", objects });
const resource = (name: string, groups: StoredGroup[]): SourceAudit["resources"][number] => ({
  resource: name,
  objects: groups.reduce((sum, { objects }) => sum + objects, 0),
  groups,
});

const LIVE: SourceAudit["source"] = {
  kind: "etcd",
  clusterId: "abc",
  endpoints: ["https://10.0.0.1:2379"],
  revision: 1234,
  readAt: "2030-01-01T00:00:00.000Z",
  restarts: 0,
  apiServers: 3,
};

function audit(resources: SourceAudit["resources"], change: Partial<SourceAudit> = {}): SourceAudit {
  const groups = resources.flatMap((each) => each.groups);
  return {
    source: LIVE,
    prefix: "/registry/",
    objects: resources.reduce((sum, { objects }) => sum + objects, 0),
    resources,
    keyIds: groups.flatMap((group) =>
      group.kind === "ours"
        ? [{ keyId: group.keyId, version: group.version, versionFrom: "derived", objects: group.objects }]
        : [],
    ),
    ...change,
  };
}

function evidence(audits: SourceAudit[], configuration?: Evidence["configuration"]): Evidence {
  return sealEvidence({
    kind: "bao-kms-provider/audit",
    schemaVersion: 1,
    createdAt: "2030-01-01T00:00:00.000Z",
    providerVersion: "0.1.0",
    ...(configuration === undefined ? {} : { configuration }),
    audits,
    limitations: ["backups were not seen", "etcd of events was not seen"],
  });
}

const MIXED = audit(
  [
    resource("configmaps", [plain(1)]),
    resource("events", [plain(2)]),
    resource("leases", [ours(7, 1000), { kind: "unknown", objects: 1 }]),
    resource("secrets", [
      ours(7, 1_199_999),
      ours(6, 40),
      ours(5, 30),
      ours(4, 20),
      ours(3, 1),
      { kind: "kms_v2_other", provider: "cloud", keyId: "arn", objects: 5 },
      { kind: "kms_v1", provider: "old", objects: 4 },
      { kind: "local_key", transformer: "aescbc", keyName: "a-key-name-of-seventeen", objects: 3 },
      { kind: "local_key", transformer: "secretbox", keyName: "exactly-sixteen.", objects: 3 },
      plain(300_000),
      { kind: "damaged", provider: "bao", objects: 2 },
    ]),
  ],
  { seeds: 9 },
);
const GOOD = audit([resource("pods", [plain(1)]), resource("secrets", [ours(1, 2)])], {
  source: {
    kind: "snapshot",
    file: "/backup/etcd.db",
    sha256: "0".repeat(64),
    integrity: "absent",
    sizeBytes: 1,
    revision: 9,
    readAt: "2030-01-01T00:00:00.000Z",
  },
});
const EMPTY = audit([]);
const CONFIGURATION = { fingerprint: "0123-4567-89ab-cdef", providerName: "bao", clusterId: "cluster-a" };

describe.each<[string, Evidence]>([
  ["every kind of group", evidence([MIXED], CONFIGURATION)],
  ["a good snapshot beside an empty store, without a configuration", evidence([GOOD, EMPTY])],
])("%s", (_, given) => {
  test("as text", () => {
    expect(reportText(given, (tone, text) => `<${tone}>${text}</>`)).toMatchSnapshot();
  });

  test("as a page", () => {
    expect(reportHtml(given)).toMatchSnapshot();
  });
});

test("what the envelope of one object says, for each kind of group", () => {
  const foreign: StoredGroup = { ...ours(1, 1), versionFrom: "stated" };
  const groups: readonly (StoredGroup | undefined)[] = [
    undefined,
    ours(1, 1),
    foreign,
    ...(MIXED.resources[3]?.groups.slice(5) ?? []),
    { kind: "unknown", objects: 1 },
  ];
  expect(groups.map(judgementOf)).toEqual([
    "absent",
    "derivable",
    "not_derivable",
    "not_ours",
    "not_ours",
    "not_ours",
    "not_ours",
    "not_ours",
    "damaged",
    "damaged",
  ]);
});
