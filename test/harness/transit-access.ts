/** @module The composition root's access to Transit, on the text of a configuration. */
import { systemClock } from "../../src/base/clock.ts";
import { decodeConfig } from "../../src/config/decode-config.ts";
import { openTransitAccess, type TransitAccess } from "../../src/provider/transit-access.ts";

type Options = Parameters<typeof openTransitAccess>[0];

export function transitAccess(
  text: string,
  more: Pick<Options, "helper" | "openbaoObserver"> = {},
): Promise<TransitAccess> {
  return openTransitAccess({
    config: decodeConfig(new TextEncoder().encode(text), "test").config,
    clock: systemClock,
    random: Math.random,
    serviceUid: process.getuid?.() ?? 0,
    ...more,
  });
}
