/** @module The other side of the socket: calls the three methods as kube-apiserver does, for probe, doctor and benchmark. */
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { type ErrorClass, type Meaning, meaningFor, ProviderError } from "../base/error-class.ts";
import { unixGrpc } from "../http/unix-grpc.ts";
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

/** Every method throws KmsClientError. */
export function openKmsClient({ socketPath, timeoutMs, uid }: KmsClientOptions) {
  const { transport, close } = unixGrpc(socketPath, MAX_MESSAGE_BYTES);
  const client = createClient(KeyManagementService, transport);
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
    close,
  };
}

interface SocketMeaning extends Omit<Meaning<string>, "errorClass"> {
  readonly code: KmsClientCode;
}

const BY_ERRNO: Readonly<Record<string, SocketMeaning>> = {
  ENOENT: {
    code: "socket_missing",
    problem: (path) => `there is no socket at ${path}`,
    advice: "check whether the provider runs: systemctl status bao-kms-provider",
  },
  EACCES: {
    code: "socket_forbidden",
    problem: (path) => `this user has no permission to connect to ${path}`,
    advice: (path) => `compare this user's groups with the group in: ls -ld ${path} $(dirname ${path})`,
  },
  ECONNREFUSED: {
    code: "socket_not_listening",
    problem: (path) => `no process listens at ${path}`,
    advice:
      "the provider that made the socket has ended; start it, or see why it ended: systemctl status bao-kms-provider",
  },
  ENOTSOCK: {
    code: "socket_not_a_socket",
    problem: (path) => `${path} is not a socket`,
    advice: (path) => `examine it: ls -l ${path}`,
  },
};

function clientError(error: unknown, method: string, path: string): KmsClientError {
  const errno = errnoIn(error);
  if (errno !== undefined) {
    const meaning: SocketMeaning = BY_ERRNO[errno] ?? {
      code: "socket_failed",
      problem: `the connection to ${path} failed (${errno})`,
      advice: "see the provider's log: journalctl -u bao-kms-provider",
    };
    const errorClass = "socket_unavailable";
    const { problem, advice } = meaningFor({ ...meaning, errorClass }, path);
    return new KmsClientError({ code: meaning.code, errorClass, message: problem, advice, cause: error });
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
