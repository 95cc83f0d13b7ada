/**
 * Transit called directly, as the bench compares with it.
 *
 * @module One function over a connection pool of its own; nothing is checked but the status.
 */
import * as v from "valibot";

export const directTarget = v.object({
  url: v.string(),
  mountPath: v.string(),
  keyName: v.string(),
  token: v.string(),
  caPem: v.string(),
  serverName: v.string(),
});
export type DirectTarget = v.InferOutput<typeof directTarget>;

export type TransitPost = (verb: "encrypt" | "decrypt", body: string) => Promise<unknown>;

/** @returns a function that gives the JSON of an answer, and throws for every answer but a good one. */
export function transitPost(target: DirectTarget): TransitPost {
  const session = new Bun.FetchSession({
    tls: { ca: target.caPem, serverName: target.serverName, rejectUnauthorized: true },
  });
  const headers = {
    "X-Vault-Token": target.token,
    "X-Vault-Request": "true",
    "Content-Type": "application/json",
  };
  return async (verb, body) => {
    const url = `${target.url}/v1/${target.mountPath}/${verb}/${target.keyName}`;
    const reply = await session.fetch(url, { method: "POST", body, headers });
    if (!reply.ok) {
      throw new Error(`Transit's ${verb} answered ${reply.status}`);
    }
    return await reply.json();
  };
}
