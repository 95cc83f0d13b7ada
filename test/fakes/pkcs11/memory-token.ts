/** @module A PKCS#11 library in memory, with keys that really sign; a test says how it is odd and which calls fail. */
import { constants, createHash, type KeyObject, privateEncrypt, randomBytes } from "node:crypto";
import type { Attribute, Handle, Mechanism, Pkcs11, TokenInfo } from "../../../src/pkcs11/pkcs11-library.ts";
import { CKA, CKK, CKO_PRIVATE_KEY, MECHANISM, PSS_PARAMETERS } from "../../../src/pkcs11/pkcs11-library.ts";

export interface MemoryKey {
  readonly label: string;
  readonly privateKey: KeyObject;
  readonly keyType?: Uint8Array;
  readonly alwaysAuthenticate?: Uint8Array;
}

export interface MemoryToken {
  readonly tokens?: readonly Partial<TokenInfo>[];
  readonly keys?: readonly MemoryKey[];
  readonly mechanisms?: readonly number[];
  /** Names of calls, each with the return value that it fails with. */
  readonly fails?: Readonly<Record<string, string>>;
  /** What becomes of each signature. */
  readonly spoil?: (signature: Uint8Array) => Uint8Array;
}

/** The library, and the calls that were made of it with what was given to them. */
export function memoryToken(token: MemoryToken) {
  const calls: string[] = [];
  const plain: TokenInfo = { label: "token".padEnd(32), flags: 0, maxSessionCount: 0, sessionCount: 0 };
  const infos = (token.tokens ?? [{}]).map((each): TokenInfo => Object.assign({}, plain, each));
  const run = <T>(name: string, given: readonly unknown[], result: () => T): T => {
    calls.push([name, ...given].join(" "));
    const failure = token.fails?.[name];
    if (failure !== undefined) {
      throw new Error(failure === "" ? "not of PKCS#11" : `${failure}:1`);
    }
    return result();
  };
  let found: readonly MemoryKey[] = [];
  let mechanism: Mechanism | undefined;
  const keyOf = (handle: Handle): MemoryKey => {
    const key = token.keys?.[handle[0] ?? 0];
    if (key === undefined) {
      throw new Error("CKR_OBJECT_HANDLE_INVALID:130");
    }
    return key;
  };

  class Library implements Pkcs11 {
    load(path: string): void {
      run("load", [path], () => {});
    }
    close(): void {
      run("close", [], () => {});
    }
    C_Initialize({ flags }: { readonly flags: number }): void {
      run("C_Initialize", [flags], () => {});
    }
    C_Finalize(): void {
      run("C_Finalize", [], () => {});
    }
    C_GetSlotList(tokenPresent: boolean): Handle[] {
      return run("C_GetSlotList", [tokenPresent], () => infos.map((_, index) => Uint8Array.of(index)));
    }
    C_GetTokenInfo(slot: Handle): TokenInfo {
      return run("C_GetTokenInfo", [slot[0]], () => {
        const info = infos[slot[0] ?? 0];
        if (info === undefined || info.label === "broken") {
          throw new Error("CKR_TOKEN_NOT_RECOGNIZED:225");
        }
        return info;
      });
    }
    C_GetMechanismList(slot: Handle): number[] {
      return run("C_GetMechanismList", [slot[0]], () => [
        ...(token.mechanisms ?? [MECHANISM.ecdsa, MECHANISM.rsaPkcs, MECHANISM.rsaPkcsPss]),
      ]);
    }
    C_OpenSession(slot: Handle, flags: number): Handle {
      return run("C_OpenSession", [slot[0], flags], () => Uint8Array.of(77));
    }
    C_CloseSession(session: Handle): void {
      run("C_CloseSession", [session[0]], () => {});
    }
    C_Login(session: Handle, userType: number, pin: string): void {
      run("C_Login", [session[0], userType, pin], () => {});
    }
    C_Logout(session: Handle): void {
      run("C_Logout", [session[0]], () => {});
    }
    C_FindObjectsInit(_session: Handle, template: readonly Attribute[]): void {
      run("C_FindObjectsInit", [], () => {
        const wanted = new Map(template.map(({ type, value }) => [type, value]));
        found = (token.keys ?? []).filter(
          ({ label }) => wanted.get(CKA.class) === CKO_PRIVATE_KEY && wanted.get(CKA.label) === label,
        );
      });
    }
    C_FindObjects(_session: Handle, maxObjectCount: number): Handle[] {
      return run("C_FindObjects", [], () =>
        found.slice(0, maxObjectCount).map((key) => Uint8Array.of(token.keys?.indexOf(key) ?? 0)),
      );
    }
    C_FindObjectsFinal(): void {
      run("C_FindObjectsFinal", [], () => {});
    }
    C_GetAttributeValue(_session: Handle, object: Handle, template: readonly Attribute[]) {
      const [{ type } = { type: 0 }] = template;
      return run(type === CKA.keyType ? "keyType" : "alwaysAuthenticate", [], () => {
        const { privateKey, keyType, alwaysAuthenticate } = keyOf(object);
        const family = privateKey.asymmetricKeyType === "rsa" ? CKK.rsa : CKK.ec;
        const value = type === CKA.keyType ? (keyType ?? Uint8Array.of(family, 0, 0, 0)) : alwaysAuthenticate;
        return value === undefined ? [] : [{ type, value }];
      });
    }
    C_SignInit(_session: Handle, wanted: Mechanism): void {
      run("C_SignInit", [wanted.mechanism], () => {
        mechanism = wanted;
      });
    }
    C_Sign(_session: Handle, data: Uint8Array, out: Uint8Array): number {
      return run("C_Sign", [data.length], () => {
        const [key] = found;
        if (key === undefined || mechanism === undefined) {
          throw new Error("CKR_OPERATION_NOT_INITIALIZED:145");
        }
        const made = signatureOf(key.privateKey, mechanism, data);
        const signature = token.spoil?.(made) ?? made;
        out.set(signature);
        return signature.length;
      });
    }
  }
  return { library: { PKCS11: Library }, calls };
}

/** As a token signs what was hashed outside of it. */
function signatureOf(key: KeyObject, { mechanism, parameter }: Mechanism, data: Uint8Array): Uint8Array {
  switch (mechanism) {
    case MECHANISM.ecdsa:
      return ecdsa(key, data);
    case MECHANISM.rsaPkcs:
      return privateEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, data);
    default: {
      const hash = (["sha256", "sha384", "sha512"] as const).find(
        (each) => PSS_PARAMETERS[each].hashAlg === parameter?.hashAlg,
      );
      if (hash === undefined || parameter?.type !== 5 || parameter.mgf !== PSS_PARAMETERS[hash].mgf) {
        throw new Error("CKR_MECHANISM_PARAM_INVALID:113");
      }
      return pss(key, hash, data, parameter.saltLen);
    }
  }
}

/** EMSA-PSS (RFC 8017, section 9.1.1) for a modulus of whole bytes. */
function pss(key: KeyObject, hash: string, digest: Uint8Array, saltLength: number): Uint8Array {
  const of = (...parts: readonly Uint8Array[]): Buffer =>
    createHash(hash).update(Buffer.concat(parts)).digest();
  const length = (key.asymmetricKeyDetails?.modulusLength ?? 0) / 8;
  const salt = randomBytes(saltLength);
  const h = of(Buffer.alloc(8), digest, salt);
  const plain = Buffer.concat([Buffer.alloc(length - saltLength - h.length - 2), Buffer.of(1), salt]);
  const blocks = Array.from({ length: Math.ceil(plain.length / h.length) }, (_, index) =>
    of(h, Buffer.of(0, 0, 0, index)),
  );
  const mask = Buffer.concat(blocks);
  const masked = plain.map((byte, index) => byte ^ (mask[index] ?? 0));
  masked[0] = (masked[0] ?? 0) & 0x7f;
  const encoded = Buffer.concat([masked, h, Buffer.of(0xbc)]);
  return privateEncrypt({ key, padding: constants.RSA_NO_PADDING }, encoded);
}

interface Curve {
  readonly p: bigint;
  readonly n: bigint;
  readonly g: readonly [bigint, bigint];
}

const CURVES: Readonly<Record<string, Curve>> = {
  "P-256": {
    p: 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn,
    n: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
    g: [
      0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296n,
      0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5n,
    ],
  },
  "P-384": {
    p: 0xfffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffffn,
    n: 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
    g: [
      0xaa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7n,
      0x3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5fn,
    ],
  },
};

/** ECDSA over a digest, as `r || s`; node:crypto signs messages only. */
function ecdsa(key: KeyObject, digest: Uint8Array): Uint8Array {
  const { crv = "", d = "" } = key.export({ format: "jwk" });
  const curve = CURVES[crv];
  if (curve === undefined) {
    throw new Error("CKR_CURVE_NOT_SUPPORTED:320");
  }
  const { p, n, g } = curve;
  const size = p.toString(16).length / 2;
  const k = toBigint(randomBytes(size)) % n;
  const r = mod(multiply(g, k, p)[0], n);
  const z = toBigint(digest.subarray(0, size));
  const s = mod(inverse(k, n) * (z + r * toBigint(Buffer.from(d, "base64url"))), n);
  return Buffer.from([r, s].map((each) => each.toString(16).padStart(2 * size, "0")).join(""), "hex");
}

type Point = readonly [bigint, bigint];
const toBigint = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
const mod = (value: bigint, by: bigint): bigint => ((value % by) + by) % by;

function inverse(value: bigint, by: bigint): bigint {
  let [a, b, x, y] = [mod(value, by), by, 1n, 0n];
  while (a > 1n) {
    const quotient = a / b;
    [a, b, x, y] = [b, a % b, y, x - quotient * y];
  }
  return mod(x, by);
}

/** On a curve with a = -3. */
function add([ax, ay]: Point, [bx, by]: Point, p: bigint): Point {
  const slope =
    ax === bx ? mod((3n * ax * ax - 3n) * inverse(2n * ay, p), p) : mod((by - ay) * inverse(bx - ax, p), p);
  const x = mod(slope * slope - ax - bx, p);
  return [x, mod(slope * (ax - x) - ay, p)];
}

function multiply(point: Point, times: bigint, p: bigint): Point {
  let result: Point | undefined;
  let power = point;
  for (let rest = times; rest > 0n; rest >>= 1n) {
    if (rest & 1n) {
      result = result === undefined ? power : add(result, power, p);
    }
    power = add(power, power, p);
  }
  return result ?? point;
}
