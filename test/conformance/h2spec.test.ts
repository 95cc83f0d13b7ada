/**
 * h2spec's cases for an HTTP/2 server (RFC 9113, RFC 7541) against the listener.
 *
 * Needs `h2spec` (H2SPEC_BIN, or on PATH): go install github.com/summerwind/h2spec/cmd/h2spec@latest. Without it the suite is
 * skipped; with REQUIRE_REAL=1 its absence is a failure. What fails is listed below with why it does no harm here; any other
 * failure fails the suite. Some of the cases depend on whether the answer is out already, so not all fail each time.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SERVICE } from "../harness/kms-client.ts";
import { type Harness, kmsClient, startHarness } from "./harness.ts";

/** Section and number of the case, and the argument. All are choices of Bun's node:http2, none reaches a handler. */
const EXCEPTIONS: Readonly<Record<string, string>> = {
  "generic/2 Sends a WINDOW_UPDATE frame on half-closed (remote) stream":
    "accepted; the case wants a DATA frame, and a request that is not gRPC is answered by headers alone",
  "generic/2 Sends a PRIORITY frame on half-closed (remote) stream":
    "accepted; the case wants a DATA frame, and a request that is not gRPC is answered by headers alone",
  "http2/5.1 idle: Sends a DATA frame": "answered by RST_STREAM in place of ending the connection",
  "http2/5.1 idle: Sends a WINDOW_UPDATE frame": "ignored: it opens nothing and holds no memory",
  "http2/5.1 half closed (remote): Sends a DATA frame":
    "ignored when the answer is out already: the bytes are dropped",
  "http2/5.1 closed: Sends a DATA frame after sending RST_STREAM frame": "ignored: the bytes are dropped",
  "http2/5.1 closed: Sends a DATA frame": "ignored: the bytes are dropped",
  "http2/5.1 closed: Sends a HEADERS frame":
    "served as a request of its own; a client that does this confuses only itself, streams of others are on other connections",
  "http2/5.1.1 Sends stream identifier that is numerically smaller than previous":
    "served as a request of its own, as above",
  "http2/5.1.2 Sends HEADERS frames that causes their advertised concurrent stream limit to be exceeded":
    "the case's requests end at once and are answered before the limit is reached; hostile.test.ts holds the limit with requests that stay open",
  "http2/5.3.1 Sends HEADERS frame that depend on itself": "priorities are ignored, as RFC 9113 advises",
  "http2/5.3.1 Sends PRIORITY frame that depend on itself": "priorities are ignored, as RFC 9113 advises",
  "http2/6.7 Sends a PING frame with ACK":
    "an answer to a ping that was never sent ends that connection; a client that asks for trouble gets a new one",
};

const binary = process.env.H2SPEC_BIN ?? Bun.which("h2spec");

if (binary === null && process.env.REQUIRE_REAL === "1") {
  throw new Error("REQUIRE_REAL=1 and no h2spec: go install github.com/summerwind/h2spec/cmd/h2spec@latest");
}
if (binary === null) {
  console.log("skipped: h2spec is not on PATH (H2SPEC_BIN names one)");
}

let harness: Harness;
let bridge: Server;
let work: string;

beforeAll(async () => {
  harness = await startHarness({ limits: { maxStreamsPerSession: 100 } });
  // h2spec speaks TCP only.
  bridge = createServer((outer) => {
    const inner = connect(harness.path);
    outer.on("error", () => inner.destroy());
    inner.on("error", () => outer.destroy());
    outer.pipe(inner).pipe(outer);
  });
  await new Promise<void>((resolve) => bridge.listen(0, "127.0.0.1", resolve));
  work = mkdtempSync(join(tmpdir(), "h2spec-"));
});

afterAll(async () => {
  bridge.close();
  await harness.stop();
  rmSync(work, { recursive: true });
});

/** Section and name of each case that fails and is not argued above. */
async function failedCases(port: string): Promise<readonly string[]> {
  const report = join(work, "report.xml");
  const run = Bun.spawn({
    cmd: [
      binary ?? "",
      "-h",
      "127.0.0.1",
      "-p",
      port,
      "-P",
      `${SERVICE}Status`,
      "-o",
      "1",
      "--junit-report",
      report,
    ],
    stdout: "ignore",
    stderr: "ignore",
  });
  await run.exited;
  const cases = readFileSync(report, "latin1").split("<testcase ").slice(1);
  expect(cases.length).toBeGreaterThan(140);
  return cases
    .filter((each) => each.includes("<failure") || each.includes("<error"))
    .map((each) => {
      const [, section = "", name = ""] = /^package="([^"]*)" classname="([^"]*)"/.exec(each) ?? [];
      return `${section} ${name}`;
    })
    .filter((each) => EXCEPTIONS[each] === undefined);
}

test.skipIf(binary === null)(
  "all cases pass but those that are argued",
  async () => {
    const address = bridge.address();
    const port = address !== null && typeof address === "object" ? String(address.port) : "";
    // A case gives an answer a second at most; on a busy machine one of 145 may miss it. What fails thrice is no accident.
    let unexpected = await failedCases(port);
    for (let again = 0; again < 2 && unexpected.length > 0; again += 1) {
      const failed = new Set(await failedCases(port));
      unexpected = unexpected.filter((each) => failed.has(each));
    }
    expect(unexpected).toEqual([]);

    const client = kmsClient(harness.path);
    expect((await client.status()).healthz).toBe("ok");
    client.close();
  },
  120_000,
);
