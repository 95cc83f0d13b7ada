/**
 * The fault table: every row, by group.
 *
 * @module The order is the order in which they are printed.
 */
import { type Fault, type FaultTable, GROUPS, type Group } from "./fault.ts";
import { clocks } from "./rows/clocks.ts";
import { connectionAndAnswers } from "./rows/connection-and-answers.ts";
import { credentials } from "./rows/credentials.ts";
import { openbaoProcess } from "./rows/openbao-process.ts";
import { providerProcess } from "./rows/provider-process.ts";
import { registry } from "./rows/registry.ts";
import { socketDirectory } from "./rows/socket-directory.ts";
import { transitKey } from "./rows/transit-key.ts";
import { trustAndNames } from "./rows/trust-and-names.ts";

const TABLE: FaultTable = {
  "OpenBao's process": openbaoProcess,
  "The connection to OpenBao and its answers": connectionAndAnswers,
  "Trust and names": trustAndNames,
  Credentials: credentials,
  "The Transit key": transitKey,
  "The provider's process": providerProcess,
  "The registry": registry,
  "The socket's directory": socketDirectory,
  Clocks: clocks,
};

export const FAULTS: readonly { readonly group: Group; readonly fault: Fault }[] = GROUPS.flatMap((group) =>
  TABLE[group].map((fault) => ({ group, fault })),
);

export type Row = (typeof FAULTS)[number];

/** In the order of running: rows that need a token of some age are spread among the others, so that it grows meanwhile. */
export function inRunOrder(rows: readonly Row[]): readonly Row[] {
  const aged = rows.filter(({ fault }) => fault.agedToken === true);
  const others = rows.filter(({ fault }) => fault.agedToken !== true);
  const between = Math.max(1, Math.floor(others.length / (aged.length + 1)));
  const spread = others.flatMap((row, index) => {
    const next = (index + 1) % between === 0 ? aged.shift() : undefined;
    return next === undefined ? [row] : [row, next];
  });
  return [...spread, ...aged];
}
