/** @module The demo's OpenBao: the installed one where it starts, else the stand-in, with the reason. */
import type { JwtIssuer } from "../../test/fakes/openbao/jwt-issuer.ts";
import { provision } from "../../test/fakes/openbao/provision.ts";
import { startAnyOpenBao } from "../../test/harness/any-openbao.ts";
import { runCommand } from "../../test/harness/command.ts";

const VERSION_TIMEOUT_SECONDS = "5";
const MAX_REASON = 200;
const STAND_IN = "OpenBao: the stand-in of this repository, because";

/** `choice` is one line: which OpenBao this is, and why. */
export async function startDemoOpenBao(binary: string | undefined, issuer: JwtIssuer) {
  if (binary === undefined) {
    const choice = `${STAND_IN} there is no \`bao\` on PATH (or in BAO_BIN)`;
    return { ...(await started(undefined, issuer)), choice };
  }
  const named = `${binary} (${await versionOf(binary)})`;
  try {
    return { ...(await started(binary, issuer)), choice: `OpenBao: the real one, ${named}` };
  } catch (error) {
    const choice = `${STAND_IN} ${named} does not start: ${reasonOf(error)}`;
    return { ...(await started(undefined, issuer)), choice };
  }
}

async function started(binary: string | undefined, issuer: JwtIssuer) {
  const openbao = await startAnyOpenBao(binary);
  try {
    return { openbao, names: await provision(openbao.operator, issuer.publicKeyPem) };
  } catch (error) {
    await openbao.dispose();
    throw error;
  }
}

/** What it calls itself, such as `OpenBao v2.7.2`. */
async function versionOf(binary: string): Promise<string> {
  const command = ["timeout", VERSION_TIMEOUT_SECONDS, binary, "version"];
  const { status, stdout } = await runCommand(command, { env: { PATH: process.env["PATH"] ?? "" } });
  const version = /^\S+ v[0-9]\S*/.exec(stdout)?.[0].replace(/,$/, "");
  return status === 0 && version !== undefined ? version : "its version is unknown";
}

/** The last line that is no log line: a server that gives up writes its reason there, at times without a line end. */
function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const lines = text
    .replace(/\d{4}-\d\d-\d\dT\S+ \[(?:TRACE|DEBUG|INFO|WARN)\].*/g, "")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  return (lines.at(-1) ?? "").slice(0, MAX_REASON);
}
