/**
 * SIGKILL at random moments of the commands that write the registry: retire-versions, restore-versions, rebuild-registry, beside
 * a provider that runs and one that was killed before; after each the registry on disk is judged, and everything decrypts.
 *
 * @module Acts on a world; who starts it says how often. The provider's own process is kill-storm.ts.
 */
import { existsSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import * as v from "valibot";
import { runCommand } from "../harness/command.ts";
import { eventually } from "../harness/eventually.ts";
import { type RegistryJudge, registryJudge } from "./registry-judge.ts";
import type { World } from "./world.ts";

const COMMANDS = ["retire-versions", "restore-versions", "rebuild-registry"] as const;
type Command = (typeof COMMANDS)[number];
/** `writing`: as soon as the state directory changes, which a command does for two milliseconds at its end. */
type Instant = "any" | "writing";

const ENVIRONMENT = { PATH: "/usr/bin:/bin" };
const rotated = v.object({ data: v.object({ latest_version: v.number() }) });
const ROTATED_EVERY = 12;
/** About as long as a command takes. */
const LONGEST_COMMAND_MS = 300;
const ADOPTED_TIMEOUT_MS = 20_000;

/** Strikes so many commands; `onKill` gets the number of each, from 1. Returns how many of each command died, and how many ended before. */
export async function commandStorm(
  world: World,
  kills: number,
  onKill: (kill: number, problems: readonly string[]) => void = () => {},
) {
  const problems: string[] = [];
  const commands = {
    "retire-versions": { killed: 0, done: 0 },
    "restore-versions": { killed: 0, done: 0 },
    "rebuild-registry": { killed: 0, done: 0 },
  };
  const judge = registryJudge(world.statePath);
  const look = (): void => {
    problems.push(...judge.look());
  };

  /** Everything that the command needs for its work. */
  const prepare = async (command: Command): Promise<readonly string[]> => {
    look();
    switch (command) {
      case "retire-versions":
        return retirement(judge);
      case "restore-versions":
        await carryOut(world, retirement(judge));
        look();
        return restoration(judge);
      case "rebuild-registry":
        for (const path of [world.statePath, `${world.statePath}.checkpoint`]) {
          rmSync(path, { force: true });
        }
        judge.expectRebuilt();
        return await rebuilding(world);
    }
  };

  /** What an operator does after a command that has died, until all is as before. */
  const repair = async (args: readonly string[]): Promise<void> => {
    if (!existsSync(world.statePath)) {
      await carryOut(world, args);
    }
    look();
    problems.push(...halfDone(judge));
    if (removedOf(judge).length > 0) {
      await carryOut(world, restoration(judge));
      look();
    }
    if (world.provider.exited()) {
      await world.provider.start();
    }
    problems.push(...(await untilAllDecrypt(world)), ...world.load.take().wrong);
  };

  for (let kill = 1; kill <= kills; kill += 1) {
    const command = COMMANDS[kill % COMMANDS.length] ?? "retire-versions";
    if (kill % ROTATED_EVERY === 1) {
      await rotateAndWait(world, judge);
    }
    const keyId = world.load.keyId();
    const runsBeside = command !== "rebuild-registry" && Math.random() < 0.5;
    if (!runsBeside) {
      await world.provider.kill();
    }
    const args = await prepare(command);
    const code = await strike(world, args, kill % 2 === 0 ? "writing" : "any");
    commands[command][code === null ? "killed" : "done"] += 1;
    if (code !== null && code !== 0) {
      problems.push(`${command} ended with ${code}`);
    }
    if (runsBeside && world.provider.exited()) {
      problems.push(`the provider has ended beside ${command}`);
    }
    await repair(args);
    if (world.load.keyId() !== keyId) {
      problems.push(`the key_id has moved in ${command}`);
    }
    onKill(kill, problems);
  }
  problems.push(...(await world.load.verify()));
  return { commands, ciphertexts: world.load.count(), problems };
}

function retirement(judge: RegistryJudge): readonly string[] {
  const plan = [
    "retire-versions",
    "--before-version",
    String(activeOf(judge)),
    "--override-reason",
    "a storm of kills",
  ];
  return applying(plan, judge.hash());
}

function restoration(judge: RegistryJudge): readonly string[] {
  return applying(["restore-versions", "--versions", removedOf(judge).join(",")], judge.hash());
}

async function rebuilding(world: World): Promise<readonly string[]> {
  const plan = ["rebuild-registry", "--expected-key-id", world.load.keyId()];
  const shown: { readonly planHash: string } = JSON.parse(
    await carryOut(world, [...plan, "--output", "json"]),
  );
  return applying(plan, shown.planHash);
}

function applying(plan: readonly string[], hash: string): readonly string[] {
  return [...plan, "--apply", "--expected-state-hash", hash];
}

function activeOf(judge: RegistryJudge): number {
  return judge.versions().find(({ state }) => state === "active")?.version ?? 0;
}

function removedOf(judge: RegistryJudge): readonly number[] {
  const removed = judge.versions().filter(({ state }) => state === "removed");
  return removed.map(({ version }) => version);
}

/** Old versions change their state together or not at all. */
function halfDone(judge: RegistryJudge): readonly string[] {
  const states = new Set(judge.versions().map(({ state }) => state));
  states.delete("active");
  return states.size > 1 ? [`old versions are ${[...states].join(" and ")}`] : [];
}

/** Starts the command and kills it; its exit code if it was not there any more to be killed. */
async function strike(world: World, args: readonly string[], instant: Instant): Promise<number | null> {
  const child = Bun.spawn(wordsOf(world, args), {
    stdio: ["ignore", "ignore", "ignore"],
    env: ENVIRONMENT,
  });
  await Promise.race([
    child.exited,
    instant === "any" ? Bun.sleep(Math.random() * LONGEST_COMMAND_MS) : untilTouched(world, child),
  ]);
  child.kill("SIGKILL");
  await child.exited;
  return child.signalCode === null ? child.exitCode : null;
}

/** The change is so short that only a tight watch sees it in time. */
async function untilTouched(
  { statePath }: World,
  child: { readonly exitCode: number | null },
): Promise<void> {
  const changedAt = (): number => statSync(dirname(statePath)).mtimeMs;
  const before = changedAt();
  while (child.exitCode === null && changedAt() === before) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Runs the command to its end. */
async function carryOut(world: World, args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await runCommand(wordsOf(world, args), { env: ENVIRONMENT });
  if (status !== 0) {
    throw new Error(`${args.join(" ")} ended with ${status}: ${stderr}${stdout}`);
  }
  return stdout;
}

function wordsOf({ provider }: World, args: readonly string[]): string[] {
  return [provider.executable, ...args, "--config", provider.configPath];
}

/** Until the newest version is the active one, whatever was pending before: on disk, then in what is answered and seen. */
async function rotateAndWait({ post, keyPath, load, provider }: World, judge: RegistryJudge): Promise<void> {
  const { data } = v.parse(rotated, await post(`${keyPath}/rotate`));
  const newest = String(data.latest_version);
  await eventually(
    "the new version is promoted",
    async () => {
      judge.look();
      if (String(activeOf(judge)) !== newest) {
        return false;
      }
      const { annotations, keyId } = await provider.client.encrypt(new Uint8Array(32));
      const version = Buffer.from(annotations["transit-key-version.kms.openbao.org"] ?? []).toString();
      return version === newest && load.keyId() === keyId;
    },
    { timeoutMs: ADOPTED_TIMEOUT_MS },
  );
}

/** A provider that runs takes up at its next probe what a command wrote; after that every old ciphertext decrypts. */
async function untilAllDecrypt({ load }: World): Promise<readonly string[]> {
  let problems: readonly string[] = [];
  await eventually(
    "everything decrypts",
    async () => {
      problems = await load.verify(load.count());
      return problems.length === 0;
    },
    { timeoutMs: ADOPTED_TIMEOUT_MS },
  ).catch(() => {});
  return problems.slice(0, 3);
}
