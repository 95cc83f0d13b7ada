/**
 * Runs one external tool of a release, whose failure ends the release with the tool's own words.
 *
 * @module The only place in packaging/ that starts a process.
 */
import { spawn, spawnSync } from "node:child_process";

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array;
}

/** Standard output of `command`; throws with its standard error when it fails or is not there. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): string {
  return runBytes(command, args, options).toString("utf8");
}

/** The same words and orders on every machine: no locale, no time zone. */
const reproducible = { LC_ALL: "C", TZ: "UTC" } as const;

export function runBytes(command: string, args: readonly string[], options: RunOptions = {}): Buffer {
  const { status, error, stdout, stderr } = spawnSync(command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...reproducible, ...options.env },
    input: options.input,
    maxBuffer: 1 << 30,
  });
  if (status !== 0) {
    const reason = error === undefined ? stderr.toString("utf8").trim() : error.message;
    throw new Error(`${command} ${args.join(" ")} failed: ${reason}`);
  }
  return stdout;
}

/** A filter that takes minutes, so that two can run at a time: standard output of `command` for `input`. */
export async function filterBytes(
  command: string,
  args: readonly string[],
  input: Uint8Array,
): Promise<Buffer> {
  const child = spawn(command, args, { env: { ...process.env, ...reproducible } });
  const said: Record<"stdout" | "stderr", Buffer[]> = { stdout: [], stderr: [] };
  child.stdout.on("data", (bytes: Buffer) => said.stdout.push(bytes));
  child.stderr.on("data", (bytes: Buffer) => said.stderr.push(bytes));
  // One that ends early closes its input; why is in its status and its words.
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (status !== 0) {
    throw new Error(
      `${command} ${args.join(" ")} failed: ${Buffer.concat(said.stderr).toString("utf8").trim()}`,
    );
  }
  return Buffer.concat(said.stdout);
}
