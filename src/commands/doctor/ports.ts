/**
 * What doctor is given, and what its checks tell each other.
 *
 * @module Options and the one mutable record of facts.
 */
import type { ConfigError } from "../../config/errors.ts";
import type { LoadedConfig } from "../../config/load.ts";
import type { StoredRecord } from "../../key/registry/read-state.ts";
import type { KeyMetadata } from "../../openbao/transit/key-metadata.ts";
import type { OperatorAccess } from "../../provider/operator.ts";
import type { ServiceLoad } from "../load-for-service.ts";
import type { UserIdentity } from "../service-identity.ts";

export interface DoctorOptions extends ServiceLoad {
  readonly connect: (config: LoadedConfig["config"], serviceUid: number) => Promise<OperatorAccess>;
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
  access: OperatorAccess;
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
