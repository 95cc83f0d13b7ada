/**
 * Runs the same probe once more with kube-apiserver's uid, gid and groups.
 *
 * @module Through setpriv(1) of util-linux, since a Bun process cannot change its own groups. Only root may.
 */
import { spawn } from "node:child_process";
import { ProviderError } from "../../base/error-class.ts";
import type { ApiServerProcess } from "./apiserver-process.ts";

const SETPRIV = ["/usr/bin/setpriv", "/bin/setpriv"] as const;

/** The command line that does it. */
export function setprivArguments(
  { uid, gid, groups }: Pick<ApiServerProcess, "uid" | "gid" | "groups">,
  command: readonly string[],
): readonly string[] {
  return [
    `--reuid=${uid}`,
    `--regid=${gid}`,
    ...(groups.length === 0 ? ["--clear-groups"] : [`--groups=${groups.join(",")}`]),
    "--no-new-privs",
    "--",
    ...command,
  ];
}

/**
 * The exit code of the probe that ran as kube-apiserver; what it printed went to this process's own streams.
 * @throws ProviderError when it could not be started.
 */
export async function probeAsApiServer(
  server: ApiServerProcess,
  command: readonly string[],
  exists: (path: string) => boolean,
  signal: AbortSignal,
): Promise<number> {
  const setpriv = SETPRIV.find(exists);
  if (setpriv === undefined || process.geteuid?.() !== 0) {
    throw new ProviderError({
      code: "setpriv_unavailable",
      errorClass: "config_invalid",
      message:
        setpriv === undefined
          ? "--as-apiserver: setpriv is not installed"
          : "--as-apiserver: only root may run as another user",
      advice: setpriv === undefined ? "install util-linux, or use sudo -u USER" : "run it as root",
    });
  }
  return new Promise((resolve, reject) => {
    const child = spawn(setpriv, [...setprivArguments(server, command)], {
      stdio: ["ignore", "inherit", "inherit"],
      env: { PATH: "/usr/bin:/bin" },
      cwd: "/",
      signal,
    });
    child.on("error", reject);
    child.on("exit", (code) => resolve(code ?? 1));
  });
}
