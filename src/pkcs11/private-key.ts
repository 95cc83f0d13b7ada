/** @module The private key in the token: find it, prove that it is the certificate's, sign. */
import { constants, createHash, type KeyObject, randomBytes, verify } from "node:crypto";
import { HelperFailure } from "./errors.ts";
import {
  CKA,
  CKK,
  CKO_PRIVATE_KEY,
  callModule,
  type Handle,
  MECHANISM,
  onlyOne,
  type Pkcs11,
  PSS_PARAMETER_TYPE,
  PSS_PARAMETERS,
} from "./pkcs11-library.ts";

interface SignatureScheme {
  /** In TLS. */
  readonly id: number;
  readonly hash: keyof typeof PSS_PARAMETERS;
  readonly mechanism: (typeof MECHANISM)[keyof typeof MECHANISM];
  /** The curve in OpenSSL's words, for ECDSA: TLS 1.3 ties hash and curve together. */
  readonly curve?: string;
}

/** Best first. PKCS#1 v1.5 serves TLS 1.2 only: TLS 1.3 takes it for certificates, not for handshakes. */
const SIGNATURE_SCHEMES: readonly SignatureScheme[] = [
  { id: 0x0403, hash: "sha256", mechanism: MECHANISM.ecdsa, curve: "prime256v1" },
  { id: 0x0503, hash: "sha384", mechanism: MECHANISM.ecdsa, curve: "secp384r1" },
  { id: 0x0804, hash: "sha256", mechanism: MECHANISM.rsaPkcsPss },
  { id: 0x0805, hash: "sha384", mechanism: MECHANISM.rsaPkcsPss },
  { id: 0x0806, hash: "sha512", mechanism: MECHANISM.rsaPkcsPss },
  { id: 0x0401, hash: "sha256", mechanism: MECHANISM.rsaPkcs },
  { id: 0x0501, hash: "sha384", mechanism: MECHANISM.rsaPkcs },
  { id: 0x0601, hash: "sha512", mechanism: MECHANISM.rsaPkcs },
];

/** How node:crypto checks a signature of each mechanism. */
const VERIFY_OPTIONS = {
  [MECHANISM.ecdsa]: { dsaEncoding: "der" },
  [MECHANISM.rsaPkcsPss]: {
    padding: constants.RSA_PKCS1_PSS_PADDING,
    saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
  },
  [MECHANISM.rsaPkcs]: { padding: constants.RSA_PKCS1_PADDING },
} as const;

export interface TokenKey {
  /** What TLS may be offered, best first; never empty. */
  readonly schemes: readonly SignatureScheme[];
  /** A signature in the form that TLS sends, already checked with the certificate's public key. */
  sign(scheme: SignatureScheme, message: Uint8Array): Uint8Array;
}

/** Finds the key that is `publicKey`'s other half in a session that is logged in. @throws HelperFailure */
export function openKey(
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
  const keyType = ulong(callModule("token_failed", "C_GetAttributeValue", () => attribute(CKA.keyType)));
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = publicKey;
  if ((type !== "rsa" && type !== "ec") || keyType !== CKK[type]) {
    throw new HelperFailure("key_type_mismatch");
  }
  if (asksForPinEachTime(() => attribute(CKA.alwaysAuthenticate))) {
    throw new HelperFailure("key_always_authenticate");
  }

  const mechanisms = callModule("token_failed", "C_GetMechanismList", () => p11.C_GetMechanismList(slot));
  const schemes = SIGNATURE_SCHEMES.filter(
    ({ mechanism, curve }) => mechanisms.includes(mechanism) && curve === details?.namedCurve,
  );
  const [best] = schemes;
  if (best === undefined) {
    throw new HelperFailure("mechanism_missing");
  }
  const sign = (scheme: SignatureScheme, message: Uint8Array): Uint8Array => {
    const raw = signRaw(p11, session, key, scheme, message);
    const signature = scheme.mechanism === MECHANISM.ecdsa ? derFromRawEcdsa(raw) : raw;
    const verifier = { key: publicKey, ...VERIFY_OPTIONS[scheme.mechanism] };
    if (signature === undefined || !verify(scheme.hash, message, verifier, signature)) {
      throw new HelperFailure("key_mismatch");
    }
    return signature;
  };
  // The key is the certificate's only if a signature says so; labels and attributes may be copied.
  sign(best, Buffer.concat([Buffer.from("bao-kms-provider key proof\0"), randomBytes(32)]));
  return { schemes, sign };
}

function findKey(p11: Pkcs11, session: Handle, label: string): Handle {
  const found = callModule("token_failed", "C_FindObjects", () => {
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
  return onlyOne(found, "key");
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
const DIGEST_INFO: Readonly<Record<SignatureScheme["hash"], string>> = {
  sha256: "3031300d060960864801650304020105000420",
  sha384: "3041300d060960864801650304020205000430",
  sha512: "3051300d060960864801650304020305000440",
};

const MAX_SIGNATURE_BYTES = 1024;

function signRaw(
  p11: Pkcs11,
  session: Handle,
  key: Handle,
  { mechanism, hash }: SignatureScheme,
  message: Uint8Array,
): Uint8Array {
  const digest = createHash(hash).update(message).digest();
  const isPss = mechanism === MECHANISM.rsaPkcsPss;
  const parameter = { type: PSS_PARAMETER_TYPE, ...PSS_PARAMETERS[hash] };
  const prefix = mechanism === MECHANISM.rsaPkcs ? DIGEST_INFO[hash] : "";
  const data = Buffer.concat([Buffer.from(prefix, "hex"), digest]);
  return callModule("sign_failed", "C_Sign", () => {
    p11.C_SignInit(session, isPss ? { mechanism, parameter } : { mechanism }, key);
    const out = Buffer.alloc(MAX_SIGNATURE_BYTES);
    return out.subarray(0, p11.C_Sign(session, data, out));
  });
}

/** Two integers of the widest curve served, P-384. */
const MAX_RAW_ECDSA_BYTES = 2 * 48;

/**
 * `r || s`, both of the same length (PKCS#11 2.40, section 2.3.1), as DER `SEQUENCE { INTEGER r, INTEGER s }` (RFC 3279,
 * section 2.2.3). `undefined` when the length is not one that P-256 or P-384 can have, or when r or s is zero.
 */
export function derFromRawEcdsa(raw: Uint8Array): Uint8Array | undefined {
  if (raw.length === 0 || raw.length % 2 !== 0 || raw.length > MAX_RAW_ECDSA_BYTES) {
    return undefined;
  }
  const r = derInteger(raw.subarray(0, raw.length / 2));
  const s = derInteger(raw.subarray(raw.length / 2));
  if (r === undefined || s === undefined) {
    return undefined;
  }
  // At most 2 × (2 + 1 + 48) bytes: one length byte is always enough.
  return Uint8Array.of(0x30, r.length + s.length, ...r, ...s);
}

/** The shortest two's complement form of a positive number; `undefined` for zero. */
function derInteger(magnitude: Uint8Array): Uint8Array | undefined {
  const start = magnitude.findIndex((byte) => byte !== 0);
  if (start < 0) {
    return undefined;
  }
  const digits = magnitude.subarray(start);
  const sign = (digits[0] ?? 0) >= 0x80 ? [0] : [];
  return Uint8Array.of(0x02, sign.length + digits.length, ...sign, ...digits);
}
