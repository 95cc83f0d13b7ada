/** @module Mutations that no rule makes, of lines that matter. Each text is on exactly one line below its path, or the script fails. */
export const NAMED: Readonly<Record<string, readonly (readonly [before: string, after: string])[]>> = {
  "src/kms/service.ts": [['.toString("latin1")', '.toString("ascii")']],
  "src/kms/": [
    ["        checkEncryptResponse(reply);", ""],
    ["        checkOwnAnnotations(key);", ""],
  ],
  "src/server/socket/": [
    ["stat.dev !== checked.device || stat.ino !== checked.inode", "false"],
    ["visible?.ino !== made.ino || visible.dev !== made.dev", "false"],
    ["O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW", "O_WRONLY | O_CREAT"],
    ["constants.O_DIRECTORY | constants.O_NOFOLLOW |", "constants.O_DIRECTORY |"],
    ['errnoOf(error) === "ECONNREFUSED"', "true"],
    ["stat.gid === BigInt(file.groupGid) &&", ""],
  ],
  "src/base/environment.ts": [["const UMASK = 0o027;", "const UMASK = 0o022;"]],
  "src/base/safe-file.ts": [
    ["(mode & 0o007) !== 0", "(mode & 0o004) !== 0"],
    ["(secret ? constants.O_NOFOLLOW : 0)", "0"],
  ],
  "src/base/drop-privileges.ts": [
    ["    process.seteuid?.(owner.uid);", ""],
    ["    process.setgroups?.([]);", ""],
  ],
  "src/base/spawn-as-user.ts": [
    ["    env: {},", ""],
    ["    detached: true,", ""],
  ],
  "src/commands/probe/": [["stats.isFile() && stats.uid === 0 &&", "stats.isFile() &&"]],
  "src/commands/change-registry.ts": [["euid === 0 ? undefined : ", ""]],
  "src/key/registry/": [
    ["previousHashes.at(-steps) === base.hash", "previousHashes.length > 0"],
    ["record.previousHashes.at(-1) === checkpoint.hash", "true"],
    [
      "const problem = descends ? successorProblem(base.record, record)",
      "const problem = descends ? undefined",
    ],
    ["sync: () => handle.sync(),", "sync: async () => {},"],
  ],
  "src/base/sorted-copy.ts": [["if (FORBIDDEN_KEYS.has(key)) {", "if (false) {"]],
  "src/key/rotation/": [["MARKER.equals(first) && ", ""]],
  "src/openbao/transit/": [["parsed.output.batch_results.length !== inputs.length", "false"]],
  "src/openbao/auth/": [
    ["each.verify(issuer.publicKey)", "true"],
    ["(issuer.ca && ", "("],
    ["const alive = [...this.#replaced, ", "const alive = ["],
  ],
  "src/openbao/client/": [
    ["return probe ? open(Math.min(state.openings + 1, 10)) : state;", "return open(state.openings + 1);"],
  ],
  "src/etcd/bolt/": [
    [
      "first.transaction > second.transaction ? first : second",
      "first.transaction < second.transaction ? first : second",
    ],
  ],
  "src/etcd/": [
    ["if (digestOf(body) !== digest) {", "if (false) {"],
    ["used >= slots * MAX_LOAD", "false"],
    ["const MAX_GROUPS = 20_000;", "const MAX_GROUPS = 20_000_000;"],
  ],
  "src/commands/audit/": [['"<": "&lt;",', '"<": "<",']],
  "src/pkcs11/": [['"PRAGMA synchronous = EXTRA"', '"PRAGMA synchronous = OFF"']],
};
