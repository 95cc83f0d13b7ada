/** @module The key as the bench calls it directly, to compare with: where it is, and what it is called with. */
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
