/**
 * A name server that knows one name, and can be gone, silent or say something else.
 *
 * @module UDP, port 53 of a loopback address; one question, one answer (RFC 1035).
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";

type NameAnswer =
  /** An A record with a lifetime of 0 s. */
  | { readonly kind: "address"; readonly address: string }
  | { readonly kind: "nxdomain" }
  | { readonly kind: "silence" };

const HEADER_BYTES = 12;
const TYPE_A = 1;
const NXDOMAIN = 3;
/** Response, recursion desired and available. */
const FLAGS = 0x8180;

export async function openNameServer(host: string) {
  let current: NameAnswer = { kind: "address", address: "127.0.0.1" };
  const socket = createSocket("udp4");
  socket.on("message", (question, { address, port }) => {
    const reply = replyTo(question, current);
    if (reply !== undefined) {
      socket.send(reply, port, address);
    }
  });
  socket.bind(53, host);
  await once(socket, "listening");
  return {
    answer: (next: NameAnswer) => {
      current = next;
    },
    close: () => {
      socket.close();
    },
  };
}

function replyTo(question: Buffer, answer: NameAnswer): Buffer | undefined {
  const end = question.indexOf(0, HEADER_BYTES) + 5;
  if (answer.kind === "silence" || end < HEADER_BYTES + 5 || question.length < end) {
    return undefined;
  }
  const isAddress = answer.kind === "address" && question.readUInt16BE(end - 4) === TYPE_A;
  const header = Buffer.alloc(HEADER_BYTES);
  question.copy(header, 0, 0, 2);
  header.writeUInt16BE(FLAGS | (answer.kind === "nxdomain" ? NXDOMAIN : 0), 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(isAddress ? 1 : 0, 6);
  const parts = [header, question.subarray(HEADER_BYTES, end)];
  if (isAddress) {
    // A pointer to the name of the question, type A, class IN, lifetime 0, four bytes.
    parts.push(Buffer.from([0xc0, HEADER_BYTES, 0, TYPE_A, 0, 1, 0, 0, 0, 0, 0, 4]));
    parts.push(Buffer.from(answer.address.split(".").map(Number)));
  }
  return Buffer.concat(parts);
}
