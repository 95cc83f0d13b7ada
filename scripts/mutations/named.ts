/** @module Mutations that no rule makes, of lines that matter. `before` is on exactly one line below `under`, or the script fails. */
export interface NamedMutation {
  readonly under: string;
  readonly before: string;
  readonly after: string;
}

export const NAMED: readonly NamedMutation[] = [
  { under: "src/kms/service.ts", before: '.toString("latin1")', after: '.toString("ascii")' },
  { under: "src/kms/", before: "        checkEncryptResponse(reply);", after: "" },
  { under: "src/kms/", before: "        checkOwnAnnotations(key);", after: "" },
  {
    under: "src/server/socket/",
    before: "stat.dev !== checked.device || stat.ino !== checked.inode",
    after: "false",
  },
  {
    under: "src/server/socket/",
    before: "visible?.ino !== made.ino || visible.dev !== made.dev",
    after: "false",
  },
  {
    under: "src/server/socket/",
    before: "O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW",
    after: "O_WRONLY | O_CREAT",
  },
  {
    under: "src/server/socket/",
    before: "constants.O_DIRECTORY | constants.O_NOFOLLOW |",
    after: "constants.O_DIRECTORY |",
  },
  { under: "src/server/socket/", before: 'errnoOf(error) === "ECONNREFUSED"', after: "true" },
  { under: "src/server/socket/", before: "stat.gid === BigInt(file.groupGid) &&", after: "" },
  { under: "src/base/environment.ts", before: "const UMASK = 0o027;", after: "const UMASK = 0o022;" },
  { under: "src/base/safe-file.ts", before: "(mode & 0o007) !== 0", after: "(mode & 0o004) !== 0" },
  { under: "src/base/safe-file.ts", before: "(secret ? constants.O_NOFOLLOW : 0)", after: "0" },
  { under: "src/base/privileges.ts", before: "    process.seteuid?.(owner.uid);", after: "" },
  { under: "src/base/privileges.ts", before: "    process.setgroups?.([]);", after: "" },
  { under: "src/base/run-as.ts", before: "    env: {},", after: "" },
  { under: "src/base/run-as.ts", before: "    detached: true,", after: "" },
  {
    under: "src/commands/probe/",
    before: "stats.isFile() && stats.uid === 0 &&",
    after: "stats.isFile() &&",
  },
  { under: "src/commands/change-registry.ts", before: "euid === 0 ? undefined : ", after: "" },
  {
    under: "src/key/registry/",
    before: "previousHashes.at(-steps) === base.hash",
    after: "previousHashes.length > 0",
  },
  { under: "src/key/registry/", before: "record.previousHashes.at(-1) === checkpoint.hash", after: "true" },
  {
    under: "src/key/registry/",
    before: "const problem = descends ? successorProblem(base.record, record)",
    after: "const problem = descends ? undefined",
  },
  { under: "src/key/registry/", before: "sync: () => handle.sync(),", after: "sync: async () => {}," },
  { under: "src/base/sorted-copy.ts", before: "if (FORBIDDEN_KEYS.has(key)) {", after: "if (false) {" },
  { under: "src/key/rotation/", before: "MARKER.equals(first) && ", after: "" },
  {
    under: "src/openbao/transit/",
    before: "parsed.output.batch_results.length !== inputs.length",
    after: "false",
  },
  { under: "src/openbao/auth/", before: "each.verify(issuer.publicKey)", after: "true" },
  { under: "src/openbao/auth/", before: "(issuer.ca && ", after: "(" },
  { under: "src/openbao/auth/", before: "const alive = [...this.#retired, ", after: "const alive = [" },
  {
    under: "src/openbao/client/",
    before: "return probe ? open(Math.min(state.openings + 1, 10)) : state;",
    after: "return open(state.openings + 1);",
  },
  {
    under: "src/etcd/bolt/",
    before: "first.transaction > second.transaction ? first : second",
    after: "first.transaction < second.transaction ? first : second",
  },
  { under: "src/etcd/", before: "if (digestOf(body) !== digest) {", after: "if (false) {" },
  { under: "src/etcd/", before: "used >= slots * MAX_LOAD", after: "false" },
  { under: "src/etcd/", before: "const MAX_GROUPS = 20_000;", after: "const MAX_GROUPS = 20_000_000;" },
  { under: "src/commands/audit/", before: '"<": "&lt;",', after: '"<": "<",' },
  { under: "src/pkcs11/", before: '"PRAGMA synchronous = EXTRA"', after: '"PRAGMA synchronous = OFF"' },
];
