/** @module A TLS library without cryptography: a handshake of two lines, then plain text. For what surrounds the addon. */
import type { SignFunction, TlsClient, TlsLibrary, TlsOptions } from "../../../src/pkcs11/tls-client.ts";

export const HELLO = "HELLO\n";
export const READY = "READY\n";
/** The server's close_notify. */
export const END = "\u0004";
export const BYE = "BYE";

interface MemoryTls extends TlsLibrary {
  /** Of each client that was made. */
  readonly options: TlsOptions[];
}

/** The client fails with a code when the server says `ALERT code`; `parentPid` is what guardProcess answers. */
export function memoryTls(parentPid = 1): MemoryTls {
  const made: TlsOptions[] = [];
  class Client implements TlsClient {
    isHandshaking = true;
    peerClosed = false;
    readonly #sign: SignFunction;
    readonly #options: TlsOptions;
    #out = HELLO;
    #in = "";
    #plain = "";

    constructor(options: TlsOptions, sign: SignFunction) {
      if (options.serverName === "refused") {
        throw new Error("options");
      }
      this.#options = options;
      this.#sign = sign;
      made.push(options);
    }

    readTls(data: Uint8Array): void {
      this.#in += Buffer.from(data).toString("latin1");
      const alert = /^ALERT (\w+)\n/.exec(this.#in);
      if (alert !== null) {
        this.#out += "FATAL";
        throw new Error(alert[1]);
      }
      if (this.isHandshaking && this.#in.startsWith(READY)) {
        this.#in = this.#in.slice(READY.length);
        this.#out += Buffer.from(this.#sign(this.#options.schemes[0] ?? 0, data)).toString("latin1");
        this.isHandshaking = false;
      }
      if (!this.isHandshaking) {
        this.peerClosed ||= this.#in.includes(END);
        this.#plain += this.#in.replaceAll(END, "");
        this.#in = "";
      }
    }

    writeTls(): Uint8Array {
      const out = Buffer.from(this.#out, "latin1");
      this.#out = "";
      return out;
    }

    writePlain(data: Uint8Array): void {
      if (this.isHandshaking) {
        throw new Error("state");
      }
      this.#out += Buffer.from(data).toString("latin1");
    }

    readPlain(): Uint8Array {
      const plain = Buffer.from(this.#plain, "latin1");
      this.#plain = "";
      return plain;
    }

    close(): void {
      this.#out += BYE;
    }
  }
  return { TlsClient: Client, guardProcess: () => parentPid, options: made };
}
