/**
 * Callers that poll as kube-apiserver does, while another user holds, opens and drops connections without end.
 *
 * Seconds for each kind of attack: LOCK_OUT_SECONDS, 2 in everyday runs. As root the attack is by another uid.
 */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { join } from "node:path";
import { Metadata } from "@grpc/grpc-js";
import { CROWDS } from "./crowd.ts";
import { kmsClient, ownIdentity } from "./harness.ts";
import { STATUS } from "./raw-http2.ts";
import { type ServedProcess, serveInProcess } from "./served-process.ts";

const SECONDS = Number(process.env.LOCK_OUT_SECONDS ?? 2);
const ATTACKER_UID = 24_301;
/** kube-apiserver's default. */
const TIMEOUT_MS = 3000;

let served: ServedProcess;
beforeEach(async () => {
  served = await serveInProcess();
});
afterEach(() => served.stop());

/** The crowd, and how many connections it has made so far. */
function startCrowd(kind: string): { readonly connected: () => number; readonly stop: () => void } {
  const script = [process.execPath, join(import.meta.dir, "crowd.ts"), served.path, kind];
  const { ownerUid, groupGid } = ownIdentity();
  const asAnother = ["setpriv", `--reuid=${ATTACKER_UID}`, `--regid=${groupGid}`, "--clear-groups"];
  const [command = "", ...args] = ownerUid === 0 ? [...asAnother, ...script] : script;
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
  let connected = 0;
  child.stdout.on("data", (text: Buffer) => {
    connected = Number(String(text).trim().split("\n").at(-1));
  });
  return { connected: () => connected, stop: () => child.kill("SIGKILL") };
}

/** kube-apiserver's calls wait for a connection, within their deadline. */
async function poll(client: ReturnType<typeof kmsClient>): Promise<void> {
  await client.status({ timeoutMs: TIMEOUT_MS, metadata: new Metadata({ waitForReady: true }) });
}

/** A session of its own that answers whether it was ever closed. */
async function establishedSession() {
  const session = connectHttp2("http://localhost", { createConnection: () => connect(served.path) });
  let isClosed = false;
  session.on("error", () => {});
  session.on("goaway", () => {
    isClosed = true;
  });
  session.on("close", () => {
    isClosed = true;
  });
  const call = (): Promise<number> =>
    new Promise((resolve, reject) => {
      const stream = session.request({
        ":method": "POST",
        ":path": STATUS,
        "content-type": "application/grpc",
        te: "trailers",
      });
      let status = 0;
      stream.on("response", (headers) => {
        status = Number(headers[":status"]);
      });
      stream.on("error", reject);
      stream.on("close", () => resolve(status));
      stream.resume();
      stream.end(Buffer.alloc(5));
    });
  expect(await call()).toBe(200);
  return { call, isClosed: () => isClosed, end: () => session.destroy() };
}

test.each(CROWDS.map((kind) => [kind]))(
  "a crowd that is %s: no call fails, an established caller stays connected, new ones get in",
  async (kind) => {
    const established = await establishedSession();
    const poller = kmsClient(served.path);
    await poll(poller);
    const crowd = startCrowd(kind);
    const failed: string[] = [];
    let newcomers = 0;
    const attempt = async (who: string, call: Promise<unknown>): Promise<void> => {
      await call.catch((error: unknown) => failed.push(`${who}: ${String(error)}`));
    };
    for (let waits = 0; crowd.connected() < 64 && waits < 200; waits += 1) {
      await Bun.sleep(50);
    }
    const endMs = Date.now() + SECONDS * 1000;
    while (Date.now() < endMs) {
      const newcomer = kmsClient(served.path);
      await Promise.all([
        attempt("established", established.call()),
        attempt("poller", poll(poller)),
        attempt("newcomer", poll(newcomer)),
      ]);
      newcomer.close();
      newcomers += 1;
      await Bun.sleep(50);
    }
    crowd.stop();
    expect(failed).toEqual([]);
    expect(established.isClosed()).toBe(false);
    expect(newcomers).toBeGreaterThan(0);
    expect(crowd.connected()).toBeGreaterThanOrEqual(64);
    established.end();
    poller.close();
  },
  30_000 + SECONDS * 2000,
);
