/** --apply under real permissions: root runs the command, the state directory and the credential are the service's. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { makeNodeFiles, type NodeFiles } from "../../test/fakes/node-files.ts";
import { systemClock } from "../base/clock.ts";
import { runAs } from "../base/run-as.ts";
import { HIDDEN } from "../base/self-command.ts";
import { decodeConfig } from "../config/decode-config.ts";
import { fingerprint, identityHashes } from "../key/identity/fingerprint.ts";
import { deriveKeyId } from "../key/identity/key-id.ts";
import { RegistryError } from "../key/registry/errors.ts";
import type { RegistryContent } from "../key/registry/record.ts";
import { configIdentity } from "../provider/config-identity.ts";
import { openOperatorAccess } from "../provider/operator.ts";
import { openRegistry } from "../provider/registry.ts";
import { changeRegistry } from "./apply-registry-change.ts";
import { encodeChange } from "./registry-change.ts";

const never = new AbortController().signal;
const SERVICE = { uid: 47_130, gid: 47_131, groups: [] };
const isRoot = process.geteuid?.() === 0;

describe.skipIf(!isRoot)("root applies what it planned, as the owner of the state directory", () => {
  let node: NodeFiles;
  let content: RegistryContent;
  let keyId: string;

  beforeAll(async () => {
    node = await makeNodeFiles();
    chmodSync(node.directory, 0o755);
    await node.operator.must("POST", `${node.names.mount}/keys/${node.names.keyName}/rotate`, {});
    chownSync(node.configPath, 0, SERVICE.gid);
    chownSync(node.at("identity.jwt"), SERVICE.uid, SERVICE.gid);
  });
  afterAll(() => node.dispose());

  const config = () => decodeConfig(readFileSync(node.configPath), "test").config;
  const own = (path: string): void => {
    chownSync(path, SERVICE.uid, SERVICE.gid);
  };

  beforeEach(async () => {
    rmSync(node.at("state"), { recursive: true });
    mkdirSync(node.at("state"), { mode: 0o750 });
    const identity = configIdentity(config());
    const access = await openOperatorAccess(config(), SERVICE.uid);
    const { versions } = await access.transit.readKey(never);
    await access.close();
    const [first, second] = versions;
    if (first === undefined || second === undefined) {
      throw new Error("the key was not rotated");
    }
    keyId = deriveKeyId(identity, second);
    content = {
      identity: identityHashes(identity),
      fingerprint: fingerprint(identity),
      versions: [
        { ...first, state: "removed", firstSeenUnixMs: 1 },
        { ...second, state: "active", firstSeenUnixMs: 2, activatedUnixMs: 3 },
      ],
    };
    const store = openRegistry({ config: config(), clock: systemClock, euid: 0, access: "write" });
    await store.commit(undefined, content, never);
    own(node.at("state"));
    for (const name of readdirSync(node.at("state"))) {
      own(node.at(`state/${name}`));
    }
  });

  const states = (): unknown =>
    JSON.parse(readFileSync(node.at("state/key-registry.json"), "utf8")).body.versions.map(
      ({ state }: { state: string }) => state,
    );
  const type = (command: string, ...words: readonly string[]) =>
    node.type(command, "--config", node.configPath, ...words);
  const isServices = (): void => {
    for (const name of ["", ...readdirSync(node.at("state"))]) {
      expect(statSync(node.at(`state/${name}`))).toMatchObject({ uid: SERVICE.uid, gid: SERVICE.gid });
    }
    expect(statSync(node.at("state/key-registry.json")).mode & 0o777).toBe(0o600);
  };

  test("restore-versions, and retire-versions after it", async () => {
    const plan = JSON.parse((await type("restore-versions", "--versions", "1", "--output", "json")).stdout);
    const apply = (hash: string) => ["--apply", "--expected-state-hash", hash, "--output", "json"];
    const restored = await type("restore-versions", "--versions", "1", ...apply(plan.stateHash));
    expect(restored).toMatchObject({ code: 0, stderr: "" });
    expect(JSON.parse(restored.stdout).applied).toBe(true);
    expect(states()).toEqual(["retired", "active"]);
    isServices();

    const words = ["--before-version", "2", "--override-reason", "test"];
    const retired = await type("retire-versions", ...words, ...apply(JSON.parse(restored.stdout).stateHash));
    expect(retired.stderr).toBe("");
    expect(JSON.parse(retired.stdout)).toMatchObject({ applied: true, remove: [1] });
    expect(states()).toEqual(["removed", "active"]);
    isServices();
    // The next plan, and the service's next start, read what was written.
    const next = JSON.parse((await type("restore-versions", "--versions", "1", "--output", "json")).stdout);
    expect(next.stateHash).toBe(JSON.parse(retired.stdout).stateHash);
  });

  test("rebuild-registry", async () => {
    for (const name of ["key-registry.json", "key-registry.json.checkpoint"]) {
      rmSync(node.at(`state/${name}`));
    }
    const words = ["--expected-key-id", keyId, "--output", "json"];
    const { planHash } = JSON.parse((await type("rebuild-registry", ...words)).stdout);
    const done = await type("rebuild-registry", ...words, "--apply", "--expected-state-hash", planHash);
    expect(done).toMatchObject({ code: 0, stderr: "" });
    expect(states()).toEqual(["retired", "active"]);
    isServices();
  });

  test("a state that has changed is left as it is, with the store's own error", async () => {
    const before = readFileSync(node.at("state/key-registry.json"), "utf8");
    const other = "A".repeat(43);
    await expect(changeRegistry(config(), other, content, never)).rejects.toMatchObject({
      code: "registry_changed",
    });
    expect(readFileSync(node.at("state/key-registry.json"), "utf8")).toBe(before);
    await expect(changeRegistry(config(), undefined, content, never)).rejects.toMatchObject({
      code: "registry_changed",
    });
    rmSync(node.at("state/key-registry.json"));
    rmSync(node.at("state/key-registry.json.checkpoint"));
    await expect(changeRegistry(config(), other, content, never)).rejects.toMatchObject({
      code: "registry_lost",
    });
  });

  test("a state directory that is not there, or not the service's alone, is refused", async () => {
    chmodSync(node.at("state"), 0o770);
    await expect(changeRegistry(config(), undefined, content, never)).rejects.toMatchObject({
      code: "state_directory_unsafe",
    });
    chownSync(node.at("state"), 0, 0);
    await expect(changeRegistry(config(), undefined, content, never)).rejects.toMatchObject({
      code: "state_directory_unsafe",
    });
    rmSync(node.at("state"), { recursive: true });
    await expect(changeRegistry(config(), undefined, content, never)).rejects.toMatchObject({
      code: "state_directory_missing",
    });
    mkdirSync(node.at("state"));
  });

  test("a link of the service's to root's files is not written through", async () => {
    rmSync(node.at("state/key-registry.json"));
    rmSync(node.at("state/key-registry.json.checkpoint"));
    symlinkSync(node.at("roots"), node.at("state/key-registry.json.new"));
    await changeRegistry(config(), undefined, content, never);
    expect(existsSync(node.at("roots"))).toBe(false);
    isServices();
  });

  test("the writer is never root, and takes nothing but a change", async () => {
    const change = { statePath: node.at("state/key-registry.json"), base: undefined };
    const good = encodeChange({ ...change, identity: content.identity, content });
    const run = (input: string, identity = SERVICE) =>
      runAs({ identity, args: [HIDDEN.writeRegistry], input, maxBytes: 4096, signal: never });
    expect(await run(good, { uid: 0, gid: 0, groups: [] })).toMatchObject({ code: 2, stdout: "" });
    expect(await run("")).toMatchObject({ code: 2, stdout: "" });
    expect(await run(`${good}x`)).toMatchObject({ code: 2, stdout: "" });
    // Another user cannot write there.
    const stranger = await run(good, { uid: SERVICE.uid + 1, gid: 1, groups: [] });
    expect(stranger.code).toBe(1);
    expect(JSON.parse(stranger.stdout)).toMatchObject({ ok: false, code: "state_directory_unsafe" });
  });

  test("the advice never makes root the owner", async () => {
    const store = openRegistry({ config: config(), clock: systemClock, euid: 0, access: "write" });
    const error = await store.load().catch((thrown: unknown) => thrown);
    expect(error instanceof RegistryError && error.advice).toBe(
      `run this as uid ${SERVICE.uid}, the owner of the state directory`,
    );
  });
});
