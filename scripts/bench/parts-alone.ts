/**
 * @module `parts-alone.ts SOCKET`, its job as JSON on stdin: the parts of a KMS provider in Bun with nothing else, a server on
 * `node:http2`, Protobuf-ES and `fetch`. No figure of the provider can be better than its figures.
 */
import { createServer, type ServerHttp2Stream } from "node:http2";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import * as v from "valibot";
import {
  DecryptRequestSchema,
  DecryptResponseSchema,
  EncryptRequestSchema,
  EncryptResponseSchema,
  StatusResponseSchema,
} from "../../src/kms/gen/v2/api_pb.ts";
import { coalesce } from "../../src/openbao/transit/coalesce.ts";
import { GROUPING } from "../../src/openbao/transit/coalesced-calls.ts";
import { ASSOCIATED_DATA, directTarget } from "./direct-target.ts";

/** `encryptReply`: an answer of the provider, base64; those of this server are as long. */
const partsJob = v.object({ direct: directTarget, encryptReply: v.string() });
export type PartsJob = v.InferInput<typeof partsJob>;

const ENVELOPE_BYTES = 5;
const opened = v.object({ data: v.object({ batch_results: v.array(v.object({ plaintext: v.string() })) }) });

const encryptAnswer = v.object({ data: v.object({ ciphertext: v.string() }) });

const { direct, encryptReply } = v.parse(partsJob, await Bun.stdin.json());
const encrypted = fromBinary(EncryptResponseSchema, Buffer.from(encryptReply, "base64"));
const status = toBinary(
  StatusResponseSchema,
  create(StatusResponseSchema, { version: "v2", healthz: "ok", keyId: encrypted.keyId }),
);
const session = new Bun.FetchSession({
  tls: { ca: direct.caPem, serverName: direct.serverName, rejectUnauthorized: true },
});
const headers = {
  "X-Vault-Token": direct.token,
  "X-Vault-Request": "true",
  "Content-Type": "application/json",
};
const never = new AbortController().signal;

/** The JSON of an answer. @throws for every answer but a good one */
async function post(verb: "encrypt" | "decrypt", body: string): Promise<unknown> {
  const url = `${direct.url}/v1/${direct.mountPath}/${verb}/${direct.keyName}`;
  const reply = await session.fetch(url, { method: "POST", body, headers });
  if (!reply.ok) {
    throw new Error(`Transit's ${verb} answered ${reply.status}`);
  }
  return await reply.json();
}

async function encrypt(message: Uint8Array): Promise<Uint8Array> {
  const { plaintext } = fromBinary(EncryptRequestSchema, message);
  const body = JSON.stringify({
    plaintext: Buffer.from(plaintext).toString("base64"),
    associated_data: ASSOCIATED_DATA,
  });
  const { data } = v.parse(encryptAnswer, await post("encrypt", body));
  return toBinary(EncryptResponseSchema, { ...encrypted, ciphertext: Buffer.from(data.ciphertext) });
}

async function open(ciphertexts: readonly string[]): Promise<Uint8Array[]> {
  const items = ciphertexts.map((ciphertext) => ({ ciphertext, associated_data: ASSOCIATED_DATA }));
  const { data } = v.parse(opened, await post("decrypt", JSON.stringify({ batch_input: items })));
  return data.batch_results.map(({ plaintext }) => Buffer.from(plaintext, "base64"));
}

const openCoalesced = coalesce<string, Uint8Array>({
  ...GROUPING,
  single: async (ciphertext) => (await open([ciphertext]))[0] ?? new Uint8Array(),
  batch: async (ciphertexts) => (await open(ciphertexts)).map((value) => ({ ok: true, value })),
  retrySingly: () => false,
  dedupKey: (ciphertext) => ciphertext,
});

async function decrypt(message: Uint8Array): Promise<Uint8Array> {
  const { ciphertext } = fromBinary(DecryptRequestSchema, message);
  const plaintext = await openCoalesced(Buffer.from(ciphertext).toString("latin1"), never);
  return toBinary(DecryptResponseSchema, create(DecryptResponseSchema, { plaintext }));
}

const METHODS = new Map<string, (message: Uint8Array) => Uint8Array | Promise<Uint8Array>>([
  ["/v2.KeyManagementService/Status", () => status],
  ["/v2.KeyManagementService/Encrypt", encrypt],
  ["/v2.KeyManagementService/Decrypt", decrypt],
]);

const server = createServer();
server.on("stream", (stream: ServerHttp2Stream, { ":path": path = "" }) => {
  const chunks: Uint8Array[] = [];
  stream.on("error", () => {});
  const answer = async (): Promise<void> => {
    const method = METHODS.get(path);
    const message = (await method?.(Buffer.concat(chunks).subarray(ENVELOPE_BYTES))) ?? new Uint8Array();
    const frame = Buffer.alloc(ENVELOPE_BYTES + message.length);
    frame.writeUInt32BE(message.length, 1);
    frame.set(message, ENVELOPE_BYTES);
    stream.respond({ ":status": 200, "content-type": "application/grpc+proto" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(frame);
  };
  stream.on("data", (bytes: Uint8Array) => chunks.push(bytes));
  stream.on("end", () => void answer());
});
server.listen(process.argv[2]);
