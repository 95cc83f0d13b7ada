/**
 * A process that tries without end to get between the provider and its socket: `bun attacker.ts RUN HOME`.
 *
 * @module Run by socket-attack.test.ts as another user. RUN is the socket's directory, HOME one of its own. Prints each kind of
 * attempt that succeeded, and appends a byte to HOME/rounds after every round.
 */
import {
  appendFileSync,
  chmodSync,
  linkSync,
  mkdirSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";

const [run = "", home = ""] = process.argv.slice(2);
const socket = `${run}/kms.sock`;
const file = `${home}/file`;

const ATTEMPTS: Readonly<Record<string, () => void>> = {
  "symbolic link": () => symlinkSync(file, socket),
  "hard link": () => linkSync(file, socket),
  "file of its own": () => writeFileSync(`${run}/.kms.sock.0`, "", { flag: "wx" }),
  "move into place": () => renameSync(file, socket),
  "socket removed": () => unlinkSync(socket),
  "lock removed": () => unlinkSync(`${socket}.lock`),
  "lock taken away": () => renameSync(`${socket}.lock`, `${home}/lock`),
  "socket's mode": () => chmodSync(socket, 0o777),
  "directory's mode": () => chmodSync(run, 0o777),
  "directory moved": () => renameSync(run, `${run}.aside`),
  "directory replaced": () => renameSync(`${home}/directory`, run),
  "directory removed": () => rmdirSync(run),
};

writeFileSync(file, "");
mkdirSync(`${home}/directory`, { recursive: true });
for (;;) {
  for (const [name, attempt] of Object.entries(ATTEMPTS)) {
    try {
      attempt();
      writeSync(1, `succeeded: ${name}\n`);
    } catch {
      // As it should be.
    }
  }
  appendFileSync(`${home}/rounds`, ".");
}
