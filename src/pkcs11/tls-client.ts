/** @module A socket that speaks TLS through tls.node. */
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { errnoOf } from "../base/errno.ts";
import { CONNECTION_FAILURES, HelperFailure, type HelperFailureCode } from "./errors.ts";

export interface TlsOptions {
  readonly serverName: string;
  readonly ca: readonly Uint8Array[];
  readonly chain: readonly Uint8Array[];
  readonly schemes: readonly number[];
  readonly maxPlainBytes: number;
}

export type SignFunction = (scheme: number, message: Uint8Array) => Uint8Array;

/** native/addon/src/lib.rs. Its errors have a code of native/tls/src/failure.rs as their message. */
export interface TlsClient {
  readTls(data: Uint8Array): void;
  writeTls(): Uint8Array;
  writePlain(data: Uint8Array): void;
  readPlain(): Uint8Array;
  close(): void;
  readonly isHandshaking: boolean;
  readonly peerClosed: boolean;
}

export interface TlsLibrary {
  readonly TlsClient: new (options: TlsOptions, sign: SignFunction) => TlsClient;
  guardProcess(seconds: number): number;
}

/** What is called otherwise here than in the addon. */
const RENAMED: Readonly<Record<string, HelperFailureCode>> = {
  options: "request_invalid",
  too_large: "answer_too_large",
};

export function tlsFailure(error: unknown): HelperFailure {
  const word = error instanceof Error ? error.message : "";
  const code = RENAMED[word] ?? CONNECTION_FAILURES.find((each) => each === word);
  return HelperFailure.from(error, code ?? "tls_failed");
}

const CONNECT_FAILURES: Readonly<Record<string, HelperFailureCode>> = {
  ENOTFOUND: "name_not_found",
  EAI_AGAIN: "name_not_found",
  ECONNREFUSED: "connect_refused",
};

/** Wraps a connected or connecting socket; the stream's errors are {@link HelperFailure}s. */
export function tlsStream(client: TlsClient, socket: Socket): Duplex {
  /** The write that waits for the end of the handshake; a stream has one at a time. */
  let waiting = (): void => {};

  const flush = (): void => {
    const out = client.writeTls();
    if (out.length > 0 && !socket.destroyed) {
      socket.write(out);
    }
  };

  /** The last words to the server, when there is one to hear them. */
  const tryToFlush = (): void => {
    try {
      flush();
    } catch {
      // The failure that led here is the one to report.
    }
  };

  const attempt = (run: () => void): void => {
    try {
      run();
    } catch (error) {
      tryToFlush();
      stream.destroy(tlsFailure(error));
    }
  };

  const stream = new Duplex({
    read: () => {
      socket.resume();
    },
    write: (chunk: Uint8Array, _encoding, done) => {
      const send = (): void => {
        attempt(() => {
          client.writePlain(chunk);
          flush();
          done();
        });
      };
      if (client.isHandshaking) {
        waiting = send;
      } else {
        send();
      }
    },
    // An HTTP client ends its side early; the connection is closed by destroy, after the answer.
    final: (done) => done(),
    destroy: (error, done) => {
      try {
        client.close();
      } catch {
        // A connection that failed may have nothing left to close.
      }
      tryToFlush();
      socket.destroySoon();
      done(error);
    },
  });

  let connected = false;
  socket.on("connect", () => {
    connected = true;
    attempt(flush);
  });
  socket.on("data", (data: Uint8Array) => {
    attempt(() => {
      client.readTls(data);
      flush();
      if (!client.isHandshaking) {
        const send = waiting;
        waiting = () => {};
        send();
      }
      const plain = client.readPlain();
      if (plain.length > 0 && !stream.push(plain)) {
        socket.pause();
      }
      if (client.peerClosed) {
        stream.push(null);
      }
    });
  });
  socket.on("error", (error) => {
    const code = connected ? "connection_cut" : (CONNECT_FAILURES[errnoOf(error) ?? ""] ?? "connect_failed");
    stream.destroy(new HelperFailure(code, undefined, error));
  });
  socket.on("close", () => {
    if (!client.peerClosed) {
      stream.destroy(new HelperFailure("connection_cut"));
    }
  });
  return stream;
}
