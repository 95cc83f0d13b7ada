/** @module The PKCS#11 token: find it and log in once. */
import type { KeyObject } from "node:crypto";
import { HelperFailure, type HelperStage } from "./errors.ts";
import type { Login, TokenNames } from "./helper-protocol.ts";
import {
  CKF,
  CKU_USER,
  callModule,
  type Handle,
  onlyOne,
  type Pkcs11,
  type Pkcs11Library,
  returnValueOf,
  stepDetail,
} from "./pkcs11-library.ts";
import { openKey, type TokenKey } from "./private-key.ts";

/** Loads the module and finds the one token with the label; spends no try yet. @throws HelperFailure */
export function findToken(library: Pkcs11Library, names: TokenNames, report: (stage: HelperStage) => void) {
  report("module");
  const p11 = new library.PKCS11();
  callModule("module_broken", "load", () => p11.load(names.modulePath));
  callModule("module_broken", "C_Initialize", () => p11.C_Initialize({ flags: CKF.osLockingOk }));
  report("token");
  const slot = findSlot(p11, names.tokenLabel);
  const cleanups = [() => p11.C_Finalize(), () => p11.close()];
  return {
    /** Logs in with the one try that is allowed and gives the key that is `publicKey`'s other half. */
    openKey: (login: Pick<Login, "pin" | "refuseAfterFailedTry">, publicKey: KeyObject): TokenKey => {
      const session = openSession(p11, slot, names);
      cleanups.unshift(
        () => p11.C_Logout(session),
        () => p11.C_CloseSession(session),
      );
      checkTries(p11, slot, login.refuseAfterFailedTry);
      report("pin");
      logIn(p11, session, login.pin);
      report("key");
      return openKey(p11, slot, session, names.keyLabel, publicKey);
    },
    close: (): void => {
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
  const slots = callModule("token_failed", "C_GetSlotList", () => p11.C_GetSlotList(true));
  const labelled = slots.filter((slot) => {
    try {
      return p11.C_GetTokenInfo(slot).label.trimEnd() === label;
    } catch {
      // A broken reader beside ours is not our failure.
      return false;
    }
  });
  return onlyOne(labelled, "token");
}

/** One session, and only when neither the configuration nor the token says that there are enough. */
function openSession(p11: Pkcs11, slot: Handle, names: TokenNames): Handle {
  const info = callModule("token_failed", "C_GetTokenInfo", () => p11.C_GetTokenInfo(slot));
  // CK_EFFECTIVELY_INFINITE is 0; CK_UNAVAILABLE_INFORMATION is all ones in 32 or 64 bits, as a signed number -1.
  const tokenLimit = info.maxSessionCount > 0 ? info.maxSessionCount : Number.POSITIVE_INFINITY;
  const isKnown = info.sessionCount >= 0 && info.sessionCount < 0xffff_ffff;
  const open = isKnown ? info.sessionCount : 0;
  if (open >= Math.min(names.maxSessions, tokenLimit)) {
    throw new HelperFailure("sessions_exhausted");
  }
  try {
    return p11.C_OpenSession(slot, CKF.serialSession);
  } catch (error) {
    const value = returnValueOf(error);
    const code = value === "CKR_SESSION_COUNT" ? "sessions_exhausted" : "token_failed";
    throw new HelperFailure(code, stepDetail("C_OpenSession", value), error);
  }
}

function checkTries(p11: Pkcs11, slot: Handle, refuseAfterFailedTry: boolean): void {
  const { flags } = callModule("token_failed", "C_GetTokenInfo", () => p11.C_GetTokenInfo(slot));
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

const LOGIN_FAILURES: Readonly<Record<string, HelperFailure["code"]>> = {
  CKR_PIN_INCORRECT: "pin_refused",
  CKR_PIN_INVALID: "pin_refused",
  CKR_PIN_LEN_RANGE: "pin_refused",
  CKR_PIN_EXPIRED: "pin_expired",
  CKR_PIN_LOCKED: "pin_locked",
  CKR_USER_PIN_NOT_INITIALIZED: "pin_not_initialized",
};

function logIn(p11: Pkcs11, session: Handle, pin: string): void {
  try {
    p11.C_Login(session, CKU_USER, pin);
  } catch (error) {
    const value = returnValueOf(error);
    if (value !== "CKR_USER_ALREADY_LOGGED_IN") {
      const code = LOGIN_FAILURES[value ?? ""] ?? "login_failed";
      throw new HelperFailure(code, stepDetail("C_Login", value), error);
    }
  }
}
