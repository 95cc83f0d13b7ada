/** @module The other side of the socket: calls the three methods as kube-apiserver does, for probe, doctor and benchmark. */
import { connect } from "node:net";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { type ErrorClass, type Meaning, meaningFor, ProviderError } from "../base/error-class.ts";
import { KeyManagementService } from "./gen/v2/api_pb.ts";
import { MAX_MESSAGE_BYTES } from "./limits.ts";

export interface KmsStatus {
  readonly version: string;
  readonly healthz: string;
  readonly keyId: string;
}

export interface KmsCiphertext {
  readonly ciphertext: Uint8Array;
  readonly keyId: string;
  readonly annotations: Readonly<Record<string, Uint8Array>>;
}

export type KmsClient = ReturnType<typeof openKmsClient>;

type KmsClientCode =
  | "socket_missing"
  | "socket_forbidden"
  | "socket_not_listening"
  | "socket_not_a_socket"
  | "socket_failed"
  | "call_timeout"
  | "call_refused";

export class KmsClientError extends ProviderError<KmsClientCode> {
  /** The gRPC code's name when the provider answered, such as `FailedPrecondition`. */
  readonly grpcCode: string | undefined;

  constructor(init: ConstructorParameters<typeof ProviderError<KmsClientCode>>[0], grpcCode?: string) {
    super(init);
    this.grpcCode = grpcCode;
  }
}

interface KmsClientOptions {
  readonly socketPath: string;
  /** For each call, connecting included; kube-apiserver's default is 3 s. */
  readonly timeoutMs: number;
  /** Makes the uids of calls, which show up in the provider's debug correlation only. */
  readonly uid: () => string;
}

/** Connects at the first call. kube-apiserver's authority is `localhost`. Every method throws KmsClientError. */
export function openKmsClient({ socketPath, timeoutMs, uid }: KmsClientOptions) {
  const sessions = new Http2SessionManager("http://localhost", undefined, {
    createConnection: () => connect(socketPath),
  });
  const client = createClient(
    KeyManagementService,
    createGrpcTransport({
      baseUrl: "http://localhost",
      sessionManager: sessions,
      readMaxBytes: MAX_MESSAGE_BYTES,
      writeMaxBytes: MAX_MESSAGE_BYTES,
      acceptCompression: [],
    }),
  );
  const asked = async <T>(method: string, call: () => Promise<T>): Promise<T> => {
    try {
      return await call();
    } catch (error) {
      throw clientError(error, method, socketPath);
    }
  };
  return {
    status: (signal: AbortSignal): Promise<KmsStatus> =>
      asked("Status", async () => {
        const { version, healthz, keyId } = await client.status({}, { timeoutMs, signal });
        return { version, healthz, keyId };
      }),
    encrypt: (plaintext: Uint8Array, signal: AbortSignal): Promise<KmsCiphertext> =>
      asked("Encrypt", async () => {
        const { ciphertext, keyId, annotations } = await client.encrypt(
          { plaintext, uid: uid() },
          { timeoutMs, signal },
        );
        return { ciphertext, keyId, annotations };
      }),
    decrypt: ({ ciphertext, keyId, annotations }: KmsCiphertext, signal: AbortSignal): Promise<Uint8Array> =>
      asked("Decrypt", async () => {
        const request = { ciphertext, keyId, annotations: { ...annotations }, uid: uid() };
        return (await client.decrypt(request, { timeoutMs, signal })).plaintext;
      }),
    close: (): void => sessions.abort(),
  };
}

const BY_ERRNO: Readonly<Record<string, Meaning<string> & { readonly code: KmsClientCode }>> = {
  ENOENT: {
    code: "socket_missing",
    errorClass: "socket_unavailable",
    problem: (path) => `there is no socket at ${path}`,
    advice: "check whether the provider runs: systemctl status bao-kms-provider",
  },
  EACCES: {
    code: "socket_forbidden",
    errorClass: "socket_unavailable",
    problem: (path) => `this user has no permission to connect to ${path}`,
    advice: (path) => `compare this user's groups with the group in: ls -ld ${path} $(dirname ${path})`,
  },
  ECONNREFUSED: {
    code: "socket_not_listening",
    errorClass: "socket_unavailable",
    problem: (path) => `no process listens at ${path}`,
    advice:
      "the provider that made the socket has ended; start it, or see why it ended: systemctl status bao-kms-provider",
  },
  ENOTSOCK: {
    code: "socket_not_a_socket",
    errorClass: "socket_unavailable",
    problem: (path) => `${path} is not a socket`,
    advice: (path) => `examine it: ls -l ${path}`,
  },
};

function clientError(error: unknown, method: string, path: string): KmsClientError {
  const errno = errnoIn(error);
  const meaning = errno === undefined ? undefined : BY_ERRNO[errno];
  if (meaning !== undefined) {
    const { errorClass, problem, advice } = meaningFor(meaning, path);
    return new KmsClientError({ code: meaning.code, errorClass, message: problem, advice, cause: error });
  }
  if (errno !== undefined) {
    return new KmsClientError({
      code: "socket_failed",
      errorClass: "socket_unavailable",
      message: `the connection to ${path} failed (${errno})`,
      advice: "see the provider's log: journalctl -u bao-kms-provider",
      cause: error,
    });
  }
  const grpcCode = error instanceof ConnectError ? Code[error.code] : "Unknown";
  const isTimeout = grpcCode === "DeadlineExceeded";
  const errorClass: ErrorClass = isTimeout ? "timeout" : grpcCode === "Canceled" ? "canceled" : "unknown";
  return new KmsClientError(
    {
      code: isTimeout ? "call_timeout" : "call_refused",
      errorClass,
      message: isTimeout
        ? `${method} was not answered in time`
        : `${method} was answered with gRPC code ${grpcCode}`,
      advice: "see the provider's log for the reason: journalctl -u bao-kms-provider",
      cause: error,
    },
    grpcCode,
  );
}

/** The errno of the system call at the bottom of an error. */
function errnoIn(error: unknown): string | undefined {
  for (
    let each: unknown = error, depth = 0;
    each instanceof Error && depth < 5;
    each = each.cause, depth += 1
  ) {
    if ("code" in each && typeof each.code === "string" && /^E[A-Z]+$/.test(each.code)) {
      return each.code;
    }
  }
  return undefined;
}
