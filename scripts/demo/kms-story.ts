/** @module The demo without a cluster: calls over gRPC, a rotation, an outage of OpenBao, a killed provider, an orderly end. */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import type { EncryptResponse } from "../../src/kms/gen/v2/api_pb.ts";
import { codeOf } from "../../test/harness/kms-client.ts";
import { untilNotOk, untilOk } from "../../test/harness/outage.ts";
import { rotate, type Stage, startProvider } from "./stage.ts";

/** What kube-apiserver encrypts: the seed that it derives its data keys from. */
const SEED_BYTES = 32;

export async function kmsStory(stage: Stage): Promise<void> {
  const { narrator, openbao, provider } = stage;
  const { client } = provider;
  const seed = new Uint8Array(randomBytes(SEED_BYTES));
  const opens = async ({ ciphertext, keyId, annotations }: EncryptResponse): Promise<void> => {
    const { plaintext } = await client.decrypt({ ciphertext, keyId, annotations });
    if (Buffer.compare(plaintext, seed) !== 0) {
      throw new Error("Decrypt gave back something else than was encrypted");
    }
  };

  narrator.chapter("Start");
  await startProvider(stage);

  narrator.chapter("Encrypt and Decrypt");
  const first = await narrator.timed(
    ({ ciphertext }) =>
      `Encrypt: a ${SEED_BYTES}-byte seed became ${Buffer.from(ciphertext).toString().slice(0, 24)}…`,
    () => client.encrypt(seed),
  );
  await narrator.timed("Decrypt: the same seed again", () => opens(first));

  narrator.chapter("Rotation");
  await rotate(stage);
  const second = await narrator.timed("Encrypt under the new version", () => client.encrypt(seed));
  await narrator.timed("Decrypt of what the old version encrypted", () => opens(first));

  narrator.chapter("OpenBao goes away and comes back");
  await openbao.stop();
  await narrator.timed(
    (healthz) => `Status still answers with the key_id; healthz says \`${healthz}\``,
    () => untilNotOk(provider),
  );
  await narrator.timed(
    (code) => `Decrypt is refused at once, ${code}: no caller waits for a timeout`,
    () => codeOf(client.decrypt(second)),
  );
  await narrator.timed("OpenBao is back and Status is `ok`, without help", async () => {
    await openbao.start();
    await untilOk(provider);
  });
  await narrator.timed("Decrypt works again", () => opens(second));

  narrator.chapter("kill -9 and a restart");
  await provider.kill();
  await startProvider(stage);
  await narrator.timed("Decrypt of both versions", async () => {
    await opens(first);
    await opens(second);
  });

  narrator.chapter("Stop");
  await narrator.timed(
    (code) =>
      `SIGTERM: exit code ${code}, the socket is ${existsSync(provider.socketPath) ? "still there" : "gone"}`,
    () => provider.stop(),
  );
}
