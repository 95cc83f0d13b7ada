/** The bounds of the registry at their edges, whose directory is trusted, and how long another writer is waited for. */
import { expect, test } from "bun:test";
import { crashDisk } from "../../../test/fakes/crash-disk.ts";
import { codeOf } from "../../../test/fakes/key-node-questions.ts";
import { manualClock } from "../../../test/fakes/manual-clock.ts";
import { rotated, testFirstContent, testIdentity } from "../../../test/fakes/registry-fixture.ts";
import { identityHashes } from "../identity/fingerprint.ts";
import { decodeRecord, encodeRecord } from "./encoding.ts";
import { isRegistryError } from "./errors.ts";
import type { FileFacts } from "./file-system.ts";
import { MAX_REGISTRY_BYTES, type RegistryRecord } from "./record.ts";
import { checkStateDirectory } from "./state-files.ts";
import { takeLock } from "./writer-lock.ts";

const record: RegistryRecord = { ...rotated(testFirstContent), generation: 1, previousHashes: [] };

/** A record whose file has so many bytes, by a field of a newer release. */
function ofSize(bytes: number): RegistryRecord {
  const padded = (pad: number) => ({ ...record, future: "x".repeat(pad) });
  return padded(bytes - encodeRecord(padded(0)).bytes.length);
}

test("a registry of the largest size is written and read, one byte more is neither", () => {
  const { bytes } = encodeRecord(ofSize(MAX_REGISTRY_BYTES));
  expect(bytes.length).toBe(MAX_REGISTRY_BYTES);
  expect(decodeRecord(bytes).kind).toBe("record");
  expect(codeOf(() => encodeRecord(ofSize(MAX_REGISTRY_BYTES + 1)))).toBe("registry_too_large");
});

test("a registry that breaks its rules is not written", () => {
  expect(codeOf(() => encodeRecord({ ...record, versions: [] }))).toBe("registry_invariant");
});

const directory = (uid: number, mode: number): FileFacts => ({
  kind: "directory",
  uid,
  mode,
  sizeBytes: 0,
  identity: "",
});

test.each<readonly [string, FileFacts, "read" | "write", number, string]>([
  ["its own", directory(1000, 0o750), "write", 1000, "done"],
  ["open to its group's writes", directory(1000, 0o770), "write", 1000, "state_directory_unsafe"],
  ["open to the writes of all", directory(1000, 0o752), "write", 1000, "state_directory_unsafe"],
  ["of another user", directory(1001, 0o750), "read", 1000, "state_directory_unsafe"],
  ["of another user, for root to read", directory(1001, 0o750), "read", 0, "done"],
  ["of another user, for root to write", directory(1001, 0o750), "write", 0, "state_directory_unsafe"],
  ["of root, to read", directory(0, 0o750), "read", 1000, "done"],
  ["of root, to write", directory(0, 0o750), "write", 1000, "state_directory_unsafe"],
  ["a file", { ...directory(1000, 0o640), kind: "file" }, "write", 1000, "state_directory_unsafe"],
])("a state directory that is %s", async (_, facts, access, euid, expected) => {
  const { files } = crashDisk("/state");
  const checked = checkStateDirectory({
    statePath: "/state/key-registry.json",
    identity: identityHashes(testIdentity),
    access,
    euid,
    files: { ...files, stat: () => Promise.resolve(facts) },
  });
  const outcome = await checked.then(
    () => "done",
    (error: unknown) => (isRegistryError(error) ? error.code : String(error)),
  );
  expect(outcome).toBe(expected);
});

test("another writer is waited for as long as configured, and a stop ends the wait with its reason", async () => {
  const clock = manualClock();
  const { files } = crashDisk("/state");
  const wait = (signal: AbortSignal) =>
    takeLock(
      { statePath: "/state/key-registry.json", files, clock, tryLock: () => undefined, lockWaitMs: 60 },
      signal,
    ).then(
      () => "taken",
      (error: unknown) => (isRegistryError(error) ? error.code : String(error)),
    );
  let outcome = "waits";
  const waiting = wait(new AbortController().signal).then((each) => {
    outcome = each;
    return each;
  });
  await clock.advance(59);
  expect(outcome).toBe("waits");
  await clock.advance(1);
  expect(await waiting).toBe("registry_locked");

  const stop = new AbortController();
  const stopped = wait(stop.signal);
  await clock.advance(30);
  stop.abort("the provider stops");
  expect(await stopped).toBe("the provider stops");
  expect(clock.sleeping).toBe(0);
});
