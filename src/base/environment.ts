/** @module What the environment could do to this process, undone or refused before anything else runs. */
import { writeFileSync } from "node:fs";

/**
 * `remove`: taking it out of the environment before the first request makes it harmless.
 * `refuse`: it has acted before our first line, or acts in spite of being removed.
 */
interface VariableRule {
  readonly matches: RegExp;
  readonly treatment: "keep" | "remove" | "refuse";
  /** What the variable would do; completes "it …". */
  readonly effect: string;
}

/** The first rule that matches decides, so exceptions stand before the prefix that they are an exception to. */
const RULES: readonly VariableRule[] = [
  {
    matches: /^BUN_JSC_useJIT$/,
    treatment: "keep",
    effect: "turns the JIT off, as MemoryDenyWriteExecute does",
  },
  {
    matches: /^BUN_JSC_miniVMHeapGrowthFactor$/,
    treatment: "keep",
    effect:
      "sets how far the heap grows between garbage collections while the JIT is off (default: 1.2 times)",
  },
  {
    matches: /^BUN_JSC_useConcurrentGC$/,
    treatment: "keep",
    effect: "sets whether garbage is collected during calls, which slows them, or between calls",
  },
  {
    matches: /^BUN_GC_TIMER_INTERVAL$/,
    treatment: "keep",
    effect: "sets in milliseconds how often an idle process checks its memory (default: each second)",
  },
  {
    matches: /^BUN_CONFIG_DNS_TIME_TO_LIVE_SECONDS$/,
    treatment: "keep",
    effect: "sets how long the address of a name is remembered (default: 30 s)",
  },
  {
    matches: /^BUN_INSTALL(_|$)/,
    treatment: "remove",
    effect: "sets where the Bun command line tool is installed",
  },
  {
    matches: /^BUN_INSPECT/,
    treatment: "refuse",
    effect: "opens a debugger, through which any code can be run",
  },
  {
    matches: /^BUN_OPTIONS$/,
    treatment: "refuse",
    effect: "adds options of Bun, such as code to load first",
  },
  {
    matches: /^BUN_CONFIG_VERBOSE_FETCH$/,
    treatment: "refuse",
    effect: "prints every request with its token",
  },
  { matches: /^BUN_/, treatment: "refuse", effect: "changes how the Bun runtime works" },
  { matches: /^JSC_/, treatment: "refuse", effect: "changes how the JavaScript engine works" },
  { matches: /^MIMALLOC_/, treatment: "refuse", effect: "changes how memory is kept and makes it print" },
  {
    matches: /^LD_(PRELOAD|AUDIT|LIBRARY_PATH|DEBUG|DEBUG_OUTPUT|PROFILE)$/,
    treatment: "refuse",
    effect: "makes the dynamic linker load or do other things than the executable asks for",
  },
  { matches: /^NODE_/, treatment: "remove", effect: "changes TLS verification, trust or warnings" },
  { matches: /^SSL_CERT_(FILE|DIR)$/, treatment: "remove", effect: "widens the trusted CAs" },
  { matches: /^SSLKEYLOGFILE$/, treatment: "remove", effect: "asks for TLS keys to be written down" },
  { matches: /^(HTTPS?|ALL|NO)_PROXY(_|$)/i, treatment: "remove", effect: "sends requests through a proxy" },
];

interface RefusedVariable {
  readonly name: string;
  readonly effect: string;
}

/** Deletes what deleting makes harmless, and returns what must stop the process. Values are neither looked at nor returned. */
export function sanitiseEnvironment(
  environment: Record<string, string | undefined>,
): readonly RefusedVariable[] {
  const refused: RefusedVariable[] = [];
  for (const name of Object.keys(environment)) {
    const rule = RULES.find(({ matches }) => matches.test(name));
    switch (rule?.treatment) {
      case "remove":
        delete environment[name];
        break;
      case "refuse":
        refused.push({ name, effect: rule.effect });
        break;
      case "keep":
      case undefined:
        break;
    }
  }
  return refused;
}

/** One line for each refused variable: what it does and what to type. */
export function describeRefused({ name, effect }: RefusedVariable): string {
  return `the environment variable ${name} is set; it ${effect} and cannot be undone from inside. Run: unset ${name} (or, in a systemd unit: UnsetEnvironment=${name})`;
}

/** Files that the process makes are for its owner and, for reading, its group. */
const UMASK = 0o027;

/** Sets the umask, and keeps memory out of core dumps (core(5)). Only the unit can forbid a core file: LimitCORE=0. */
export function hardenProcess(): void {
  process.umask(UMASK);
  try {
    writeFileSync("/proc/self/coredump_filter", "0");
  } catch {
    // Not Linux, or /proc is not there: nothing more can be done from here.
  }
}
