import { expect, test } from "bun:test";
import { createOutput, type OutputStream } from "./output.ts";

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
