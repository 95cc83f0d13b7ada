/** @module Who a call came from, so that many calls of one caller do not keep those of another waiting. */
import { createContextKey } from "@connectrpc/connect";

/** One object for each connection. Calls of unknown origin share one. */
export const CALLER = createContextKey<object>({}, { description: "the connection of a call" });
