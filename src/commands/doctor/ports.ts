/**
 * What doctor needs of the rest of the provider, and what its checks hand on to each other.
 *
 * @module Interfaces and the one mutable holder of facts. provider/operator.ts makes the way to OpenBao.
 */
import type { ConfigError } from "../../config/errors.ts";
import type { LoadedConfig } from "../../config/load.ts";
import type { StoredRecord } from "../../key/registry/read-state.ts";
import type { TransitClient } from "../../openbao/transit/client.ts";
import type { KeyMetadata } from "../../openbao/transit/key-metadata.ts";
import type { ServiceLoad } from "../load-for-service.ts";
import type { UserIdentity } from "../service-identity.ts";

/** What OpenBao says of itself without a token. */
export interface OpenBaoHealth {
  /** OpenBao's clock, to the second; `undefined` without a Date header. */
  readonly wallMs: number | undefined;
}

/** What is known of the credential before it is used. */
export interface CredentialFacts {
  readonly issuer: string | undefined;
  readonly expiresAtMs: number | undefined;
}

/** A connection of our own: nothing of a running provider is touched. */
export interface OpenBaoAccess {
  readonly health: (signal: AbortSignal) => Promise<OpenBaoHealth>;
  /** Reads and checks the credential, without sending it. */
  readonly checkCredential: (signal: AbortSignal) => Promise<CredentialFacts>;
  /** There when the key of the client certificate is in a PKCS#11 token. */
  readonly keyToken?:
    | {
        /** The module loads and the token is there; it is given no PIN. */
        readonly inspect: (signal: AbortSignal) => Promise<void>;
        /** One login to the token, and one signature that the certificate's public key verifies. */
        readonly prove: (signal: AbortSignal) => Promise<void>;
      }
    | undefined;
  readonly logIn: (signal: AbortSignal) => Promise<{
    readonly ttlMs: number;
    readonly renewable: boolean;
    /** Of a credential that lies ready for the next login, after this one. */
    readonly credential: { readonly expiresAtMs?: number; readonly usesLeft?: number };
  }>;
  /** The token's capabilities on each path. */
  readonly capabilities: (
    paths: readonly string[],
    signal: AbortSignal,
  ) => Promise<ReadonlyMap<string, readonly string[]>>;
  readonly transit: TransitClient;
  /** Revokes the token. */
  readonly close: () => Promise<void>;
}

export interface DoctorOptions extends ServiceLoad {
  readonly connect: (config: LoadedConfig["config"], serviceUid: number) => Promise<OpenBaoAccess>;
  readonly encryptionConfig: string | undefined;
  readonly previousEncryptionConfig: string | undefined;
  readonly expectedFingerprint: string | undefined;
  /** /etc/resolv.conf, or nothing. */
  readonly resolverConfig: string;
  readonly wallMs: () => number;
  readonly random: (bytes: number) => Uint8Array;
  /** Who doctor itself runs as. */
  readonly self: { readonly uid: number; readonly gid: number };
}

/** What earlier checks found out. Reading what is not there is a mistake in a check's `needs`. */
export interface Facts {
  /** The file was read, and refused for these problems. */
  refusal: ConfigError;
  /** How far OpenBao's clock is ahead of this machine's; `undefined` when it did not say. */
  clockSkewMs: number | undefined;
  loaded: LoadedConfig;
  service: UserIdentity;
  socketGid: number;
  access: OpenBaoAccess;
  metadata: KeyMetadata;
  /** Absent before the first start. */
  registry: StoredRecord | undefined;
}

export class DoctorContext {
  readonly options: DoctorOptions;
  readonly #facts: Partial<Facts> = {};
  readonly #known = new Set<keyof Facts>();

  constructor(options: DoctorOptions) {
    this.options = options;
  }

  learn<Name extends keyof Facts>(name: Name, fact: Facts[Name]): void {
    this.#facts[name] = fact;
    this.#known.add(name);
  }

  knows(name: keyof Facts): boolean {
    return this.#known.has(name);
  }

  fact<Name extends keyof Facts>(name: Name): Facts[Name] {
    const fact: Partial<Facts>[Name] = this.#facts[name];
    if (!isFact<Name>(fact, this.#known.has(name))) {
      throw new TypeError(`a check reads ${name} before it is known`);
    }
    return fact;
  }
}

/** Only `learn` puts facts in, so what is known has the type of its name. */
function isFact<Name extends keyof Facts>(
  _fact: Partial<Facts>[Name],
  isKnown: boolean,
): _fact is Facts[Name] {
  return isKnown;
}
