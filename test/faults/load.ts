/**
 * The steady load at the socket: Status, Encrypt and Decrypt as kube-apiserver calls them, and everything that they promise.
 *
 * @module Counts what is answered, keeps every ciphertext, and notes what is never allowed: a wrong plaintext, a key_id that
 * goes back, a ciphertext under another key_id than the newest. Which failures a fault allows is said in its row.
 */
import { randomBytes } from "node:crypto";
import type { EncryptResponse } from "../../src/kms/gen/v2/api_pb.ts";
import { eventually } from "../harness/eventually.ts";
import { codeOf, type KmsClient } from "../harness/kms-client.ts";

interface Seen {
  readonly status: Record<string, number>;
  readonly encrypt: Record<string, number>;
  readonly decrypt: Record<string, number>;
  slowestMs: number;
  readonly wrong: string[];
}

export type Load = ReturnType<typeof startLoad>;

interface Kept {
  readonly reply: EncryptResponse;
  readonly plaintext: Uint8Array;
}

const PAUSE_MS = 40;
const PROMOTED_MS = 20_000;
/** Of the older ciphertexts; the last check of a run takes all. */
const SAMPLES = 50;
const WIDTH = 16;

export function startLoad(client: KmsClient) {
  const kept: Kept[] = [];
  const keyIds: string[] = [];
  const stopped = new AbortController();
  let seen = nothing();

  const shown = (): string => keyIds.at(-1) ?? "";
  const note = (kind: "status" | "encrypt" | "decrypt", answer: string, beganMs: number): void => {
    seen[kind][answer] = (seen[kind][answer] ?? 0) + 1;
    seen.slowestMs = Math.max(seen.slowestMs, performance.now() - beganMs);
  };
  const show = (keyId: string): void => {
    if (keyId === keyIds.at(-1)) {
      return;
    }
    if (keyIds.includes(keyId)) {
      seen.wrong.push(`the key_id went back to number ${keyIds.indexOf(keyId) + 1} of ${keyIds.length}`);
    }
    keyIds.push(keyId);
  };
  const status = async (): Promise<void> => {
    const began = performance.now();
    const call = client.status();
    const code = await codeOf(call);
    if (code !== "OK") {
      note("status", code, began);
      return;
    }
    const { healthz, keyId, version } = await call;
    note("status", healthz, began);
    show(keyId);
    if (version !== "v2") {
      seen.wrong.push(`Status of version ${version}`);
    }
  };
  const encrypt = async (): Promise<void> => {
    const plaintext = new Uint8Array(randomBytes(32));
    const began = performance.now();
    const newest = keyIds.at(-1);
    const call = client.encrypt(plaintext);
    const code = await codeOf(call);
    note("encrypt", code, began);
    if (code === "OK") {
      const reply = await call;
      kept.push({ reply, plaintext });
      const at = keyIds.indexOf(reply.keyId);
      if (newest !== undefined && at >= 0 && at < keyIds.indexOf(newest)) {
        seen.wrong.push("Encrypt under an older key_id than Status had shown");
      }
    }
  };
  const open = async ({ reply, plaintext }: Kept): Promise<string> => {
    const call = client.decrypt(reply);
    const code = await codeOf(call);
    return code === "OK" && Buffer.compare((await call).plaintext, plaintext) !== 0
      ? "another plaintext"
      : code;
  };
  const decrypt = async (): Promise<void> => {
    const one = kept[Math.floor(Math.random() * kept.length)];
    if (one === undefined) {
      return;
    }
    const began = performance.now();
    const code = await open(one);
    note("decrypt", code, began);
    if (code === "another plaintext") {
      seen.wrong.push("Decrypt gave another plaintext");
    }
  };
  const repeat = async (work: () => Promise<void>): Promise<void> => {
    while (!stopped.signal.aborted) {
      await work();
      await Bun.sleep(PAUSE_MS);
    }
  };
  const loops = Promise.all([status, encrypt, decrypt].map(repeat));

  return {
    /** What was seen since the last time. */
    take: (): Seen => {
      const taken = seen;
      seen = nothing();
      return taken;
    },
    keyId: shown,
    /** Resolves with the next key_id, when Status shows another one than `before`. */
    moved: (before: string, timeoutMs = PROMOTED_MS): Promise<string> =>
      eventually("the key_id moves", () => shown() !== before && shown(), { timeoutMs }),
    count: () => kept.length,
    /** The gRPC code of a Decrypt of the newest ciphertext. */
    decryptNewest: async (): Promise<string> => {
      const newest = kept.at(-1);
      return newest === undefined ? "none" : open(newest);
    },
    /** How many ciphertexts do not decrypt to what went in: of those since `start`, and some of the older ones. */
    verify: async (start = 0): Promise<readonly string[]> => {
      const older = Array.from(
        { length: Math.min(SAMPLES, start) },
        () => kept[Math.floor(Math.random() * start)],
      );
      const queue = [...older, ...kept.slice(start)].filter((each) => each !== undefined);
      const problems: string[] = [];
      await Promise.all(
        Array.from({ length: WIDTH }, async () => {
          for (let one = queue.pop(); one !== undefined; one = queue.pop()) {
            const code = await open(one);
            if (code !== "OK") {
              problems.push(`a ciphertext of ${one.reply.keyId} does not decrypt: ${code}`);
            }
          }
        }),
      );
      return problems;
    },
    stop: async () => {
      stopped.abort();
      await loops;
    },
  };
}

function nothing(): Seen {
  return { status: {}, encrypt: {}, decrypt: {}, slowestMs: 0, wrong: [] };
}
