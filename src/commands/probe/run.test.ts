import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Harness, keyHandle, startHarness } from "../../../test/conformance/harness.ts";
import { recordedOutput } from "../../../test/fakes/recorded-output.ts";
import { run } from "../../cli/run.ts";
import type { KeyStatus } from "../../key/rotation/key-status.ts";
import { COMMANDS } from "../table.ts";
import { unprovenBy } from "./run.ts";

let provider: Harness;
beforeAll(async () => {
  provider = await startHarness();
});
afterAll(() => provider.stop());

async function probe(...words: readonly string[]) {
  const output = recordedOutput();
  const context = { output, environment: {}, callerEnvironment: {}, signal: new AbortController().signal };
  const code = await run(["probe", ...words], context, COMMANDS);
  return { code, stdout: output.stdout(), stderr: output.stderr() };
}

async function report(...words: readonly string[]) {
  const { code, stdout } = await probe(...words, "--output", "json");
  return { code, ...JSON.parse(stdout) };
}

const settled = (text: string): string => text.replace(/\d+\.\d ms/g, "N ms").replace(/note: .*\n/g, "");

describe("a provider that is well", () => {
  test("is probed, and the report names its key_id", async () => {
    const { code, stdout } = await probe("--socket", provider.path);
    expect(code).toBe(0);
    expect(settled(stdout)).toMatchSnapshot();
    expect(await report("--socket", provider.path)).toMatchObject({
      good: true,
      host: expect.any(String),
      checkedAt: expect.stringMatching(/^\d{4}-.*Z$/),
      keyId: keyHandle(2).keyId,
      healthz: "ok",
      caller: { uid: process.geteuid?.() },
      tookMs: { status: expect.any(Number), encrypt: expect.any(Number), decrypt: expect.any(Number) },
    });
  });

  test("shows the expected key_id, or fails", async () => {
    expect((await probe("--socket", provider.path, "--expected-key-id", keyHandle(2).keyId)).code).toBe(0);
    const { code, checks } = await report("--socket", provider.path, "--expected-key-id", keyHandle(1).keyId);
    expect(code).toBe(4);
    expect(checks).toContainEqual(
      expect.objectContaining({
        id: "probe.key_id",
        findings: [expect.objectContaining({ code: "key_id_differs" })],
      }),
    );
  });

  test("is compared with others by their reports", async () => {
    const directory = mkdtempSync(join(tmpdir(), "compare-"));
    try {
      const { stdout } = await probe("--socket", provider.path, "--output", "json");
      const at = (name: string): string => join(directory, name);
      const write = (name: string, change: object): string => {
        writeFileSync(at(name), JSON.stringify({ ...JSON.parse(stdout), host: name, ...change }), {
          mode: 0o600,
        });
        return at(name);
      };
      const same = [write("cp-1", {}), write("cp-2", {}), write("cp-3", {})];
      const other = write("cp-4", { keyId: "another" });
      expect((await probe("--compare", ...same)).code).toBe(0);
      expect((await probe("--compare", ...same, "--compare", other)).code).toBe(4);
      expect((await probe(`--compare=${same[0]}`, other)).code).toBe(4);
      expect((await probe("--compare", at("absent"))).code).toBe(3);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test.each([[], ["--while-process", String(process.pid)]])("is waited for %p", async (...words) => {
    const directory = mkdtempSync(join(tmpdir(), "later-"));
    const path = join(directory, "kms.sock");
    const timer = setTimeout(() => symlinkSync(provider.path, path), 50);
    try {
      expect((await probe("--socket", path, "--wait-socket", "20s", ...words)).code).toBe(0);
    } finally {
      clearTimeout(timer);
      rmSync(directory, { recursive: true });
    }
  });

  const { keyId } = keyHandle(2);
  const starting: readonly (readonly [string, KeyStatus])[] = [
    ["has not read the key yet", { kind: "known", keyId, healthz: "starting" }],
    ["knows no version yet", { kind: "none", errorClass: "status_stale" }],
  ];
  test.each(starting)("is waited for while it %s, and then probed", async (_, first) => {
    let asked = 0;
    provider.keys.override = {
      status: () => (++asked < 3 ? first : { kind: "known", keyId, healthz: "ok" }),
    };
    const { code, healthz } = await report("--socket", provider.path, "--wait-socket", "20s");
    provider.keys.override = {};
    expect([code, healthz, asked]).toEqual([0, "ok", 4]);
  });

  test.each(starting)("is not waited for without --wait-socket while it %s", async (_, first) => {
    provider.keys.override = { status: () => first };
    const { code } = await report("--socket", provider.path);
    provider.keys.override = {};
    expect(code).toBe(4);
  });

  const settledStates: readonly (readonly [string, KeyStatus])[] = [
    ["a reason in healthz", { kind: "known", keyId, healthz: "openbao_unavailable" }],
    ["a lost key", { kind: "lost", errorClass: "transit_key_missing" }],
  ];
  test.each(settledStates)("%s ends the wait at once", async (_, status) => {
    let asked = 0;
    provider.keys.override = {
      status: () => {
        asked++;
        return status;
      },
    };
    const { code } = await report("--socket", provider.path, "--wait-socket", "20s");
    provider.keys.override = {};
    expect([code, asked]).toEqual([4, 2]);
  });
});

describe("a provider that is not", () => {
  const codeOf = (checks: readonly { readonly findings: readonly { readonly code: string }[] }[]) =>
    checks.flatMap(({ findings }) => findings.map(({ code }) => code));

  test("healthz of another word", async () => {
    provider.keys.override = {
      status: () => ({ kind: "known", keyId: keyHandle(2).keyId, healthz: "sealed" }),
    };
    const { code, checks } = await report("--socket", provider.path);
    provider.keys.override = {};
    expect(code).toBe(4);
    expect(codeOf(checks)).toEqual(["not_healthy"]);
  });

  test("an error from Status skips the rest", async () => {
    provider.keys.override = { status: () => ({ kind: "lost", errorClass: "transit_key_missing" }) };
    const began = performance.now();
    const { code, checks } = await report("--socket", provider.path, "--wait-socket", "60s");
    provider.keys.override = {};
    expect(code).toBe(4);
    expect(performance.now() - began).toBeLessThan(30_000);
    expect(codeOf(checks)).toEqual(["call_refused"]);
    expect(checks.at(-1)).toMatchObject({ id: "probe.decrypt", status: "skipped" });
  });

  test("another plaintext", async () => {
    provider.transit.override = { decrypt: async () => Buffer.alloc(32) };
    const { code, checks } = await report("--socket", provider.path);
    provider.transit.override = {};
    expect(code).toBe(4);
    expect(codeOf(checks)).toEqual(["round_trip_differs"]);
  });

  const directory = mkdtempSync(join(tmpdir(), "probe-"));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  writeFileSync(join(directory, "file"), "");

  test.each([
    ["missing", "socket_missing"],
    ["file", "socket_not_listening"],
  ])("a socket that is a %s", async (name, wanted) => {
    const { code, checks } = await report("--socket", join(directory, name));
    expect(code).toBe(4);
    expect(codeOf(checks)).toEqual([wanted]);
    const { keyId, healthz, tookMs } = await report("--socket", join(directory, name));
    expect({ keyId, healthz, ...tookMs }).toEqual({
      keyId: "",
      healthz: null,
      status: null,
      encrypt: null,
      decrypt: null,
    });
  });

  test("a wait ends at its time", async () => {
    const { code } = await probe("--socket", join(directory, "missing"), "--wait-socket", "50ms");
    expect(code).toBe(4);
  });

  test("a wait ends when the process that would answer is gone", async () => {
    const gone = Bun.spawn(["true"]);
    await gone.exited;
    const began = performance.now();
    const { code } = await probe(
      "--socket",
      join(directory, "missing"),
      "--wait-socket",
      "20s",
      "--while-process",
      String(gone.pid),
    );
    expect(code).toBe(4);
    expect(performance.now() - began).toBeLessThan(5000);
  });
});

test("a person gets a note about what is not proven, a unit that waits for its own process gets none", async () => {
  const wait = ["--wait-socket", "5s", "--while-process", String(process.pid)];
  expect((await probe("--socket", provider.path)).stdout).toContain("\nnote: ");
  expect((await probe("--socket", provider.path, ...wait)).stdout).not.toContain("note: ");
  expect((await report("--socket", provider.path, ...wait)).unproven).toHaveLength(1);
});

test("what root and the owner cannot prove is said", () => {
  expect(unprovenBy(0, provider.path)).toHaveLength(1);
  expect(unprovenBy(12_345, provider.path)).toHaveLength(0);
});

describe.skipIf(process.geteuid?.() !== 0)("--as-apiserver", () => {
  const UID = 47_180;
  const directory = mkdtempSync(join(tmpdir(), "as-apiserver-"));
  chmodSync(directory, 0o755);
  const program = join(directory, "kube-apiserver");
  copyFileSync(Bun.which("sleep") ?? "/bin/sleep", program);
  chmodSync(program, 0o755);
  let server: Bun.Subprocess;
  beforeAll(async () => {
    server = Bun.spawn([program, "60"], { uid: UID, gid: UID, env: {}, cwd: "/" });
    while (readFileSync(`/proc/${server.pid}/comm`, "utf8") !== "kube-apiserver\n") {
      await Bun.sleep(5);
    }
  });
  afterAll(async () => {
    server.kill("SIGKILL");
    await server.exited;
    rmSync(directory, { recursive: true, force: true });
  });
  const words = (socket: string) => [
    "--as-apiserver",
    "--apiserver-pid",
    String(server.pid),
    "--socket",
    socket,
  ];

  test("probes with its identity, and passes on what the probe says and how it ends", async () => {
    const options = ["--output", "json", "--wait-socket", "1ms", "--expected-key-id", "other"];
    const { code, stdout, stderr } = await probe(...words("/nonexistent/kms.sock"), ...options);
    expect(code).toBe(4);
    expect(stderr).toBe(`kube-apiserver is process ${server.pid}, uid ${UID}, gid ${UID}\n`);
    expect(JSON.parse(stdout)).toMatchObject({
      good: false,
      socket: "/nonexistent/kms.sock",
      caller: { uid: UID, gid: UID, groups: [] },
    });
  });

  test("reaches a socket that its user may connect to", async () => {
    chmodSync(dirname(provider.path), 0o755);
    chmodSync(provider.path, 0o666);
    const { code, stdout } = await probe(...words(provider.path));
    expect(code).toBe(0);
    expect(stdout).toContain("probe.decrypt");
  });

  test("a refused option of the child is passed on", async () => {
    const { code, stderr } = await probe(...words(""));
    expect(code).toBe(2);
    expect(stderr).toContain("--socket");
  });

  test("what is not believed is named with its reason", async () => {
    const { code, stderr } = await probe("--as-apiserver", "--apiserver-pid", "1");
    expect(code).toBe(3);
    expect(stderr).toContain("process 1 is not named kube-apiserver");
  });
});

test.skipIf(process.geteuid?.() === 0)("--as-apiserver is for root", async () => {
  expect((await probe("--as-apiserver")).code).toBe(3);
});
