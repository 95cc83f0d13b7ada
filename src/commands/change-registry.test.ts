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
import { makeRotatedNode, type RotatedNode } from "../../test/fakes/rotated-node.ts";
import { systemClock } from "../base/clock.ts";
import { HIDDEN } from "../base/self-command.ts";
import { runAs } from "../base/spawn-as-user.ts";
import { deriveKeyId } from "../key/identity/key-id.ts";
import { RegistryError } from "../key/registry/errors.ts";
import { openConfiguredRegistry } from "../provider/registry.ts";
import { changeRegistry, encodeChange } from "./change-registry.ts";

const never = new AbortController().signal;
const SERVICE = { uid: 47_130, gid: 47_131, groups: [] };
const isRoot = process.geteuid?.() === 0;

describe.skipIf(!isRoot)("root applies what it planned, as the owner of the state directory", () => {
  let node: RotatedNode;
  beforeAll(async () => {
    node = await makeRotatedNode();
    chmodSync(node.directory, 0o755);
    chownSync(node.configPath, 0, SERVICE.gid);
    chownSync(node.at("identity.jwt"), SERVICE.uid, SERVICE.gid);
  });
  afterAll(() => node.dispose());
  beforeEach(async () => {
    await node.writeRegistry(["removed", "active"]);
    for (const name of ["", ...readdirSync(node.at("state"))]) {
      chownSync(node.at(`state/${name}`), SERVICE.uid, SERVICE.gid);
    }
  });

  const content = () => node.contentOf(["removed", "active"]);
  const change = (base: string | undefined) => changeRegistry(node.config(), base, content(), never);
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
    expect(node.states()).toEqual(["retired", "active"]);
    isServices();

    const words = ["--before-version", "2", "--override-reason", "test"];
    const retired = await type("retire-versions", ...words, ...apply(JSON.parse(restored.stdout).stateHash));
    expect(retired.stderr).toBe("");
    expect(JSON.parse(retired.stdout)).toMatchObject({ applied: true, remove: [1] });
    expect(node.states()).toEqual(["removed", "active"]);
    isServices();
    // The next plan, and the service's next start, read what was written.
    const next = JSON.parse((await type("restore-versions", "--versions", "1", "--output", "json")).stdout);
    expect(next.stateHash).toBe(JSON.parse(retired.stdout).stateHash);
  });

  test("rebuild-registry", async () => {
    for (const name of ["key-registry.json", "key-registry.json.checkpoint"]) {
      rmSync(node.at(`state/${name}`));
    }
    const words = ["--expected-key-id", deriveKeyId(node.identity, node.versions[1]), "--output", "json"];
    const { planHash } = JSON.parse((await type("rebuild-registry", ...words)).stdout);
    const done = await type("rebuild-registry", ...words, "--apply", "--expected-state-hash", planHash);
    expect(done).toMatchObject({ code: 0, stderr: "" });
    expect(node.states()).toEqual(["retired", "active"]);
    isServices();
  });

  test("a state that has changed is left as it is, with the store's own error", async () => {
    const before = readFileSync(node.at("state/key-registry.json"), "utf8");
    const other = "A".repeat(43);
    await expect(change(other)).rejects.toMatchObject({
      code: "registry_changed",
    });
    expect(readFileSync(node.at("state/key-registry.json"), "utf8")).toBe(before);
    await expect(change(undefined)).rejects.toMatchObject({
      code: "registry_changed",
    });
    rmSync(node.at("state/key-registry.json"));
    rmSync(node.at("state/key-registry.json.checkpoint"));
    await expect(change(other)).rejects.toMatchObject({
      code: "registry_lost",
    });
  });

  test("a state directory that is not there, or not the service's alone, is refused", async () => {
    chmodSync(node.at("state"), 0o770);
    await expect(change(undefined)).rejects.toMatchObject({
      code: "state_directory_unsafe",
    });
    chownSync(node.at("state"), 0, 0);
    await expect(change(undefined)).rejects.toMatchObject({
      code: "state_directory_unsafe",
    });
    rmSync(node.at("state"), { recursive: true });
    await expect(change(undefined)).rejects.toMatchObject({
      code: "state_directory_missing",
    });
    mkdirSync(node.at("state"));
  });

  test("a link of the service's to root's files is not written through", async () => {
    rmSync(node.at("state/key-registry.json"));
    rmSync(node.at("state/key-registry.json.checkpoint"));
    symlinkSync(node.at("roots"), node.at("state/key-registry.json.new"));
    await change(undefined);
    expect(existsSync(node.at("roots"))).toBe(false);
    isServices();
  });

  test("the writer is never root, and takes nothing but a change", async () => {
    const statePath = node.at("state/key-registry.json");
    const good = encodeChange({
      statePath,
      identity: content().identity,
      base: undefined,
      content: content(),
    });
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
    const store = openConfiguredRegistry(node.config(), { clock: systemClock, euid: 0 });
    const error = await store.load().catch((thrown: unknown) => thrown);
    expect(error instanceof RegistryError && error.advice).toBe(
      `run this as uid ${SERVICE.uid}, the owner of the state directory`,
    );
  });
});
