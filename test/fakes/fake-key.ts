/**
 * @module A Transit key in memory, as small as rotation needs it. Versions with material of their own, the settings that hide
 * or forbid, and answers that lag or fail.
 */
import type { AnswerCode } from "../../src/openbao/client/errors.ts";
import { answerError } from "../../src/openbao/client/errors.ts";
import type { TransitClient } from "../../src/openbao/transit/client.ts";
import type { KeyMetadata } from "../../src/openbao/transit/key-metadata.ts";
import { testMetadata } from "./key-scope.ts";

interface FakeVersion {
  readonly version: number;
  readonly createdAtUnix: number;
  /** Differs between two keys of the same name. */
  readonly material: string;
}

export interface FakeKeyState {
  readonly exists: boolean;
  readonly versions: readonly FakeVersion[];
  readonly minDecryptionVersion: number;
  readonly upsertDisabled: boolean;
  readonly settings: Partial<KeyMetadata>;
}

export type FakeCall = "readKey" | "readDisableUpsert" | "encrypt" | "decrypt";

/** With `nowMs` versions carry the time at which they were made, and answers OpenBao's clock. */
export function fakeKey(nowMs?: () => number) {
  let created = 0;
  let reads = 0;
  let failure: { readonly code: AnswerCode; readonly only: FakeCall | undefined } | undefined;
  let lagging: FakeKeyState | undefined;
  const newVersion = (version: number): FakeVersion => {
    created += 1;
    const createdAtUnix = nowMs === undefined ? 1_700_000_000 + created : Math.floor(nowMs() / 1000);
    return { version, createdAtUnix, material: `material ${created}` };
  };
  let state: FakeKeyState = {
    exists: true,
    versions: [newVersion(1)],
    minDecryptionVersion: 1,
    upsertDisabled: true,
    settings: {},
  };

  const call = async <T>(
    operation: FakeCall,
    signal: AbortSignal,
    answer: (now: FakeKeyState) => T,
  ): Promise<T> => {
    await Promise.resolve();
    signal.throwIfAborted();
    if (failure !== undefined && (failure.only === undefined || failure.only === operation)) {
      throw refused(failure.code);
    }
    return answer(lagging ?? state);
  };
  const refused = (code: AnswerCode): Error =>
    answerError(code, { operation: "test", path: "transit/keys/test" });
  const latestOf = ({ versions }: FakeKeyState): number => versions.at(-1)?.version ?? 0;

  const decrypt: TransitClient["decrypt"] = ({ ciphertext, associatedData }, signal) =>
    call("decrypt", signal, (now) => open(now, ciphertext, associatedData));
  const open = (now: FakeKeyState, ciphertext: string, associatedData: string): Uint8Array => {
    const [, number, body] = /^vault:v(\d+):(.*)$/.exec(ciphertext) ?? [];
    const version = now.versions.find((each) => each.version === Number(number));
    if (!now.exists || version === undefined) {
      throw refused(now.exists ? "version_too_new" : "key_missing");
    }
    if (version.version < now.minDecryptionVersion) {
      throw refused("version_too_old");
    }
    const content: unknown = JSON.parse(Buffer.from(body ?? "", "base64").toString());
    if (
      !isContent(content) ||
      content.material !== version.material ||
      content.associatedData !== associatedData
    ) {
      throw refused("decrypt_failed");
    }
    return Buffer.from(content.text, "hex");
  };

  const transit: Omit<TransitClient, "calls"> = {
    readKey: (signal) => {
      reads += 1;
      return call("readKey", signal, (now) => {
        if (!now.exists) {
          throw refused("not_found");
        }
        return { ...metadataOf(now, latestOf(now)), answeredAtMs: secondOf(nowMs?.()) };
      });
    },
    readDisableUpsert: (signal) => call("readDisableUpsert", signal, (now) => now.upsertDisabled),
    encrypt: ({ plaintext, associatedData, keyVersion }, signal) =>
      call("encrypt", signal, (now) => {
        const version = now.versions.find((each) => each.version === keyVersion);
        if (!now.exists || version === undefined) {
          throw refused(now.exists ? "version_too_new" : "key_missing");
        }
        const content = {
          material: version.material,
          associatedData,
          text: Buffer.from(plaintext).toString("hex"),
        };
        return `vault:v${keyVersion}:${Buffer.from(JSON.stringify(content)).toString("base64")}`;
      }),
    decrypt,
    decryptTogether: (inputs, signal) =>
      call("decrypt", signal, (now) =>
        inputs.map(({ ciphertext, associatedData }, batchIndex) => {
          try {
            const value = open(now, ciphertext, associatedData);
            return { ok: true, value: { value, requestId: "request", batchIndex } };
          } catch (error) {
            return { ok: false, error };
          }
        }),
      ),
  };

  return {
    get state() {
      return state;
    },
    /** How often the key's metadata was read. */
    get reads() {
      return reads;
    },
    transit,
    change: (change: Partial<FakeKeyState>) => {
      state = { ...state, ...change };
    },
    rotate: () => {
      state = { ...state, versions: [...state.versions, newVersion(latestOf(state) + 1)] };
    },
    /** Deletes the key and makes it again with as many versions; nothing of before decrypts. */
    recreate: () => {
      state = { ...state, versions: state.versions.map(({ version }) => newVersion(version)) };
    },
    restore: (before: FakeKeyState) => {
      state = before;
    },
    /** Every call fails with this answer until it is called with `undefined`. */
    failWith: (code: AnswerCode | undefined, only?: FakeCall) => {
      failure = code === undefined ? undefined : { code, only };
    },
    /** Metadata and calls answer from this state, as a standby does that lags; `undefined` ends it. */
    lag: (before: FakeKeyState | undefined) => {
      lagging = before;
    },
  };
}

export type FakeKey = ReturnType<typeof fakeKey>;

/** As an HTTP Date header has it. */
function secondOf(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.floor(ms / 1000) * 1000;
}

function metadataOf(
  { versions, minDecryptionVersion, settings }: FakeKeyState,
  latestVersion: number,
): KeyMetadata {
  return {
    ...testMetadata([latestVersion]),
    minDecryptionVersion,
    latestVersion,
    versions: versions
      .filter(({ version }) => version >= minDecryptionVersion)
      .map(({ version, createdAtUnix }) => ({ version, createdAtUnix })),
    ...settings,
  };
}

function isContent(
  value: unknown,
): value is { readonly material: string; readonly associatedData: string; readonly text: string } {
  return (
    typeof value === "object" &&
    value !== null &&
    "material" in value &&
    "associatedData" in value &&
    "text" in value
  );
}
