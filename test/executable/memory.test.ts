/** How much memory the compiled executable ever has, with its unit's variables and without a JIT, while others hoard it. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { unitEnvironment } from "../../scripts/bench/unit-environment.ts";
import { HOARDERS, hoardOnce } from "../conformance/attacks.ts";
import { peakRssMib } from "../harness/peak-memory.ts";
import { type ProviderOnStandIn, startOnStandIn } from "./provider-on-stand-in.ts";

/** A quarter of the unit's MemoryMax. */
const MOST_MIB = 128;

let stage: ProviderOnStandIn;
beforeAll(async () => {
  stage = await startOnStandIn({}, undefined, unitEnvironment("off"));
}, 60_000);
afterAll(() => stage.dispose());

test.each(HOARDERS)(
  `less than ${MOST_MIB} MiB: %s, on 64 connections`,
  async (_name, hoard) => {
    const { provider } = stage;
    await hoardOnce(provider.socketPath, hoard);
    expect((await provider.client.status({ timeoutMs: 20_000 })).healthz).toBe("ok");
    expect(peakRssMib(provider.pid())).toBeLessThan(MOST_MIB);
  },
  60_000,
);
