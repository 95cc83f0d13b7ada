/** @module Where lines go: a stream whose reader may be slow, stalled or gone. */

/** What is needed of a Node stream. */
export interface LineStream {
  write(line: string): boolean;
  once(event: "drain", listener: () => void): unknown;
  on(event: "error", listener: () => void): unknown;
}

export interface LogSink {
  write(line: string): void;
  /** How many lines were dropped since this was last asked. */
  takeDropped(): number;
  /** Resolves when everything is handed to the stream, or after `timeoutMs`, for the end of the process. */
  flush(timeoutMs: number): Promise<void>;
}

const MAX_QUEUED_BYTES = 1024 * 1024;

export function logSink(stream: LineStream, maxQueuedBytes = MAX_QUEUED_BYTES): LogSink {
  let state: "open" | "full" | "gone" = "open";
  let queue: string[] = [];
  let queuedBytes = 0;
  let dropped = 0;
  let waiters: (() => void)[] = [];

  const settle = (): void => {
    for (const waiter of waiters) {
      waiter();
    }
    waiters = [];
  };
  const send = (line: string): void => {
    if (!stream.write(line)) {
      state = "full";
      stream.once("drain", drained);
    }
  };
  const drained = (): void => {
    if (state !== "full") {
      return;
    }
    state = "open";
    const lines = queue;
    queue = [];
    queuedBytes = 0;
    if (lines.length > 0) {
      send(lines.join(""));
    }
    if (state === "open") {
      settle();
    }
  };
  stream.on("error", () => {
    state = "gone";
    queue = [];
    queuedBytes = 0;
    settle();
  });

  return {
    write: (line) => {
      switch (state) {
        case "open":
          send(line);
          return;
        case "full":
          if (queuedBytes + line.length > maxQueuedBytes) {
            dropped += 1;
          } else {
            queue.push(line);
            queuedBytes += line.length;
          }
          return;
        case "gone":
          return;
      }
    },
    takeDropped: () => {
      const count = dropped;
      dropped = 0;
      return count;
    },
    flush: (timeoutMs) =>
      new Promise((resolve) => {
        if (state !== "full") {
          resolve();
          return;
        }
        const timer = setTimeout(resolve, timeoutMs);
        waiters.push(() => {
          clearTimeout(timer);
          resolve();
        });
      }),
  };
}
