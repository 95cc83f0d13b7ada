import { expect, test } from "bun:test";
import fc from "fast-check";
import { readOneLine } from "./read-one-line.ts";

const never = new AbortController().signal;

/** The chunks, and then the end or nothing at all. */
function piped(chunks: readonly string[], ends = true) {
  const left = chunks.map((chunk) => Buffer.from(chunk, "latin1"));
  const seen = { isCancelled: false };
  const stream = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      const chunk = left.shift();
      if (chunk !== undefined) {
        controller.enqueue(chunk);
      } else if (ends) {
        controller.close();
      }
    },
    cancel: () => {
      seen.isCancelled = true;
    },
  });
  return { stream, seen };
}

test("the first line, trimmed, however it is cut; undefined beyond the bound", async () => {
  const text = fc.string({ unit: fc.constantFrom("a", "b", " ", "\n"), maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(fc.array(text, { maxLength: 5 }), fc.nat(12), async (chunks, maxBytes) => {
      const [line = ""] = chunks.join("").split("\n");
      expect(await readOneLine(piped(chunks).stream, maxBytes, never)).toBe(
        line.length > maxBytes ? undefined : line.trim(),
      );
    }),
  );
});

test.each<[string, readonly string[], string | undefined]>([
  ["the line", ["token", "\nrest"], "token"],
  ["the bound", ["tok", "token"], undefined],
])("nothing is waited for after %s, and the stream is let go", async (_, chunks, expected) => {
  const { stream, seen } = piped(chunks, false);
  expect(await readOneLine(stream, 7, never)).toBe(expected);
  expect(seen.isCancelled).toBe(true);
});

test("an abort ends the wait with its reason, also one before the call", async () => {
  const reason = new Error("stopped");
  const controller = new AbortController();
  const waiting = readOneLine(piped(["tok"], false).stream, 9, controller.signal);
  controller.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  await expect(readOneLine(piped([], false).stream, 9, AbortSignal.abort(reason))).rejects.toBe(reason);
});
