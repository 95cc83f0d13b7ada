/** @module Mutations by rule that change nothing observable, each with its reason. An entry whose line is gone has no effect. */
import type { Mutation } from "./mutate.ts";

/** `before` is the line without its indentation, `after` what the rule makes of it. */
interface Equivalent extends Pick<Mutation, "file" | "before" | "after"> {
  readonly reason: string;
}

export const EQUIVALENT: readonly Equivalent[] = [
  {
    file: "src/base/repeat.ts",
    before: "if (this.#pause.endMs > this.#clock.monotonicMs() + ms) {",
    after: "if (this.#pause.endMs >= this.#clock.monotonicMs() + ms) {",
    reason: "a pause that ends then already is begun again and ends at the same time",
  },
  {
    file: "src/commands/change-registry.ts",
    before: "const MAX_OUTCOME_BYTES = 64 * 1024;",
    after: "const MAX_OUTCOME_BYTES = 65 * 1024;",
    reason: "the largest outcome has less than 50 KiB",
  },
  {
    file: "src/commands/probe/run.ts",
    before: "const MAX_CHILD_BYTES = 64 * 1024;",
    after: "const MAX_CHILD_BYTES = 65 * 1024;",
    reason: "the largest report of a probe is far below both",
  },
  {
    file: "src/commands/doctor/checks/kms.ts",
    before: "client.close();",
    after: ";",
    reason: "the server that stops next closes the connection",
  },
  {
    file: "src/etcd/bolt/file.ts",
    before:
      "const { pageBytes, rootPage, pageCount } = first.transaction > second.transaction ? first : second;",
    after:
      "const { pageBytes, rootPage, pageCount } = first.transaction >= second.transaction ? first : second;",
    reason: "two equal transactions are refused two lines above",
  },
  {
    file: "src/etcd/bolt/tree.ts",
    before: "if (nodeBytes > buffer.length) {",
    after: "if (nodeBytes >= buffer.length) {",
    reason: "a buffer of the right size is copied once more",
  },
  {
    file: "src/etcd/reader/key-digest-set.ts",
    before: "if (used >= slots * MAX_LOAD) {",
    after: "if (used > slots * MAX_LOAD) {",
    reason: "0.7 of a power of two is never a whole number",
  },
  {
    file: "src/telemetry/recorders.ts",
    before: "const MAX_ZEROED_SERIES = 8;",
    after: "const MAX_ZEROED_SERIES = 9;",
    reason: "no counter of the table has eight or nine combinations of labels",
  },
  {
    file: "src/telemetry/recorders.ts",
    before: "if (closed.length <= MAX_ZEROED_SERIES) {",
    after: "if (closed.length < MAX_ZEROED_SERIES) {",
    reason: "no counter of the table has eight combinations of labels",
  },
  {
    file: "src/http/ca-file.ts",
    before: "if (isSameFile(identity, current.identity)) {",
    after: "if (false) {",
    reason: "the same file has the same certificates; the check only saves decoding them",
  },
  {
    file: "src/key/rotation/live-key-writer.ts",
    before: 'const answer = { kind: "key", key, upsertDisabled: true } as const;',
    after: 'const answer = { kind: "key", key, upsertDisabled: false } as const;',
    reason: "only findings of another effect than that of enabled upsert count here",
  },
  {
    file: "src/key/rotation/live-key-writer.ts",
    before: "if (this.state.key === undefined) {",
    after: "if (false) {",
    reason: "a look-up is made only with a key, and a key stays; the check is for the compiler",
  },
  {
    file: "src/key/rotation/key-probe.ts",
    before: "if (key === undefined) {",
    after: "if (false) {",
    reason: "a probe goes deep only after one that made or found the key; the check is for the compiler",
  },
  {
    file: "src/key/rotation/key-state.ts",
    before: "let isLookingUp = false;",
    after: "let isLookingUp = true;",
    reason: "the first look-up is allowed either way, and sets it",
  },
  {
    file: "src/key/rotation/plan-rebuild.ts",
    before:
      'each.version === active.version ? "active" : each.version > active.version ? "pending" : "retired",',
    after:
      'each.version === active.version ? "active" : each.version >= active.version ? "pending" : "retired",',
    reason: "the equal version is the active one, decided before",
  },
  {
    file: "src/key/rotation/plan-retire.ts",
    before: "ageMs < 0",
    after: "ageMs <= 0",
    reason: "an age of 0 does not get there",
  },
  {
    file: "src/key/rotation/plan-retire.ts",
    before:
      'const removed = content.versions.filter(({ version, state }) => state === "removed" && version < lowest);',
    after:
      'const removed = content.versions.filter(({ version, state }) => state === "removed" && version <= lowest);',
    reason: "no version is removed and kept",
  },
];
