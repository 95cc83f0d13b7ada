/**
 * The harness as a process of its own, so that its memory is its own: `bun harness-process.ts`.
 *
 * @module Prints the socket's path and runs until its standard input ends. served-process.ts starts it.
 */
import { chmodSync } from "node:fs";
import { startHarness } from "./harness.ts";

const harness = await startHarness();
// A test that attacks as another user lets it in here.
chmodSync(harness.path, 0o660);
console.log(harness.path);
for await (const _ of process.stdin) {
  // Nothing is said to it.
}
await harness.stop();
