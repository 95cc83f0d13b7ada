/**
 * @module A suite that needs real components. Finds binaries by their variable, else on PATH. One that is absent skips the
 * suite and says why; with REQUIRE_REAL=1 it fails. A suite of minutes runs only under REQUIRE_REAL=1, which CI sets.
 */
import { describe, test } from "bun:test";
import { existsSync } from "node:fs";

const VARIABLES = {
  bao: "BAO_BIN",
  etcd: "ETCD_BIN",
  etcdctl: "ETCDCTL_BIN",
  etcdutl: "ETCDUTL_BIN",
  "kube-apiserver": "KUBE_APISERVER_BIN",
} as const;

export type RealBinary = keyof typeof VARIABLES;

/** The path of a binary, or undefined when there is none. A variable that names no file counts as none. */
export function findBinary(name: RealBinary): string | undefined {
  const named = process.env[VARIABLES[name]];
  if (named !== undefined && named !== "") {
    return existsSync(named) ? named : undefined;
  }
  return Bun.which(name) ?? undefined;
}

/** @throws when there is none, with what to do. */
export function needBinary(name: RealBinary): string {
  const found = findBinary(name);
  if (found === undefined) {
    throw new Error(`there is no ${name}: put it on PATH, or name it by ${VARIABLES[name]}`);
  }
  return found;
}

export function requireReal(): boolean {
  return process.env["REQUIRE_REAL"] === "1";
}

export interface RealSuiteOptions<Name extends RealBinary> {
  readonly needs: readonly Name[];
  /** Takes more than some seconds. */
  readonly long?: boolean;
}

/** `describe` for a suite that gets the paths of the binaries it needs. */
export function describeReal<Name extends RealBinary>(
  title: string,
  { needs, long = false }: RealSuiteOptions<Name>,
  body: (binary: (name: Name) => string) => void,
): void {
  const missing = needs.filter((name) => findBinary(name) === undefined);
  const remedy = missing.map((name) => `${name} (set ${VARIABLES[name]} or put it on PATH)`).join(", ");
  if (missing.length > 0 && requireReal()) {
    test(`${title}: components`, () => {
      throw new Error(`REQUIRE_REAL=1 and there is no ${remedy}`);
    });
    return;
  }
  const reason =
    missing.length > 0
      ? `there is no ${remedy}`
      : long && !requireReal()
        ? "it takes minutes; run it with REQUIRE_REAL=1"
        : undefined;
  if (reason !== undefined) {
    console.log(`skipped: ${title}: ${reason}`);
  }
  describe.skipIf(reason !== undefined)(title, () => body((name) => findBinary(name) ?? name));
}
