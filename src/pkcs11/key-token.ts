/** @module The key token: find it, log in once, find the key, sign. */
import { createHash, type KeyObject, randomBytes } from "node:crypto";
import { derFromRawEcdsa } from "./ecdsa-signature.ts";
import { HelperFailure, type HelperStage } from "./failure.ts";
import type { KeyTokenNames } from "./helper-protocol.ts";
import {
  CKA,
  CKF,
  CKK,
  CKO_PRIVATE_KEY,
  CKU_USER,
  type Handle,
  type Pkcs11,
  type Pkcs11Library,
  PSS_PARAMETER_TYPE,
  PSS_PARAMETERS,
  returnValueOf,
} from "./pkcs11-library.ts";
import {
  type HashName,
  isSignatureOf,
  keyFamilyOf,
  MECHANISM,
  type SignatureScheme,
  schemesFor,
} from "./signature-schemes.ts";

type ReportStage = (stage: HelperStage) => void;

/** A token that was found and may be logged in to; nothing has been spent yet. */
export interface FoundToken {
  /** Logs in with the one try that is allowed and gives the key that is `publicKey`'s other half. */
  openKey(login: TokenLogin): TokenKey;
  close(): void;
}

interface TokenLogin {
  readonly pin: string;
  /** Refuse when the token says that a PIN was wrong since the last good one: the last try's outcome is not known. */
  readonly refuseAfterFailedTry: boolean;
  readonly publicKey: KeyObject;
}

export interface TokenKey {
  /** What TLS may be offered, best first; never empty. */
  readonly schemes: readonly SignatureScheme[];
  /** A signature in the form that TLS sends, already checked with the certificate's public key. */
  sign(scheme: SignatureScheme, message: Uint8Array): Uint8Array;
}

/** Loads the module and finds the one token with the label. @throws HelperFailure */
export function findToken(library: Pkcs11Library, names: KeyTokenNames, report: ReportStage): FoundToken {
  report("module");
  const p11 = new library.PKCS11();
  call("module_broken", "load", () => p11.load(names.modulePath));
  call("module_broken", "C_Initialize", () => p11.C_Initialize({ flags: CKF.osLockingOk }));
  report("token");
  const slot = findSlot(p11, names.tokenLabel);
  const cleanups = [() => p11.C_Finalize(), () => p11.close()];
  return {
    openKey: (login) => {
      const session = openSession(p11, slot, names);
      cleanups.unshift(
        () => p11.C_Logout(session),
        () => p11.C_CloseSession(session),
      );
      checkTries(p11, slot, login.refuseAfterFailedTry);
      report("pin");
      logIn(p11, session, login.pin);
      report("key");
      return openKey(p11, slot, session, names.keyLabel, login.publicKey);
    },
    close: () => {
      for (const cleanup of cleanups) {
        try {
          cleanup();
        } catch {
          // The process ends next, and with it whatever the module still holds.
        }
      }
    },
  };
}

function findSlot(p11: Pkcs11, label: string): Handle {
  const slots = call("token_failed", "C_GetSlotList", () => p11.C_GetSlotList(true));
  const labelled = slots.filter((slot) => {
    try {
      return p11.C_GetTokenInfo(slot).label.trimEnd() === label;
    } catch {
      // A broken reader beside ours is not our failure.
      return false;
    }
  });
  const [slot] = labelled;
  if (slot === undefined) {
    throw new HelperFailure("token_missing");
  }
  if (labelled.length > 1) {
    throw new HelperFailure("token_ambiguous");
  }
  return slot;
}

/** One session, and only when neither the configuration nor the token says that there are enough. */
function openSession(p11: Pkcs11, slot: Handle, names: KeyTokenNames): Handle {
  const info = call("token_failed", "C_GetTokenInfo", () => p11.C_GetTokenInfo(slot));
  // CK_EFFECTIVELY_INFINITE is 0, CK_UNAVAILABLE_INFORMATION is all ones, which no number of sessions reaches.
  const tokenLimit = info.maxSessionCount > 0 ? info.maxSessionCount : Number.POSITIVE_INFINITY;
  const open = isKnownCount(info.sessionCount) ? info.sessionCount : 0;
  if (open >= Math.min(names.maxSessions, tokenLimit)) {
    throw new HelperFailure("sessions_exhausted");
  }
  try {
    return p11.C_OpenSession(slot, CKF.serialSession);
  } catch (error) {
    const value = returnValueOf(error);
    const code = value === "CKR_SESSION_COUNT" ? "sessions_exhausted" : "token_failed";
    throw new HelperFailure(code, detail("C_OpenSession", value), error);
  }
}

/** CK_UNAVAILABLE_INFORMATION is ~0, in 32 or 64 bits, and as a signed number -1. */
function isKnownCount(count: number): boolean {
  return count >= 0 && count < 0xffff_ffff;
}

function checkTries(p11: Pkcs11, slot: Handle, refuseAfterFailedTry: boolean): void {
  const { flags } = call("token_failed", "C_GetTokenInfo", () => p11.C_GetTokenInfo(slot));
  if ((flags & CKF.userPinLocked) !== 0) {
    throw new HelperFailure("pin_locked");
  }
  if ((flags & CKF.userPinFinalTry) !== 0) {
    throw new HelperFailure("pin_final_try");
  }
  if (refuseAfterFailedTry && (flags & CKF.userPinCountLow) !== 0) {
    throw new HelperFailure("pin_tried_before");
  }
}

function logIn(p11: Pkcs11, session: Handle, pin: string): void {
  try {
    p11.C_Login(session, CKU_USER, pin);
  } catch (error) {
    const value = returnValueOf(error);
    const because = detail("C_Login", value);
    switch (value) {
      case "CKR_USER_ALREADY_LOGGED_IN":
        return;
      case "CKR_PIN_INCORRECT":
      case "CKR_PIN_INVALID":
      case "CKR_PIN_LEN_RANGE":
        throw new HelperFailure("pin_refused", because, error);
      case "CKR_PIN_EXPIRED":
        throw new HelperFailure("pin_expired", because, error);
      case "CKR_PIN_LOCKED":
        throw new HelperFailure("pin_locked", because, error);
      case "CKR_USER_PIN_NOT_INITIALIZED":
        throw new HelperFailure("pin_not_initialized", because, error);
      default:
        throw new HelperFailure("login_failed", because, error);
    }
  }
}

function openKey(
  p11: Pkcs11,
  slot: Handle,
  session: Handle,
  keyLabel: string,
  publicKey: KeyObject,
): TokenKey {
  const key = findKey(p11, session, keyLabel);
  const attribute = (type: number): Uint8Array | undefined =>
    p11.C_GetAttributeValue(session, key, [{ type }])[0]?.value;

  // Before any C_SignInit: SoftHSM 2.6 crashes when an RSA mechanism meets an EC key.
  const keyType = ulong(call("token_failed", "C_GetAttributeValue", () => attribute(CKA.keyType)));
  const family = keyFamilyOf(publicKey);
  if (family === undefined || keyType !== CKK[family]) {
    throw new HelperFailure("key_type_mismatch");
  }
  if (asksForPinEachTime(() => attribute(CKA.alwaysAuthenticate))) {
    throw new HelperFailure("key_always_authenticate");
  }

  const mechanisms = call("token_failed", "C_GetMechanismList", () => p11.C_GetMechanismList(slot));
  const schemes = schemesFor(publicKey, new Set(mechanisms));
  const [best] = schemes;
  if (best === undefined) {
    throw new HelperFailure("mechanism_missing");
  }
  const sign = (scheme: SignatureScheme, message: Uint8Array): Uint8Array => {
    const raw = signRaw(p11, session, key, scheme, message);
    const signature = scheme.mechanism === MECHANISM.ecdsa ? derFromRawEcdsa(raw) : raw;
    if (signature === undefined || !isSignatureOf(publicKey, scheme, message, signature)) {
      throw new HelperFailure("key_mismatch");
    }
    return signature;
  };
  // The key is the certificate's only if a signature says so; labels and attributes may be copied.
  sign(best, Buffer.concat([Buffer.from("bao-kms-provider key proof\0"), randomBytes(32)]));
  return { schemes, sign };
}

function findKey(p11: Pkcs11, session: Handle, label: string): Handle {
  const found = call("token_failed", "C_FindObjects", () => {
    p11.C_FindObjectsInit(session, [
      { type: CKA.class, value: CKO_PRIVATE_KEY },
      { type: CKA.label, value: label },
    ]);
    try {
      return p11.C_FindObjects(session, 2);
    } finally {
      p11.C_FindObjectsFinal(session);
    }
  });
  const [key] = found;
  if (key === undefined) {
    throw new HelperFailure("key_missing");
  }
  if (found.length > 1) {
    throw new HelperFailure("key_ambiguous");
  }
  return key;
}

/** A CK_ULONG of this machine, little endian, of which key types use 32 bits. */
function ulong(value: Uint8Array | undefined): number | undefined {
  return value === undefined || value.length < 4 ? undefined : Buffer.from(value).readUInt32LE(0);
}

/** CKA_ALWAYS_AUTHENTICATE; a module that does not know the attribute means no. */
function asksForPinEachTime(read: () => Uint8Array | undefined): boolean {
  try {
    return read()?.[0] === 1;
  } catch {
    return false;
  }
}

/** DER of DigestInfo up to the digest (RFC 8017, section 9.2, note 1): CKM_RSA_PKCS pads but does not name the hash. */
const DIGEST_INFO: Readonly<Record<HashName, string>> = {
  sha256: "3031300d060960864801650304020105000420",
  sha384: "3041300d060960864801650304020205000430",
  sha512: "3051300d060960864801650304020305000440",
};

const MAX_SIGNATURE_BYTES = 1024;

function signRaw(
  p11: Pkcs11,
  session: Handle,
  key: Handle,
  scheme: SignatureScheme,
  message: Uint8Array,
): Uint8Array {
  const digest = createHash(scheme.hash).update(message).digest();
  const mechanism =
    scheme.mechanism === MECHANISM.rsaPkcsPss
      ? {
          mechanism: scheme.mechanism,
          parameter: { type: PSS_PARAMETER_TYPE, ...PSS_PARAMETERS[scheme.hash] },
        }
      : { mechanism: scheme.mechanism };
  const data =
    scheme.mechanism === MECHANISM.rsaPkcs
      ? Buffer.concat([Buffer.from(DIGEST_INFO[scheme.hash], "hex"), digest])
      : digest;
  return call("sign_failed", "C_Sign", () => {
    p11.C_SignInit(session, mechanism, key);
    const out = Buffer.alloc(MAX_SIGNATURE_BYTES);
    return out.subarray(0, p11.C_Sign(session, data, out));
  });
}

/** Runs one step of PKCS#11; what it throws becomes `code` with the return value's name. */
function call<T>(code: HelperFailure["code"], step: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw new HelperFailure(code, detail(step, returnValueOf(error)), error);
  }
}

function detail(step: string, returnValue: string | undefined): string {
  return returnValue === undefined ? step : `${step} ${returnValue}`;
}
