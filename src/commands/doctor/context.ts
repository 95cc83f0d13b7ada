/** @module What doctor's checks are given and tell each other, and their ids: a closed set, the same across releases. */
import type { ConfigError } from "../../config/errors.ts";
import type { LoadedConfig } from "../../config/load.ts";
import type { StoredRecord } from "../../key/registry/read-state.ts";
import type { KeyMetadata } from "../../openbao/transit/key-metadata.ts";
import type { OperatorAccess } from "../../provider/operator.ts";
import type { Check } from "../check.ts";
import type { ServiceLoad } from "../configuration.ts";
import type { UserIdentity } from "../service-identity.ts";

interface DoctorOptions extends ServiceLoad {
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
interface Facts {
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

  constructor(options: DoctorOptions) {
    this.options = options;
  }

  learn<Name extends keyof Facts>(name: Name, fact: Facts[Name]): void {
    this.#facts[name] = fact;
  }

  knows(name: keyof Facts): boolean {
    return Object.hasOwn(this.#facts, name);
  }

  fact<Name extends keyof Facts>(name: Name): Facts[Name] {
    const fact: Partial<Facts>[Name] = this.#facts[name];
    if (!isFact<Name>(fact, this.knows(name))) {
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

export const CHECK_IDS = [
  "config.load",
  "config.validate",
  "socket.group",
  "socket.directory",
  "jwt.local",
  "oauth2.local",
  "oauth2.acquire",
  "spiffe.local",
  "spiffe.acquire",
  "approle.local",
  "auth.cert.local",
  "auth.cert.pkcs11",
  "auth.cert.signer",
  "kubernetes.encryption_config",
  "openbao.tls",
  "openbao.clock",
  "openbao.auth",
  "transit.capabilities",
  "transit.metadata",
  "transit.profile",
  "transit.disable_upsert",
  "transit.probe",
  "key_id.deterministic",
  "registry.state",
  "kms.status_encrypt",
] as const;

type CheckId = (typeof CHECK_IDS)[number];
export type DoctorCheck = Check<CheckId, DoctorContext>;
