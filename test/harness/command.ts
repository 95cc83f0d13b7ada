/** @module A command that runs to its end: what it printed and how it ended. For a command that keeps running: child.ts. */
export interface CommandOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  readonly input?: string;
  readonly timeoutMs?: number;
}

/** Not spawnSync: what the command talks to may run in this process. */
export async function runCommand(
  words: readonly string[],
  { env, cwd, input = "", timeoutMs }: CommandOptions,
) {
  const child = Bun.spawn([...words], {
    env,
    ...(cwd === undefined ? {} : { cwd }),
    ...(timeoutMs === undefined ? {} : { timeout: timeoutMs }),
    stdin: Buffer.from(input),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { status, stdout, stderr };
}

export type CommandResult = Awaited<ReturnType<typeof runCommand>>;
