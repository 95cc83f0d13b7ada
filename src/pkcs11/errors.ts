/** @module What can go wrong with the PKCS#11 token: what its helper process reports, and the messages for the operator. */
import { type ErrorClass, ProviderError } from "../base/error-class.ts";

/** Words in braces are names of the subject, `{because}` or `{doing}`. */
type Meaning = readonly [message: string, advice?: string];

/** What the helper process finds wrong with the token, its module or its key. */
const DEVICE_MEANINGS = {
  addon_missing: [
    "the native addons of PKCS#11 login are not installed",
    "install the package's /usr/lib/openbao-kms/tls.node and pkcs11.node, owned by root and writable only by root; all other auth methods work without them",
  ],
  addon_unsafe: [
    "the native addons of PKCS#11 login, or their directory, can be changed by users other than root",
    "chown -R root:root /usr/lib/openbao-kms && chmod -R go-w /usr/lib/openbao-kms",
  ],
  addon_broken: [
    "the native addons of PKCS#11 login cannot be loaded here",
    "install glibc 2.34 or newer and libstdc++6, then check: ldd /usr/lib/openbao-kms/pkcs11.node",
  ],
  module_missing: [
    "auth.cert.pkcs11.modulePath: {modulePath} does not exist, or cannot be reached",
    "name the vendor's PKCS#11 module (an absolute path that ends in .so)",
  ],
  module_unsafe: [
    "auth.cert.pkcs11.modulePath: {modulePath} is not a regular file that root owns and only root can write",
    "chown root {modulePath} && chmod go-w {modulePath}",
  ],
  module_broken: [
    "auth.cert.pkcs11.modulePath: {modulePath} cannot be loaded as a PKCS#11 module{because}",
    "pkcs11-tool --module {modulePath} --show-info; make sure that the service can read the module's own configuration",
  ],
  token_missing: [
    'auth.cert.pkcs11.tokenLabel: no token has the label "{tokenLabel}"',
    "list the labels: pkcs11-tool --module {modulePath} --list-token-slots",
  ],
  token_ambiguous: [
    'auth.cert.pkcs11.tokenLabel: more than one token has the label "{tokenLabel}"',
    "give each token its own label; list them: pkcs11-tool --module {modulePath} --list-token-slots",
  ],
  token_failed: [
    'the token "{tokenLabel}" failed{because}',
    "pkcs11-tool --module {modulePath} --list-token-slots",
  ],
  sessions_exhausted: [
    'the token "{tokenLabel}" has no free session: its own limit or auth.cert.pkcs11.maxSessions is reached',
    "close sessions of other programs, or raise auth.cert.pkcs11.maxSessions",
  ],
  pin_locked: [
    'the user PIN of the token "{tokenLabel}" is locked',
    "as its security officer, set a new PIN (pkcs11-tool --module {modulePath} --login --login-type so --init-pin) and write it to {pinFile}",
  ],
  pin_final_try: [
    'the user PIN of the token "{tokenLabel}" locks after one more wrong PIN; that try is not used',
    "log in once by hand with the correct PIN: pkcs11-tool --module {modulePath} --login --list-objects",
  ],
  pin_tried_before: [
    'a login with the PIN in {pinFile} was interrupted, and the token "{tokenLabel}" counts a wrong PIN; it is not tried again',
    "write the correct PIN to {pinFile}; if it is correct already: touch {pinFile}",
  ],
  pin_not_initialized: [
    'the token "{tokenLabel}" has no user PIN yet',
    "pkcs11-tool --module {modulePath} --login --login-type so --init-pin",
  ],
  pin_refused: [
    'the token "{tokenLabel}" refused the PIN in {pinFile}; it is not tried again, so that the token does not lock',
    "write the correct PIN to {pinFile}",
  ],
  pin_expired: [
    'the token "{tokenLabel}" reports that the user PIN has expired',
    "set a new PIN on the token and write it to {pinFile}",
  ],
  login_failed: [
    'the login to the token "{tokenLabel}" failed{because}',
    "see the log of the token's vendor",
  ],
  key_missing: [
    'auth.cert.pkcs11.keyLabel: the token "{tokenLabel}" has no private key with the label "{keyLabel}"',
    "pkcs11-tool --module {modulePath} --login --list-objects --type privkey",
  ],
  key_ambiguous: [
    'auth.cert.pkcs11.keyLabel: the token "{tokenLabel}" has more than one private key with the label "{keyLabel}"',
    "give each key its own label",
  ],
  key_type_mismatch: [
    'the key "{keyLabel}" has another type than the key of the certificate',
    "name the key that the certificate was issued for, or issue a certificate for this one",
  ],
  key_mismatch: [
    'the key "{keyLabel}" is not the key of the certificate: the certificate does not verify its signature',
    "name the key that the certificate was issued for, or issue a certificate for this one",
  ],
  key_always_authenticate: [
    'the key "{keyLabel}" requires a PIN for each signature (CKA_ALWAYS_AUTHENTICATE)',
    "use a key without CKA_ALWAYS_AUTHENTICATE",
  ],
  mechanism_missing: [
    'the token "{tokenLabel}" offers none of CKM_ECDSA, CKM_RSA_PKCS_PSS and CKM_RSA_PKCS for this key',
    "ask the token's administrator to allow CKM_ECDSA for an EC key, or CKM_RSA_PKCS_PSS for an RSA key",
  ],
  sign_failed: ['the key "{keyLabel}" did not sign{because}'],
  request_invalid: ["the helper process rejected its task"],
  unexpected: ["the helper process failed while {doing}"],
} as const satisfies Readonly<Record<string, Meaning>>;

const PROVIDER_MEANINGS = {
  pin_invalid: [
    "auth.cert.pkcs11.pinFile: {pinFile} does not contain exactly one line with a PIN",
    "write the PIN, and nothing else, to {pinFile}",
  ],
  pin_latched: [
    'the token "{tokenLabel}" refused the PIN in {pinFile} earlier; it is not tried again',
    "write the correct PIN to {pinFile}; if it is correct already: touch {pinFile}",
  ],
  pin_outcome_unknown: [
    "the PIN in {pinFile} was tried, and the token did not report the result; it is not tried again",
    "check that the token works, then: touch {pinFile}",
  ],
  record_damaged: [
    "the record of PIN attempts {recordPath} is damaged; no PIN is tried without it",
    "make sure that the PIN file is correct, then: rm {recordPath}",
  ],
  record_unusable: [
    "the record of PIN attempts {recordPath} cannot be written; no PIN is tried without it",
    "make the state directory writable for the service's user",
  ],
  login_busy: ["another login with the token was in progress for the whole time"],
  module_hung: [
    "{modulePath} did not return in time while {doing}; the helper process was killed",
    "check that the token and its network are reachable; the next login starts a new helper process",
  ],
  module_crashed: [
    "{modulePath} ended the helper process while {doing}",
    "see the vendor's log; the next login starts a new helper process",
  ],
  helper_not_started: [
    "the helper process cannot be started",
    "check that the unit lets the executable start itself (ExecPaths=, TasksMax=, MemoryMax=)",
  ],
} as const satisfies Readonly<Record<string, Meaning>>;

type DeviceFailureCode = keyof typeof DEVICE_MEANINGS;
export type Pkcs11Code = DeviceFailureCode | keyof typeof PROVIDER_MEANINGS;

const MEANINGS: Readonly<Record<Pkcs11Code, Meaning>> = { ...DEVICE_MEANINGS, ...PROVIDER_MEANINGS };

export const DEVICE_FAILURES = Object.keys(DEVICE_MEANINGS).filter(
  (code): code is DeviceFailureCode => code in DEVICE_MEANINGS,
);

/** What fails on the connection to OpenBao, and says nothing of the token. */
export const CONNECTION_FAILURES = [
  "name_not_found",
  "connect_refused",
  "connect_failed",
  "connection_cut",
  "server_untrusted",
  "server_name",
  "server_validity",
  "server_is_ca",
  "server_certificate",
  "client_refused",
  "no_shared_scheme",
  "tls_failed",
  "answer_too_large",
  "answer_invalid",
] as const;

export const HELPER_FAILURES = [...DEVICE_FAILURES, ...CONNECTION_FAILURES] as const;

type ConnectionFailureCode = (typeof CONNECTION_FAILURES)[number];
export type HelperFailureCode = (typeof HELPER_FAILURES)[number];

/** Where the helper is; the last one reported tells what a killed helper was doing. */
export const HELPER_STAGES = ["module", "token", "pin", "key", "connect"] as const;

export type HelperStage = (typeof HELPER_STAGES)[number];

const DOING: Readonly<Record<HelperStage | "start", string>> = {
  start: "starting the helper process",
  module: "loading the module",
  token: "looking for the token",
  pin: "logging in to the token",
  key: "using the key",
  connect: "talking to OpenBao",
};

/** Thrown inside the helper. `detail` is a PKCS#11 function and return value, `C_Sign CKR_DEVICE_ERROR`, or nothing. */
export class HelperFailure extends Error {
  readonly code: HelperFailureCode;
  readonly detail: string | undefined;

  constructor(code: HelperFailureCode, detail?: string, cause?: unknown) {
    super(code, cause === undefined ? undefined : { cause });
    this.name = "HelperFailure";
    this.code = code;
    this.detail = detail;
  }

  /** What was thrown, as a failure: itself, or one of this code. */
  static from(error: unknown, code: HelperFailureCode): HelperFailure {
    return error instanceof HelperFailure ? error : new HelperFailure(code, undefined, error);
  }
}

/** Thrown to the caller of a request: its connection failed, not the token. */
export class ConnectionFailure extends Error {
  readonly code: ConnectionFailureCode | "timeout" | "canceled";

  constructor(code: ConnectionFailureCode | "timeout" | "canceled") {
    super(code);
    this.name = "ConnectionFailure";
    this.code = code;
  }
}

export function isConnectionFailure(code: HelperFailureCode): code is ConnectionFailureCode {
  return CONNECTION_FAILURES.some((each) => each === code);
}

export class Pkcs11Error extends ProviderError<Pkcs11Code> {}

/** Names from the configuration that messages use; none is a secret. */
export interface Pkcs11Subject {
  readonly modulePath: string;
  readonly tokenLabel: string;
  readonly keyLabel: string;
  readonly pinFile: string;
  readonly recordPath: string;
}

export function pkcs11Error(
  code: Pkcs11Code,
  subject: Pkcs11Subject,
  more: {
    readonly detail?: string | undefined;
    readonly stage?: HelperStage | undefined;
    readonly cause?: unknown;
  } = {},
): Pkcs11Error {
  const words: Readonly<Record<string, string>> = {
    ...subject,
    because: more.detail === undefined ? "" : ` (${more.detail})`,
    doing: DOING[more.stage ?? "start"],
  };
  const fill = (text: string): string => text.replace(/\{(\w+)\}/g, (_, name) => words[name] ?? "");
  const [message, advice] = MEANINGS[code];
  return new Pkcs11Error({
    code,
    errorClass: "token_device",
    message: fill(message),
    advice: advice === undefined ? undefined : fill(advice),
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
