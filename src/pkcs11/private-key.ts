/** @module The private key in the token: find it, prove that it is the certificate's, sign. */
import { createHash, type KeyObject, randomBytes } from "node:crypto";
import { derFromRawEcdsa } from "./ecdsa-signature.ts";
import { HelperFailure } from "./failure.ts";
import {
  CKA,
  CKK,
  CKO_PRIVATE_KEY,
  callModule,
  type Handle,
  type Pkcs11,
  PSS_PARAMETER_TYPE,
  PSS_PARAMETERS,
} from "./pkcs11-library.ts";
import {
  type HashName,
  isSignatureOf,
  keyFamilyOf,
  MECHANISM,
  type SignatureScheme,
  schemesFor,
} from "./signature-schemes.ts";

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
  const family = keyFamilyOf(publicKey);
  if (family === undefined || keyType !== CKK[family]) {
    throw new HelperFailure("key_type_mismatch");
  }
  if (asksForPinEachTime(() => attribute(CKA.alwaysAuthenticate))) {
    throw new HelperFailure("key_always_authenticate");
  }

  const mechanisms = callModule("token_failed", "C_GetMechanismList", () => p11.C_GetMechanismList(slot));
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
  return callModule("sign_failed", "C_Sign", () => {
    p11.C_SignInit(session, mechanism, key);
    const out = Buffer.alloc(MAX_SIGNATURE_BYTES);
    return out.subarray(0, p11.C_Sign(session, data, out));
  });
}
