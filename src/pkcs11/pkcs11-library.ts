/** @module The part of pkcs11.node (pkcs11js, without its JavaScript) that is used here. */
import { HelperFailure } from "./errors.ts";

export type Handle = Uint8Array;

export interface TokenInfo {
  readonly label: string;
  readonly flags: number;
  readonly maxSessionCount: number;
  readonly sessionCount: number;
}

export interface Attribute {
  readonly type: number;
  readonly value?: number | string | Uint8Array;
}

export interface Mechanism {
  readonly mechanism: number;
  readonly parameter?: {
    readonly type: number;
    readonly hashAlg: number;
    readonly mgf: number;
    readonly saltLen: number;
  };
}

/** One instance per loaded module. Every method throws on any return value but CKR_OK. */
export interface Pkcs11 {
  load(path: string): void;
  close(): void;
  C_Initialize(options: { readonly flags: number }): void;
  C_Finalize(): void;
  C_GetSlotList(tokenPresent: boolean): Handle[];
  C_GetTokenInfo(slot: Handle): TokenInfo;
  C_GetMechanismList(slot: Handle): number[];
  C_OpenSession(slot: Handle, flags: number): Handle;
  C_CloseSession(session: Handle): void;
  C_Login(session: Handle, userType: number, pin: string): void;
  C_Logout(session: Handle): void;
  C_FindObjectsInit(session: Handle, template: readonly Attribute[]): void;
  C_FindObjects(session: Handle, maxObjectCount: number): Handle[];
  C_FindObjectsFinal(session: Handle): void;
  C_GetAttributeValue(
    session: Handle,
    object: Handle,
    template: readonly Attribute[],
  ): readonly { readonly type: number; readonly value: Uint8Array }[];
  C_SignInit(session: Handle, mechanism: Mechanism, key: Handle): void;
  C_Sign(session: Handle, data: Uint8Array, out: Uint8Array): number;
}

export interface Pkcs11Library {
  readonly PKCS11: new () => Pkcs11;
}

export const CKF = {
  osLockingOk: 0x2,
  serialSession: 0x4,
  /** A wrong PIN was given at least once since the last good one. */
  userPinCountLow: 0x10000,
  userPinFinalTry: 0x20000,
  userPinLocked: 0x40000,
} as const;
export const CKU_USER = 1;
export const CKO_PRIVATE_KEY = 3;
export const CKA = { class: 0x0, label: 0x3, keyType: 0x100, alwaysAuthenticate: 0x202 } as const;
export const CKK = { rsa: 0x0, ec: 0x3 } as const;
/** PKCS#11 2.40, section 2: the three mechanisms that sign a hash made outside of the token. */
export const MECHANISM = { rsaPkcs: 0x1, rsaPkcsPss: 0xd, ecdsa: 0x1041 } as const;
/** CK_RSA_PKCS_PSS_PARAMS: hash mechanism and mask generation function by hash. */
export const PSS_PARAMETERS = {
  sha256: { hashAlg: 0x250, mgf: 2, saltLen: 32 },
  sha384: { hashAlg: 0x260, mgf: 3, saltLen: 48 },
  sha512: { hashAlg: 0x270, mgf: 4, saltLen: 64 },
} as const;
/** pkcs11js' own tag of a PSS parameter (its CK_PARAMS_RSA_PSS). */
export const PSS_PARAMETER_TYPE = 5;

/** The CKR_ name in an exception of pkcs11.node; `undefined` when it is not one of PKCS#11. */
export function returnValueOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) {
    return undefined;
  }
  // The bare addon puts `CKR_NAME:number` into the message; nothing else of the text is used.
  return /\b(CKR_[A-Z0-9_]{1,60})\b/.exec(`${error.message}\n${error.stack ?? ""}`)?.[1];
}

/** Runs one step of PKCS#11; what it throws becomes `code` with the return value's name. */
export function callModule<T>(code: HelperFailure["code"], step: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw new HelperFailure(code, stepDetail(step, returnValueOf(error)), error);
  }
}

/** The one that was found. */
export function onlyOne<T>(found: readonly T[], what: "token" | "key"): T {
  const [first] = found;
  if (first === undefined || found.length > 1) {
    throw new HelperFailure(first === undefined ? `${what}_missing` : `${what}_ambiguous`);
  }
  return first;
}

export function stepDetail(step: string, returnValue: string | undefined): string {
  return returnValue === undefined ? step : `${step} ${returnValue}`;
}
