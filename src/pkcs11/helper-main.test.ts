/** The body of the helper process over libraries in memory: what it says, and what it refuses before the token hears the PIN. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createPublicKey, generateKeyPairSync, verify } from "node:crypto";
import { chmodSync, chownSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { END, HELLO, memoryTls, READY } from "../../test/fakes/pkcs11/memory-tls.ts";
import { type MemoryToken, memoryToken } from "../../test/fakes/pkcs11/memory-token.ts";
import { makeTestCa } from "../../test/fakes/tls/test-ca.ts";
import { HelperFailure } from "./errors.ts";
import { answerRequest } from "./helper-main.ts";
import { decodeLine, encodeRequest, type HelperTask } from "./helper-protocol.ts";

const MARKER = "a".repeat(32);
const PARENT = 4711;
const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });

let directory: string;
let modulePath: string;
let chain: Uint8Array[];
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "helper-"));
  modulePath = join(directory, "module.so");
  writeFileSync(modulePath, "", { mode: 0o644 });
  const ca = await makeTestCa();
  const { certificatePem } = await certified(ca);
  chain = [certificatePem];
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function certified(ca: Awaited<ReturnType<typeof makeTestCa>>) {
  const spki = createPublicKey(privateKey).export({ type: "spki", format: "der" });
  const { chainPem } = await ca.certify(new Uint8Array(spki));
  const [first = ""] = chainPem.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g) ?? [];
  return { certificatePem: Buffer.from(first.replace(/-----[^-]+-----/g, ""), "base64") };
}

const login = () => ({ pin: "482913", refuseAfterFailedTry: false, chain });

/** The exit code and the lines of one request. */
async function answered(
  task: HelperTask,
  token: MemoryToken = {},
  change: { path?: string; parent?: number } = {},
) {
  const { library, calls } = memoryToken({ keys: [{ label: "client", privateKey }], ...token });
  let text = "";
  const code = await answerRequest(
    Buffer.from(
      encodeRequest({
        marker: MARKER,
        alarmSeconds: 9,
        parentPid: PARENT,
        token: {
          modulePath: change.path ?? modulePath,
          tokenLabel: "token",
          keyLabel: "client",
          maxSessions: 2,
        },
        task,
      }),
    ),
    () => ({ tls: memoryTls(change.parent ?? PARENT), pkcs11: library }),
    (each) => {
      text += each;
    },
  );
  const lines = text
    .split("\n")
    .filter(Boolean)
    .map((each) => decodeLine(MARKER, each));
  const said = lines.map((line) => (line?.kind === "stage" ? line.stage : (line?.kind ?? "")));
  return { code, said, last: lines.at(-1), calls };
}

describe("a request", () => {
  test("to inspect finds the token, and gives it no PIN", async () => {
    const { code, said, calls } = await answered({ kind: "inspect" });
    expect([code, said]).toEqual([0, ["module", "token", "done"]]);
    expect(calls.some((each) => each.startsWith("C_Login"))).toBe(false);
    expect(calls.slice(-2)).toEqual(["C_Finalize", "close"]);
  });

  test("to prove logs in, signs, and leaves the token", async () => {
    const { code, said, calls } = await answered({ kind: "prove", ...login() });
    expect([code, said]).toEqual([0, ["module", "token", "pin", "key", "done"]]);
    expect(calls).toContain("C_Login 77 1 482913");
    expect(calls.slice(-4)).toEqual(["C_Logout 77", "C_CloseSession 77", "C_Finalize", "close"]);
  });

  test("for an exchange connects once the key is proven", async () => {
    const exchange = {
      host: "127.0.0.1",
      port: 1,
      serverName: "refused",
      ca: [Buffer.of(1)],
      method: "GET" as const,
      path: "/",
      headers: [],
      body: Buffer.of(),
      maxBytes: 1,
    };
    const { code, said, last } = await answered({ kind: "exchange", ...login(), exchange });
    expect([code, said]).toEqual([1, ["module", "token", "pin", "key", "connect", "failure"]]);
    expect(last).toEqual({ kind: "failure", code: "request_invalid" });
  });

  test("for an exchange signs the handshake with the token's key, and gives the answer", async () => {
    let heard = "";
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.on("data", (data) => {
        const isFirst = heard === "";
        heard += data.toString("latin1");
        if (isFirst) {
          socket.write(READY);
        } else if (heard.includes("\r\n\r\n")) {
          socket.end(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok${END}`);
        }
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const { code, last } = await answered({
      kind: "exchange",
      ...login(),
      exchange: {
        host: "127.0.0.1",
        port,
        serverName: "localhost",
        ca: [Buffer.of(1)],
        method: "GET",
        path: "/",
        headers: [],
        body: Buffer.of(),
        maxBytes: 2,
      },
    });
    server.close();
    expect(code).toBe(0);
    expect(last).toMatchObject({ kind: "answer", status: 200, body: new Uint8Array(Buffer.from("ok")) });
    const signature = Buffer.from(heard.slice(HELLO.length, heard.indexOf("GET")), "latin1");
    expect(verify("sha256", Buffer.from(READY), createPublicKey(privateKey), signature)).toBe(true);
  });

  test("that fails says why, and leaves the token all the same", async () => {
    const fails = { C_Login: "CKR_PIN_INCORRECT" };
    const { code, last, calls } = await answered({ kind: "prove", ...login() }, { fails });
    expect(code).toBe(1);
    expect(last).toEqual({ kind: "failure", code: "pin_refused", detail: "C_Login CKR_PIN_INCORRECT" });
    expect(calls.at(-1)).toBe("close");
  });

  test("that fails in an unforeseen way shows nothing of it", async () => {
    let text = "";
    const input = encodeRequest({
      marker: MARKER,
      alarmSeconds: 1,
      parentPid: 1,
      token: { modulePath, tokenLabel: "token", keyLabel: "client", maxSessions: 2 },
      task: { kind: "inspect" },
    });
    const code = await answerRequest(
      Buffer.from(input),
      () => {
        throw new TypeError("482913");
      },
      (each) => {
        text += each;
      },
    );
    expect([code, decodeLine(MARKER, text.trim())]).toEqual([1, { kind: "failure", code: "unexpected" }]);
  });

  test("whose parent is gone is not begun", async () => {
    const { code, said, calls } = await answered({ kind: "prove", ...login() }, {}, { parent: 1 });
    expect([code, said, calls]).toEqual([1, ["failure"], []]);
  });

  test.each(["", "{}", "x".repeat(100)])("that is %p is none, and not answered", async (text) => {
    const write = (): never => {
      throw new Error("nothing is to be said");
    };
    const load = (): never => {
      throw new HelperFailure("addon_missing");
    };
    expect(await answerRequest(Buffer.from(text), load, write)).toBe(2);
  });
});

describe("a module", () => {
  const codeFor = async (path: string): Promise<unknown> => {
    const { code, last, calls } = await answered({ kind: "inspect" }, {}, { path });
    const isLoaded = calls.some((each) => each.startsWith("load"));
    expect(isLoaded).toBe(code === 0);
    return last?.kind === "failure" ? last.code : last?.kind;
  };
  const make = (name: string, mode: number): string => {
    const path = join(directory, name);
    writeFileSync(path, "");
    chmodSync(path, mode);
    return path;
  };

  test.each([
    ["is private", 0o600, "done"],
    ["is read by all", 0o755, "done"],
    ["its group may write", 0o664, "module_unsafe"],
    ["all may write", 0o646, "module_unsafe"],
  ])("that %s", async (_, mode, expected) => {
    expect(await codeFor(make(`mode-${mode}`, mode))).toBe(expected);
  });

  test("that is not there, or not a file, is not loaded", async () => {
    expect(await codeFor(join(directory, "none.so"))).toBe("module_missing");
    expect(await codeFor(directory)).toBe("module_unsafe");
  });

  test("behind a link is judged by what the link leads to", async () => {
    symlinkSync(make("writable.so", 0o666), join(directory, "to-writable.so"));
    expect(await codeFor(join(directory, "to-writable.so"))).toBe("module_unsafe");
    symlinkSync(modulePath, join(directory, "to-module.so"));
    expect(await codeFor(join(directory, "to-module.so"))).toBe("done");
  });

  test.skipIf(process.geteuid?.() !== 0)(
    "of another user is not loaded (needs root to make one)",
    async () => {
      const path = make("foreign.so", 0o644);
      chownSync(path, 4711, 4711);
      expect(await codeFor(path)).toBe("module_unsafe");
    },
  );
});
