/**
 * A suite on a booted machine.
 *
 * @module What such a suite needs of the host.
 */
import { describeWithTools } from "../packaging/tool-suite.ts";

const tools = { debootstrap: "debootstrap", unshare: "util-linux", nsenter: "util-linux", pgrep: "procps" };

export function describeOnMachine(
  title: string,
  more: Readonly<Record<string, string>>,
  body: () => void,
): void {
  describeWithTools(title, { needs: { ...tools, ...more }, asRoot: true, long: true }, body);
}

/** Booting, installing and waiting for a service's own time limits. */
export const machineTimeoutMs = 240_000;
