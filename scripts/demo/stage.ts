/** @module The running parts and the steps that several stories of the demo share. */
import type { Provisioning } from "../../test/fakes/openbao/provision.ts";
import type { AnyOpenBao } from "../../test/harness/any-openbao.ts";
import { untilKeyIdChanges } from "../../test/harness/outage.ts";
import type { Provider } from "../../test/harness/provider.ts";
import type { Narrator } from "./narrator.ts";

export interface Stage {
  readonly narrator: Narrator;
  readonly openbao: AnyOpenBao;
  readonly provider: Provider;
  readonly names: Provisioning;
}

/** Long enough to recognise a key_id, short enough to read. */
export function shortKeyId(keyId: string): string {
  return `${keyId.slice(0, 14)}…`;
}

/** Starts the provider and says how long the first good Status took. */
export async function startProvider({ narrator, provider }: Stage): Promise<string> {
  return narrator.timed(
    (keyId) => `from exec to the first good Status; key_id ${shortKeyId(keyId)}`,
    async () => {
      await provider.start();
      return (await provider.client.status()).keyId;
    },
  );
}

/** Makes a new version of the Transit key and waits until the provider uses it; returns the new key_id. */
export async function rotate({ narrator, openbao, provider, names }: Stage): Promise<string> {
  const before = (await provider.client.status()).keyId;
  await openbao.operator.must("POST", `${names.mount}/keys/${names.keyName}/rotate`, {});
  narrator.say("OpenBao has a new version of the key; the provider waits until it has seen it steadily");
  return narrator.timed(
    (keyId) => `the key_id changed, once: ${shortKeyId(before)} -> ${shortKeyId(keyId)}`,
    () => untilKeyIdChanges(provider, before),
  );
}
