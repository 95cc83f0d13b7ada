/** @module What can go wrong with the PKCS#11 token, as messages for the operator. */
import { type ErrorClass, ProviderError } from "../base/error-class.ts";
import type { DeviceFailureCode, HelperStage } from "./failure.ts";

export type Pkcs11Code =
  | DeviceFailureCode
  | "pin_invalid"
  | "pin_latched"
  | "pin_outcome_unknown"
  | "record_damaged"
  | "record_unusable"
  | "login_busy"
  | "module_hung"
  | "module_crashed"
  | "helper_not_started";

export class Pkcs11Error extends ProviderError<Pkcs11Code> {}

/** Names from the configuration that messages use; none is a secret. */
export interface Pkcs11Subject {
  readonly modulePath: string;
  readonly tokenLabel: string;
  readonly keyLabel: string;
  readonly pinFile: string;
  readonly recordPath: string;
}

interface Facts extends Pkcs11Subject {
  readonly because: string;
  readonly doing: string;
}

type Meaning = readonly [message: (facts: Facts) => string, advice?: (facts: Facts) => string];

const DOING: Readonly<Record<HelperStage | "start", string>> = {
  start: "starting the helper process",
  module: "loading the module",
  token: "looking for the token",
  pin: "logging in to the token",
  key: "using the key",
  connect: "talking to OpenBao",
};

const ADDONS_ADVICE =
  "install the package's /usr/lib/openbao-kms/tls.node and pkcs11.node, owned by root and writable only by root; all other auth methods work without them";

const MEANINGS: Readonly<Record<Pkcs11Code, Meaning>> = {
  addon_missing: [() => "the native addons of PKCS#11 login are not installed", () => ADDONS_ADVICE],
  addon_unsafe: [
    () => "the native addons of PKCS#11 login, or their directory, can be changed by users other than root",
    () => "chown -R root:root /usr/lib/openbao-kms && chmod -R go-w /usr/lib/openbao-kms",
  ],
  addon_broken: [
    () => "the native addons of PKCS#11 login cannot be loaded here",
    () => "install glibc 2.34 or newer and libstdc++6, then check: ldd /usr/lib/openbao-kms/pkcs11.node",
  ],
  module_missing: [
    ({ modulePath }) => `auth.cert.pkcs11.modulePath: ${modulePath} does not exist, or cannot be reached`,
    () => "name the vendor's PKCS#11 module (an absolute path that ends in .so)",
  ],
  module_unsafe: [
    ({ modulePath }) =>
      `auth.cert.pkcs11.modulePath: ${modulePath} is not a regular file that root owns and only root can write`,
    ({ modulePath }) => `chown root ${modulePath} && chmod go-w ${modulePath}`,
  ],
  module_broken: [
    ({ modulePath, because }) =>
      `auth.cert.pkcs11.modulePath: ${modulePath} cannot be loaded as a PKCS#11 module${because}`,
    ({ modulePath }) =>
      `pkcs11-tool --module ${modulePath} --show-info; make sure that the service can read the module's own configuration`,
  ],
  token_missing: [
    ({ tokenLabel }) => `auth.cert.pkcs11.tokenLabel: no token has the label "${tokenLabel}"`,
    ({ modulePath }) => `list the labels: pkcs11-tool --module ${modulePath} --list-token-slots`,
  ],
  token_ambiguous: [
    ({ tokenLabel }) => `auth.cert.pkcs11.tokenLabel: more than one token has the label "${tokenLabel}"`,
    ({ modulePath }) =>
      `give each token its own label; list them: pkcs11-tool --module ${modulePath} --list-token-slots`,
  ],
  token_failed: [
    ({ tokenLabel, because }) => `the token "${tokenLabel}" failed${because}`,
    ({ modulePath }) => `pkcs11-tool --module ${modulePath} --list-token-slots`,
  ],
  sessions_exhausted: [
    ({ tokenLabel }) =>
      `the token "${tokenLabel}" has no free session: its own limit or auth.cert.pkcs11.maxSessions is reached`,
    () => "close sessions of other programs, or raise auth.cert.pkcs11.maxSessions",
  ],
  pin_invalid: [
    ({ pinFile }) => `auth.cert.pkcs11.pinFile: ${pinFile} does not contain exactly one line with a PIN`,
    ({ pinFile }) => `write the PIN, and nothing else, to ${pinFile}`,
  ],
  pin_refused: [
    ({ tokenLabel, pinFile }) =>
      `the token "${tokenLabel}" refused the PIN in ${pinFile}; it is not tried again, so that the token does not lock`,
    ({ pinFile }) => `write the correct PIN to ${pinFile}`,
  ],
  pin_expired: [
    ({ tokenLabel }) => `the token "${tokenLabel}" reports that the user PIN has expired`,
    ({ pinFile }) => `set a new PIN on the token and write it to ${pinFile}`,
  ],
  pin_latched: [
    ({ tokenLabel, pinFile }) =>
      `the token "${tokenLabel}" refused the PIN in ${pinFile} earlier; it is not tried again`,
    ({ pinFile }) => `write the correct PIN to ${pinFile}; if it is correct already: touch ${pinFile}`,
  ],
  pin_outcome_unknown: [
    ({ pinFile }) =>
      `the PIN in ${pinFile} was tried, and the token did not report the result; it is not tried again`,
    ({ pinFile }) => `check that the token works, then: touch ${pinFile}`,
  ],
  pin_tried_before: [
    ({ tokenLabel, pinFile }) =>
      `a login with the PIN in ${pinFile} was interrupted, and the token "${tokenLabel}" counts a wrong PIN; it is not tried again`,
    ({ pinFile }) => `write the correct PIN to ${pinFile}; if it is correct already: touch ${pinFile}`,
  ],
  pin_locked: [
    ({ tokenLabel }) => `the user PIN of the token "${tokenLabel}" is locked`,
    ({ modulePath, pinFile }) =>
      `as its security officer, set a new PIN (pkcs11-tool --module ${modulePath} --login --login-type so --init-pin) and write it to ${pinFile}`,
  ],
  pin_final_try: [
    ({ tokenLabel }) =>
      `the user PIN of the token "${tokenLabel}" locks after one more wrong PIN; that try is not used`,
    ({ modulePath }) =>
      `log in once by hand with the correct PIN: pkcs11-tool --module ${modulePath} --login --list-objects`,
  ],
  pin_not_initialized: [
    ({ tokenLabel }) => `the token "${tokenLabel}" has no user PIN yet`,
    ({ modulePath }) => `pkcs11-tool --module ${modulePath} --login --login-type so --init-pin`,
  ],
  login_failed: [
    ({ tokenLabel, because }) => `the login to the token "${tokenLabel}" failed${because}`,
    () => "see the log of the token's vendor",
  ],
  record_damaged: [
    ({ recordPath }) => `the record of PIN attempts ${recordPath} is damaged; no PIN is tried without it`,
    ({ recordPath }) => `make sure that the PIN file is correct, then: rm ${recordPath}`,
  ],
  record_unusable: [
    ({ recordPath }) =>
      `the record of PIN attempts ${recordPath} cannot be written; no PIN is tried without it`,
    () => "make the state directory writable for the service's user",
  ],
  login_busy: [() => "another login with the token was in progress for the whole time"],
  key_missing: [
    ({ keyLabel, tokenLabel }) =>
      `auth.cert.pkcs11.keyLabel: the token "${tokenLabel}" has no private key with the label "${keyLabel}"`,
    ({ modulePath }) => `pkcs11-tool --module ${modulePath} --login --list-objects --type privkey`,
  ],
  key_ambiguous: [
    ({ keyLabel, tokenLabel }) =>
      `auth.cert.pkcs11.keyLabel: the token "${tokenLabel}" has more than one private key with the label "${keyLabel}"`,
    () => "give each key its own label",
  ],
  key_type_mismatch: [
    ({ keyLabel }) => `the key "${keyLabel}" has another type than the key of the certificate`,
    () => "name the key that the certificate was issued for, or issue a certificate for this one",
  ],
  key_mismatch: [
    ({ keyLabel }) =>
      `the key "${keyLabel}" is not the key of the certificate: the certificate does not verify its signature`,
    () => "name the key that the certificate was issued for, or issue a certificate for this one",
  ],
  key_always_authenticate: [
    ({ keyLabel }) => `the key "${keyLabel}" requires a PIN for each signature (CKA_ALWAYS_AUTHENTICATE)`,
    () => "use a key without CKA_ALWAYS_AUTHENTICATE",
  ],
  mechanism_missing: [
    ({ tokenLabel }) =>
      `the token "${tokenLabel}" offers none of CKM_ECDSA, CKM_RSA_PKCS_PSS and CKM_RSA_PKCS for this key`,
    () =>
      "ask the token's administrator to allow CKM_ECDSA for an EC key, or CKM_RSA_PKCS_PSS for an RSA key",
  ],
  sign_failed: [({ keyLabel, because }) => `the key "${keyLabel}" did not sign${because}`],
  module_hung: [
    ({ modulePath, doing }) =>
      `${modulePath} did not return in time while ${doing}; the helper process was killed`,
    () => "check that the token and its network are reachable; the next login starts a new helper process",
  ],
  module_crashed: [
    ({ modulePath, doing }) => `${modulePath} ended the helper process while ${doing}`,
    () => "see the vendor's log; the next login starts a new helper process",
  ],
  helper_not_started: [
    () => "the helper process cannot be started",
    () => "check that the unit lets the executable start itself (ExecPaths=, TasksMax=, MemoryMax=)",
  ],
  request_invalid: [() => "the helper process rejected its task"],
  unexpected: [({ doing }) => `the helper process failed while ${doing}`],
};

export function pkcs11Error(
  code: Pkcs11Code,
  subject: Pkcs11Subject,
  more: {
    readonly detail?: string | undefined;
    readonly stage?: HelperStage | undefined;
    readonly cause?: unknown;
  } = {},
): Pkcs11Error {
  const [message, advice] = MEANINGS[code];
  const facts: Facts = {
    ...subject,
    because: more.detail === undefined ? "" : ` (${more.detail})`,
    doing: DOING[more.stage ?? "start"],
  };
  return new Pkcs11Error({
    code,
    errorClass: "token_device",
    message: message(facts),
    advice: advice?.(facts),
    cause: more.cause,
  });
}

/** Codes after which trying again by itself would spend the token's tries or cannot help: a person must act. */
const PIN_CODES: ReadonlySet<string> = new Set<Pkcs11Code>([
  "pin_refused",
  "pin_latched",
  "pin_tried_before",
  "pin_outcome_unknown",
  "pin_locked",
  "pin_final_try",
  "pin_expired",
]);

/** True for what the exit code 6 stands for: the token does not, or must not, get this PIN again. */
export function isPinRefusal({
  errorClass,
  code,
}: {
  readonly errorClass?: ErrorClass;
  readonly code: string;
}): boolean {
  return errorClass === "token_device" && PIN_CODES.has(code);
}
