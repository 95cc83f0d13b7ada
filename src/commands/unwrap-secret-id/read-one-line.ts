/** @module One line of text from a stream, bounded, for secrets that are piped in. */

/** The first line without blanks around it; `undefined` when it is longer than `maxBytes`. Rejects with the signal's reason. */
export async function readOneLine(
  stream: ReadableStream<Uint8Array>,
  maxBytes: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  signal.throwIfAborted();
  const reader = stream.getReader();
  const stop = (): void => void reader.cancel().catch(() => {});
  signal.addEventListener("abort", stop, { once: true });
  let text = "";
  try {
    for (;;) {
      const { value } = await reader.read();
      signal.throwIfAborted();
      text += value === undefined ? "" : Buffer.from(value).toString("latin1");
      const end = text.indexOf("\n");
      const line = end === -1 ? text : text.slice(0, end);
      if (line.length > maxBytes) {
        return undefined;
      }
      if (value === undefined || end !== -1) {
        return line.trim();
      }
    }
  } finally {
    stop();
  }
}
