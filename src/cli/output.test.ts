import { expect, test } from "bun:test";
import { createOutput, type Output, type OutputStream } from "./output.ts";

function stream(isTTY: boolean) {
  const written: string[] = [];
  let fail = (): void => {};
  const self: OutputStream = {
    isTTY,
    write: (text, done) => {
      written.push(text);
      done();
      return true;
    },
    on: (_, listener) => {
      fail = () => listener(new Error("EPIPE"));
    },
  };
  return { self, written, fail: () => fail() };
}

test("colours only on a terminal, and never with NO_COLOR", () => {
  const paint = (isTTY: boolean, environment: Record<string, string>) =>
    createOutput(stream(isTTY).self, stream(isTTY).self, environment).paint("red", "x");
  expect(paint(true, {})).toBe("\u001b[31mx\u001b[0m");
  expect(paint(false, {})).toBe("x");
  expect(paint(true, { NO_COLOR: "1" })).toBe("x");
  expect(paint(true, { NO_COLOR: "" })).not.toBe("x");
  expect(paint(true, { TERM: "dumb" })).toBe("x");
});

test("the result goes to stdout and talk to stderr", async () => {
  const [out, err] = [stream(false), stream(false)];
  const output = createOutput(out.self, err.self, {});
  output.result("r\n");
  output.say("s");
  output.progress("p");
  await output.flush();
  expect(out.written).toEqual(["r\n"]);
  expect(err.written).toEqual(["s\n"]);
});

test("a reader that has gone makes it quiet", async () => {
  const [out, err] = [stream(false), stream(false)];
  const output = createOutput(out.self, err.self, {});
  out.fail();
  output.result("r\n");
  await output.flush();
  expect(out.written).toEqual([]);
  expect(output.isBroken()).toBe(true);
});

test("progress overwrites the line of a terminal, and of nothing else", () => {
  const shown = (isTTY: boolean, environment: Record<string, string>) => {
    const err = stream(isTTY);
    const output = createOutput(stream(true).self, err.self, environment);
    output.progress("p");
    return [output.canShowProgress, err.written];
  };
  expect(shown(true, {})).toEqual([true, ["\r\u001b[Kp"]]);
  expect(shown(true, { TERM: "dumb" })).toEqual([false, []]);
  expect(shown(false, {})).toEqual([false, []]);
});

test.each<[string, (output: Output) => unknown, readonly string[]]>([
  ["a result", (output) => output.result("r\n"), ["r\n"]],
  ["a message", (output) => output.say("s"), ["s\n"]],
  ["the end", (output) => output.flush(), []],
])("%s clears a progress line, once", async (_, write, after) => {
  const terminal = stream(true);
  const output = createOutput(terminal.self, terminal.self, {});
  output.progress("p");
  await write(output);
  await output.flush();
  expect(terminal.written).toEqual(["\r\u001b[Kp", "\r\u001b[K", ...after]);
});

test("flush waits for what was written, or until its reader has gone", async () => {
  const pending: (() => void)[] = [];
  const slow = (): { self: OutputStream; fail: () => void } => {
    let fail = (): void => {};
    return {
      fail: () => fail(),
      self: {
        write: (_, done) => {
          pending.push(done);
          return true;
        },
        on: (_, listener) => {
          fail = () => listener(new Error("EPIPE"));
        },
      },
    };
  };
  const [out, err] = [slow(), slow()];
  const output = createOutput(out.self, err.self, {});
  output.result("1");
  output.say("2");
  let flushed = 0;
  const wait = (): Promise<void> => output.flush().then(() => void (flushed += 1));
  const both = [wait(), wait()];
  pending[0]?.();
  await Promise.resolve();
  expect(flushed).toBe(0);
  pending[1]?.();
  await Promise.all(both);
  expect(flushed).toBe(2);
  output.result("3");
  const third = wait();
  err.fail();
  await third;
  expect([flushed, output.isBroken()]).toEqual([3, true]);
});
