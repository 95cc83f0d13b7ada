/** @module What commands look at of the key, without its lock: this node's registry, and OpenBao when it can be asked. */
import { ProviderError } from "../base/error-class.ts";
import type { CommandContext } from "../cli/command.ts";
import type { ProviderConfig } from "../config/schema.ts";
import type { ConfigIdentity } from "../key/identity/fingerprint.ts";
import type { StateOnDisk } from "../key/registry/read-state.ts";
import { askAboutKey } from "../key/rotation/key-probe.ts";
import type { ProbeAnswer } from "../key/rotation/probe-history.ts";
import type { KeyMetadata } from "../openbao/transit/key-metadata.ts";
import { type OperatorAccess, openOperatorAccess } from "../provider/operator.ts";
import { configIdentity, readConfiguredRegistry } from "../provider/registry.ts";
import { loadConfiguration, serviceUidOf } from "./configuration.ts";

export interface KeyInspection {
  readonly config: ProviderConfig;
  readonly identity: ConfigIdentity;
  readonly state: StateOnDisk;
  readonly openbao: OpenBaoAnswer;
}

type OpenBaoAnswer =
  | { readonly kind: "asked"; readonly answer: ProbeAnswer; readonly access: OperatorAccess }
  /** Why it could not be asked; the report then rests on the registry alone. */
  | { readonly kind: "unasked"; readonly error: ProviderError };

/**
 * Looks at both and hands them to `use`; the token is revoked afterwards.
 * @throws what loading the configuration and reading the registry throw, and the signal's reason.
 */
export async function inspectKey<Result>(
  flags: { readonly config: string | undefined },
  context: CommandContext,
  use: (inspection: KeyInspection) => Promise<Result>,
): Promise<Result> {
  const { config } = await loadConfiguration(flags, context);
  const { signal } = context;
  const state = await readConfiguredRegistry(config, process.geteuid?.() ?? 0);
  const identity = configIdentity(config);
  let access: OperatorAccess | undefined;
  try {
    let openbao: OpenBaoAnswer;
    try {
      access = await openOperatorAccess(config, serviceUidOf(config));
      openbao = { kind: "asked", answer: await askAboutKey(access.transit, signal), access };
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof ProviderError)) {
        throw error;
      }
      openbao = { kind: "unasked", error };
    }
    return await use({ config, identity, state, openbao });
  } finally {
    await access?.close();
  }
}

/** Throws what the connection to OpenBao throws: credential, TLS, policy, missing key. */
export async function readLiveKey(config: ProviderConfig, { signal }: CommandContext): Promise<KeyMetadata> {
  const access = await openOperatorAccess(config, serviceUidOf(config));
  try {
    return await access.transit.readKey(signal);
  } finally {
    await access.close();
  }
}
