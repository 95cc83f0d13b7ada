/**
 * No secret leaves the compiled executable: each one is a canary that is looked for, in several encodings, in everything that
 * can be seen from outside while calls succeed, fail and OpenBao misbehaves.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { makeFakeOpenBao } from "../fakes/openbao/fake-openbao.ts";
import { faults } from "../fakes/openbao/faults.ts";
import { runCommand } from "../harness/command.ts";
import { builtExecutable } from "../harness/executable.ts";
import { untilNotOk, untilOk } from "../harness/outage.ts";
import type { Provider } from "../harness/provider.ts";
import { type ProviderOnStandIn, startOnStandIn } from "./provider-on-stand-in.ts";

/** A log line that an attacker would like to write. */
const FORGED = 'x"}\n{"level":"info","message":"forged.line"}';
const REMOTE_TEXT = "canary-remote-text-6b1f";

describe("canaries", () => {
  const openbao = makeFakeOpenBao({ rootToken: `s.${randomBytes(12).toString("hex")}` });
  const seed = new Uint8Array(randomBytes(32));
  let stage: ProviderOnStandIn;
  let provider: Provider;
  /** What callers were told. */
  const replies: string[] = [];

  /** The call's error as a caller sees it, kept for the search. */
  async function failing(call: Promise<unknown>): Promise<void> {
    try {
      await call;
    } catch (error) {
      replies.push(error instanceof Error ? `${error.message} ${JSON.stringify(error)}` : "");
    }
  }

  async function command(...args: readonly string[]): Promise<string> {
    const { stdout, stderr } = await runCommand([builtExecutable(), ...args], {
      cwd: "/",
      env: { PATH: "/usr/bin:/bin" },
      timeoutMs: 20_000,
    });
    return stdout + stderr;
  }

  beforeAll(async () => {
    stage = await startOnStandIn(
      {
        openbao: { timeout: "500ms" },
        logging: {
          level: "debug",
          debugCorrelation: { enabled: true, ttl: "15m", incidentId: "INC-1" },
        },
      },
      openbao,
    );
    ({ provider } = stage);

    const sample = await provider.client.encrypt(seed);
    await provider.client.decrypt(sample);
    await failing(provider.client.decrypt({ ...sample, keyId: FORGED }));
    await failing(provider.client.decrypt({ ...sample, keyId: `${sample.keyId.slice(0, -4)}AAAA` }));
    await failing(provider.client.decrypt({ ...sample, ciphertext: Buffer.from(FORGED) }));
    await failing(
      provider.client.decrypt({
        ...sample,
        annotations: { ...sample.annotations, "evil.kms.openbao.org": Buffer.from(FORGED) },
      }),
    );
    for (const fault of [
      faults.sealed,
      faults.denied,
      faults.malformed,
      faults.torn,
      {
        kind: "reply",
        status: 400,
        body: JSON.stringify({ errors: [`${REMOTE_TEXT} ${FORGED}`] }),
        headers: {},
      },
    ] as const) {
      const remove = openbao.inject(fault);
      await untilNotOk(provider);
      await failing(provider.client.encrypt(seed));
      await failing(provider.client.decrypt(sample));
      remove();
      await untilOk(provider);
    }
  }, 60_000);
  afterAll(async () => {
    await stage.dispose();
  });

  function canaries(): ReadonlyMap<string, string> {
    const bytes = Buffer.from(seed);
    const jwt = readFileSync(join(provider.dir, "identity.jwt"), "utf8").trim();
    const tokens = [...openbao.state.tokens.keys()];
    expect(tokens.length).toBeGreaterThan(1);
    return new Map([
      ["plaintext, base64", bytes.toString("base64").slice(0, 40)],
      ["plaintext, base64url", bytes.toString("base64url").slice(0, 40)],
      ["plaintext, hexadecimal", bytes.toString("hex")],
      ["plaintext, list of numbers", [...bytes.subarray(0, 8)].join(",")],
      ["plaintext, raw", bytes.toString("latin1")],
      ["JWT", jwt],
      ["JWT's signature", jwt.split(".")[2] ?? jwt],
      ...tokens.map((token, index) => [`token ${index}`, token] as const),
      ["OpenBao's own text", REMOTE_TEXT],
    ]);
  }

  function expectNone(where: string, text: string): void {
    for (const [name, canary] of canaries()) {
      expect({ where, name, found: text.includes(canary) }).toEqual({ where, name, found: false });
    }
  }

  test("the log at debug, with debug correlation", () => {
    expect(provider.log().length).toBeGreaterThan(20);
    expectNone("log", provider.output());
  });

  test("no log line was forged", () => {
    expect(provider.log().some(({ message }) => message === "forged.line")).toBe(false);
    for (const line of provider.output().split("\n").filter(Boolean)) {
      expect(() => JSON.parse(line)).not.toThrow();
    }
  });

  test("what callers were told", () => {
    expect(replies.length).toBeGreaterThan(5);
    expectNone("errors", replies.join("\n"));
  });

  test("metrics and health", async () => {
    expectNone("metrics", await provider.metrics());
    expectNone("live", (await provider.health("/live")).body);
    expectNone("ready", (await provider.health("/ready")).body);
  });

  test("argument list and environment of the process", () => {
    for (const name of ["cmdline", "environ"]) {
      expectNone(name, readFileSync(`/proc/${provider.pid()}/${name}`, "latin1"));
    }
  });

  test("every file that it made or could have made", () => {
    for (const entry of readdirSync(provider.dir, { recursive: true, encoding: "utf8" })) {
      const path = join(provider.dir, entry);
      if (statSync(path).isFile() && !entry.endsWith("identity.jwt")) {
        expectNone(entry, readFileSync(path, "latin1"));
      }
    }
    const open = readdirSync(`/proc/${provider.pid()}/fd`);
    expect(open.length).toBeGreaterThan(3);
  });

  test("memory is left out of a core dump", () => {
    expect(readFileSync(`/proc/${provider.pid()}/coredump_filter`, "latin1").trim()).toBe("00000000");
  });

  test.each([
    "config",
    "config --output json",
    "doctor",
    "doctor --output json",
    "verify-key",
    "rotation-plan",
    "rotation-plan --output json",
    "policy openbao",
  ])("command: %s", async (line) => {
    const output = await command(...line.split(" "), "--config", provider.configPath);
    expect(output.length).toBeGreaterThan(10);
    expectNone(line, output);
  });

  test("command: probe", async () => {
    expectNone("probe", await command("probe", "--socket", provider.socketPath));
  });
});
