/** @module A suite on a booted machine. What such a suite needs of the host. */
import { describeWithTools, type ToolSuiteOptions } from "../packaging/tool-suite.ts";

const tools = { debootstrap: "debootstrap", unshare: "util-linux", nsenter: "util-linux", pgrep: "procps" };

export function describeOnMachine(
  title: string,
  more: Readonly<Record<string, string>>,
  body: () => void,
  { full = false }: Pick<ToolSuiteOptions, "full"> = {},
): void {
  describeWithTools(title, { needs: { ...tools, ...more }, asRoot: true, long: true, full }, body);
}

/** Booting, installing and waiting for a service's own time limits. */
export const machineTimeoutMs = 240_000;
