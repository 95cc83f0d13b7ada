/** @module The key's metadata as OpenBao shows it now, read with a token that is revoked afterwards. */
import type { CommandContext } from "../cli/command.ts";
import type { ProviderConfig } from "../config/schema.ts";
import type { KeyMetadata } from "../openbao/transit/key-metadata.ts";
import { openOperatorAccess } from "../provider/operator.ts";
import { serviceUidOf } from "./load-for-service.ts";

/** Throws what the connection to OpenBao throws: credential, TLS, policy, missing key. */
export async function readLiveKey(config: ProviderConfig, { signal }: CommandContext): Promise<KeyMetadata> {
  const access = await openOperatorAccess(config, serviceUidOf(config));
  try {
    return await access.transit.readKey(signal);
  } finally {
    await access.close();
  }
}
