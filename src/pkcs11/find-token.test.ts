/** What a token, its sessions, its PIN and its keys must be like, and that every signature is checked before it is used. */

import { describe, expect, test } from "bun:test";
import { constants, createPublicKey, generateKeyPairSync, verify } from "node:crypto";
import { type MemoryToken, memoryToken } from "../../test/fakes/pkcs11/memory-token.ts";
import { HelperFailure } from "./errors.ts";
import { findToken } from "./find-token.ts";
import { MECHANISM } from "./pkcs11-library.ts";
import type { TokenKey } from "./private-key.ts";

const NAMES = { modulePath: "/m.so", tokenLabel: "token", keyLabel: "client", maxSessions: 2 };
const p256 = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
const other = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
const p384 = generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey;
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
const ed25519 = generateKeyPairSync("ed25519").privateKey;
const MESSAGE = Buffer.from("what TLS signs");

function outcomeOf(work: () => unknown): string {
  try {
    work();
    return "done";
  } catch (error) {
    if (!(error instanceof HelperFailure)) {
      throw error;
    }
    return error.detail === undefined ? error.code : `${error.code} (${error.detail})`;
  }
}

/** A token with the client's key, opened as far as it goes. */
function opened(token: MemoryToken, { key = p256, refuseAfterFailedTry = false, names = NAMES } = {}) {
  const stages: string[] = [];
  const { library, calls } = memoryToken({ keys: [{ label: "client", privateKey: key }], ...token });
  let found: TokenKey | undefined;
  const outcome = outcomeOf(() => {
    const there = findToken(library, names, (stage) => stages.push(stage));
    found = there.openKey({ pin: "482913", refuseAfterFailedTry }, createPublicKey(key));
  });
  return { outcome, calls, stages, key: found, logins: calls.filter((each) => each.startsWith("C_Login")) };
}

describe("the token", () => {
  test("is loaded, found by its label, and reported step by step", () => {
    const { outcome, calls, stages } = opened({ tokens: [{ label: "another" }, { label: "broken" }, {}] });
    expect(outcome).toBe("done");
    expect(stages).toEqual(["module", "token", "pin", "key"]);
    expect(calls.slice(0, 3)).toEqual(["load /m.so", "C_Initialize 2", "C_GetSlotList true"]);
    expect(calls).toContain("C_OpenSession 2 4");
  });

  test.each<readonly [string, MemoryToken, string]>([
    ["cannot be loaded", { fails: { load: "" } }, "module_broken (load)"],
    [
      "does not start",
      { fails: { C_Initialize: "CKR_GENERAL_ERROR" } },
      "module_broken (C_Initialize CKR_GENERAL_ERROR)",
    ],
    [
      "has no slots",
      { fails: { C_GetSlotList: "CKR_DEVICE_ERROR" } },
      "token_failed (C_GetSlotList CKR_DEVICE_ERROR)",
    ],
    ["has another label", { tokens: [{ label: "tokens" }] }, "token_missing"],
    ["is there twice", { tokens: [{}, {}] }, "token_ambiguous"],
    ["has its label in blanks only", { tokens: [{ label: "  " }] }, "token_missing"],
    [
      "opens no session",
      { fails: { C_OpenSession: "CKR_DEVICE_REMOVED" } },
      "token_failed (C_OpenSession CKR_DEVICE_REMOVED)",
    ],
    [
      "has no session left",
      { fails: { C_OpenSession: "CKR_SESSION_COUNT" } },
      "sessions_exhausted (C_OpenSession CKR_SESSION_COUNT)",
    ],
    ["has as many sessions as are allowed", { tokens: [{ sessionCount: 2 }] }, "sessions_exhausted"],
    ["has one session less", { tokens: [{ sessionCount: 1 }] }, "done"],
    [
      "has as many sessions as it can",
      { tokens: [{ sessionCount: 1, maxSessionCount: 1 }] },
      "sessions_exhausted",
    ],
    ["can have more sessions", { tokens: [{ sessionCount: 1, maxSessionCount: 3 }] }, "done"],
    ["does not know its sessions", { tokens: [{ sessionCount: 0xffff_ffff }] }, "done"],
    ["does not know them, signed", { tokens: [{ sessionCount: -1 }] }, "done"],
    ["has very many sessions", { tokens: [{ sessionCount: 0xffff_fffe }] }, "sessions_exhausted"],
    ["has none", { tokens: [{ sessionCount: 0, maxSessionCount: 1 }] }, "done"],
  ])("that %s", (_, token, expected) => {
    expect(opened(token).outcome).toBe(expected);
  });

  test("is left in the order in which it was taken, whatever fails", () => {
    for (const fails of [{}, { C_Logout: "CKR_DEVICE_ERROR", C_Finalize: "CKR_DEVICE_ERROR" }]) {
      const { library, calls } = memoryToken({ keys: [{ label: "client", privateKey: p256 }], fails });
      const token = findToken(library, NAMES, () => {});
      token.openKey({ pin: "1", refuseAfterFailedTry: false }, createPublicKey(p256));
      token.close();
      expect(calls.slice(-4)).toEqual(["C_Logout 77", "C_CloseSession 77", "C_Finalize", "close"]);
    }
  });

  test("that was not logged in to is left all the same", () => {
    const { library, calls } = memoryToken({});
    findToken(library, NAMES, () => {}).close();
    expect(calls.slice(-2)).toEqual(["C_Finalize", "close"]);
    expect(calls.some((each) => each.startsWith("C_Logout"))).toBe(false);
  });
});

describe("the PIN", () => {
  const LOCKED = 0x40000;
  const FINAL_TRY = 0x20000;
  const COUNT_LOW = 0x10000;

  test("is given once, to the user's account", () => {
    expect(opened({}).logins).toEqual(["C_Login 77 1 482913"]);
  });

  test.each([
    [LOCKED, false, "pin_locked"],
    [LOCKED | FINAL_TRY | COUNT_LOW, true, "pin_locked"],
    [FINAL_TRY, false, "pin_final_try"],
    [FINAL_TRY | COUNT_LOW, true, "pin_final_try"],
    [COUNT_LOW, true, "pin_tried_before"],
  ])(
    "is not given to a token with the flags 0x%x (refused after a failed try: %p)",
    (flags, refuse, code) => {
      const { outcome, logins } = opened({ tokens: [{ flags }] }, { refuseAfterFailedTry: refuse });
      expect([outcome, logins]).toEqual([code, []]);
    },
  );

  test.each([
    [COUNT_LOW, false],
    [0, true],
  ])("is given to a token with the flags 0x%x (refused after a failed try: %p)", (flags, refuse) => {
    expect(opened({ tokens: [{ flags }] }, { refuseAfterFailedTry: refuse }).outcome).toBe("done");
  });

  test.each([
    ["CKR_PIN_INCORRECT", "pin_refused"],
    ["CKR_PIN_INVALID", "pin_refused"],
    ["CKR_PIN_LEN_RANGE", "pin_refused"],
    ["CKR_PIN_EXPIRED", "pin_expired"],
    ["CKR_PIN_LOCKED", "pin_locked"],
    ["CKR_USER_PIN_NOT_INITIALIZED", "pin_not_initialized"],
    ["CKR_DEVICE_ERROR", "login_failed"],
  ])("that meets %s: %s", (value, code) => {
    expect(opened({ fails: { C_Login: value } }).outcome).toBe(`${code} (C_Login ${value})`);
  });

  test("that is in force already is good", () => {
    expect(opened({ fails: { C_Login: "CKR_USER_ALREADY_LOGGED_IN" } }).outcome).toBe("done");
  });

  test("a login that fails outside of PKCS#11 shows no text", () => {
    expect(opened({ fails: { C_Login: "" } }).outcome).toBe("login_failed (C_Login)");
  });
});

describe("the key", () => {
  const client = { label: "client", privateKey: p256 };
  test.each<readonly [string, MemoryToken, string]>([
    ["is not there", { keys: [{ ...client, label: "clients" }] }, "key_missing"],
    ["is there twice", { keys: [client, client] }, "key_ambiguous"],
    ["cannot be looked for", { fails: { C_FindObjectsInit: "" } }, "token_failed (C_FindObjects)"],
    ["cannot be found", { fails: { C_FindObjects: "" } }, "token_failed (C_FindObjects)"],
    ["has no type", { fails: { keyType: "" } }, "token_failed (C_GetAttributeValue)"],
    ["is of another family", { keys: [{ ...client, privateKey: rsa }] }, "key_type_mismatch"],
    [
      "has a type of three bytes",
      { keys: [{ ...client, keyType: Buffer.of(3, 0, 0) }] },
      "key_type_mismatch",
    ],
    [
      "has a type of eight bytes",
      { keys: [{ ...client, keyType: Buffer.of(3, 0, 0, 0, 0, 0, 0, 0) }] },
      "done",
    ],
    [
      "asks for a PIN each time",
      { keys: [{ ...client, alwaysAuthenticate: Buffer.of(1) }] },
      "key_always_authenticate",
    ],
    ["asks for no PIN each time", { keys: [{ ...client, alwaysAuthenticate: Buffer.of(0) }] }, "done"],
    [
      "does not know whether it asks",
      { fails: { alwaysAuthenticate: "CKR_ATTRIBUTE_TYPE_INVALID" } },
      "done",
    ],
    [
      "has no mechanism of ours",
      { mechanisms: [MECHANISM.rsaPkcs, MECHANISM.rsaPkcsPss] },
      "mechanism_missing",
    ],
    [
      "has mechanisms that cannot be listed",
      { fails: { C_GetMechanismList: "" } },
      "token_failed (C_GetMechanismList)",
    ],
    [
      "makes no signature",
      { fails: { C_Sign: "CKR_FUNCTION_FAILED" } },
      "sign_failed (C_Sign CKR_FUNCTION_FAILED)",
    ],
    ["is another one with its label", { keys: [{ ...client, privateKey: other }] }, "key_mismatch"],
    ["makes a signature that is cut off", { spoil: (each) => each.subarray(1) }, "key_mismatch"],
    ["makes a signature of zeros", { spoil: (each) => each.fill(0) }, "key_mismatch"],
  ])("that %s", (_, token, expected) => {
    expect(opened(token).outcome).toBe(expected);
  });

  test("of a certificate that no scheme serves is refused", () => {
    const untyped = { label: "client", privateKey: p256, keyType: Buffer.of(3, 0, 0) };
    expect(opened({ keys: [untyped] }, { key: ed25519 }).outcome).toBe("key_type_mismatch");
    expect(opened({ keys: [{ label: "client", privateKey: p256 }] }, { key: ed25519 }).outcome).toBe(
      "key_type_mismatch",
    );
  });

  test("a search is ended also when it fails", () => {
    for (const fails of [{}, { C_FindObjects: "" }]) {
      expect(opened({ fails }).calls).toContain("C_FindObjectsFinal");
    }
  });

  test("is proven by a signature before it is used", () => {
    expect(opened({}).calls.filter((each) => each.startsWith("C_Sign "))).toEqual(["C_Sign 32"]);
  });
});

describe("a signature", () => {
  const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
  const all = [MECHANISM.ecdsa, MECHANISM.rsaPkcs, MECHANISM.rsaPkcsPss];
  test.each([
    ["P-256", p256, all, [0x0403]],
    ["P-384", p384, all, [0x0503]],
    ["RSA", rsa, all, [0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601]],
    ["RSA, PSS alone", rsa, [MECHANISM.rsaPkcsPss], [0x0804, 0x0805, 0x0806]],
    ["RSA, PKCS#1 alone", rsa, [MECHANISM.rsaPkcs], [0x0401, 0x0501, 0x0601]],
  ])("of %s is offered in this order and verifies", (_, privateKey, mechanisms, expected) => {
    const { key } = opened({ keys: [{ label: "client", privateKey }], mechanisms }, { key: privateKey });
    expect(key?.schemes.map(({ id }) => id)).toEqual(expected);
    for (const scheme of key?.schemes ?? []) {
      const padding = scheme.mechanism === MECHANISM.rsaPkcsPss ? pss : { dsaEncoding: "der" as const };
      const signature = key?.sign(scheme, MESSAGE) ?? Buffer.of();
      const publicKey = { key: createPublicKey(privateKey), ...padding };
      expect(verify(scheme.hash, MESSAGE, publicKey, signature)).toBe(true);
    }
  });

  test.each([
    ["P-256", p256],
    ["RSA", rsa],
  ])("of %s that does not verify is not given out", (_, privateKey) => {
    let spoil = false;
    const { key } = opened(
      {
        keys: [{ label: "client", privateKey }],
        spoil: (each) => (spoil ? each.map((byte, index) => (index === 40 ? byte ^ 1 : byte)) : each),
      },
      { key: privateKey },
    );
    spoil = true;
    for (const scheme of key?.schemes ?? []) {
      expect(outcomeOf(() => key?.sign(scheme, MESSAGE))).toBe("key_mismatch");
    }
    expect(key?.schemes.length).toBeGreaterThan(0);
  });
});
