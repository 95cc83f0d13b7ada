/** @module Transit called directly, as the bench compares with it: nothing is checked but the status. */
import * as v from "valibot";
import { transitAssociatedData } from "../../src/key/identity/associated-data.ts";
import { textAt } from "../../test/fakes/openbao/json-at.ts";
import type { Provisioning } from "../../test/fakes/openbao/provision.ts";
import type { RealOpenBao } from "../../test/harness/openbao.ts";

export const directTarget = v.object({
  url: v.string(),
  mountPath: v.string(),
  keyName: v.string(),
  token: v.string(),
  caPem: v.string(),
  serverName: v.string(),
});
export type DirectTarget = v.InferOutput<typeof directTarget>;

/** The key of a provider, with a token of its policy. */
export async function directTargetOf(
  openbao: Pick<RealOpenBao, "operator" | "address" | "caPem">,
  names: Provisioning,
): Promise<DirectTarget> {
  const login = await openbao.operator.must("POST", "auth/token/create", {
    policies: [names.policyName],
    // As the provider's own token: OpenBao works half a millisecond more at each call for the default policy.
    no_default_policy: true,
  });
  return {
    url: openbao.address,
    mountPath: names.mount,
    keyName: names.keyName,
    token: textAt(login, "auth", "client_token"),
    caPem: openbao.caPem,
    serverName: "localhost",
  };
}

/** As the provider's: OpenBao and TLS work on each of its bytes. */
export const ASSOCIATED_DATA = transitAssociatedData(
  {
    providerName: "bench",
    clusterId: "bench",
    openbaoInstanceId: "bench",
    openbaoNamespace: "",
    transitMountId: "bench",
    keyLineageId: "bench",
  },
  { version: 1, createdAtUnix: 0 },
  "bench",
);

/** What an Encrypt asks for. */
export function encryptBody(plaintext: Uint8Array): string {
  return JSON.stringify({
    plaintext: Buffer.from(plaintext).toString("base64"),
    associated_data: ASSOCIATED_DATA,
  });
}

export const encryptAnswer = v.object({ data: v.object({ ciphertext: v.string() }) });

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
