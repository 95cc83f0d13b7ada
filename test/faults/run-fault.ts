/**
 * One row: cause, look, repair, and the check that nothing was lost and nothing was wrong.
 *
 * @module The same for every row; what is particular is in rows/.
 */
import { eventually } from "../harness/eventually.ts";
import { codeOf } from "../harness/kms-client.ts";
import type { Provider } from "../harness/provider.ts";
import type { Expectation, Fault, FaultResult, Group } from "./fault.ts";
import type { Load } from "./load.ts";
import type { World } from "./world.ts";

export interface RunOptions {
  /** The faults last as long as they say, and not only as long as is needed to see them. */
  readonly long: boolean;
}

const NOTICE_MS = 20_000;
/** Of a busy machine; the slowest rows wait for a pause between logins, or for an address to be forgotten. */
const RECOVERY_MS = 30_000;
const LASTS_MS = 500;
/** A caller waits no longer than this for a refusal. */
const REFUSED_MS = 3500;
/** The code that says that the caller's data is wrong. */
const BLAME = "INVALID_ARGUMENT";
const SEED = new Uint8Array(32).fill(7);

export async function runFault(
  world: World,
  group: Group,
  fault: Fault,
  { long }: RunOptions,
): Promise<FaultResult> {
  const problems: string[] = [];
  const attempt = async (what: string, work: () => unknown): Promise<void> => {
    try {
      await work();
    } catch (error) {
      problems.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  if (fault.ownMachine === true) {
    await world.provider.stop();
    await world.provider.start(world.ownMachine);
  }
  await untilWell(world);
  const ciphertextsBefore = world.load.count();
  const linesBefore = world.provider.log().length;
  const pid = world.provider.pid();
  const keyId = world.load.keyId();
  world.load.take();
  world.cluster?.take();

  let ready = 0;
  let repair: Awaited<ReturnType<Fault["cause"]>>;
  await attempt("cause", async () => {
    repair = await fault.cause(world);
    await untilShown(world, fault.expect);
    await Bun.sleep(long ? (fault.lastsMs ?? LASTS_MS) : (fault.shortMs ?? LASTS_MS));
    ready = await world.provider.health("/ready").then(
      ({ status }) => status,
      () => 0,
    );
    problems.push(...(await answersNow(world, fault.expect, keyId)));
    if (fault.expect.status === "reason" && ready !== 503) {
      problems.push(`/ready answers ${ready}`);
    }
  });
  const began = performance.now();
  await attempt("repair", () => repair?.());
  await attempt("recovery", () => untilWell(world));
  const recoveryMs = Math.round(performance.now() - began);
  const seen = world.load.take();
  await attempt("data", async () => {
    problems.push(...(await world.load.verify(ciphertextsBefore)).slice(0, 3));
    problems.push(...((await world.cluster?.verify()) ?? []).slice(0, 3));
  });
  problems.push(...seen.wrong, ...judge(fault.expect, seen));
  const moved = world.load.keyId() !== keyId;
  if (moved !== (fault.expect.keyId === "moves")) {
    problems.push(moved ? "the key_id has moved" : "the key_id has not moved");
  }
  const restarted = world.provider.pid() !== pid;
  if (restarted !== (fault.expect.restarted === true)) {
    problems.push(restarted ? "the process is another one" : "the process is the same");
  }
  if (fault.ownMachine === true) {
    world.machine?.moveClock(0);
    await world.provider.stop();
    await world.provider.start();
  }
  const { wrong: _, slowestMs, ...counts } = seen;
  return {
    id: fault.id,
    group,
    title: fault.title,
    verdict: problems.length === 0 ? "held" : "broken",
    problems,
    ...counts,
    slowestMs: Math.round(slowestMs),
    operator: told(world, linesBefore),
    ready,
    recoveryMs,
    ...(world.cluster === undefined ? {} : { cluster: world.cluster.take() }),
  };
}

/** Status ok, calls answered, ready. */
async function untilWell({ provider, load }: World): Promise<void> {
  await eventually(
    "all is well again",
    async () => {
      const [status, code, health] = await Promise.all([
        provider.client.status({ timeoutMs: 1000 }),
        codeOf(provider.client.encrypt(SEED, { timeoutMs: 1000 })),
        provider.health("/ready"),
      ]);
      return status.healthz === "ok" && code === "OK" && health.status === 200 && load.count() > 0;
    },
    { timeoutMs: RECOVERY_MS, everyMs: 20 },
  );
}

async function untilShown({ provider }: World, expect: Expectation): Promise<void> {
  if (expect.status === "ok" || expect.status === "any") {
    return;
  }
  await eventually(`Status is ${expect.healthz ?? expect.status}`, () => isShown(provider, expect), {
    timeoutMs: NOTICE_MS,
    everyMs: 20,
  });
}

async function isShown(provider: Provider, expect: Expectation): Promise<boolean> {
  const call = provider.client.status({ timeoutMs: 1000 });
  const code = await codeOf(call);
  switch (expect.status) {
    case "reason":
      return code === "OK" && isReason((await call).healthz, expect.healthz);
    case "error":
      return code === (expect.healthz ?? "FAILED_PRECONDITION");
    default:
      return code === "UNAVAILABLE" || code === "DEADLINE_EXCEEDED";
  }
}

function isReason(healthz: string, wanted: string | undefined): boolean {
  return wanted === undefined ? healthz !== "ok" : healthz === wanted;
}

/** What a call is answered once Status shows the fault. */
async function answersNow(
  { provider, load }: World,
  expect: Expectation,
  keyId: string,
): Promise<readonly string[]> {
  const problems: string[] = [];
  if (expect.status === "reason" || expect.status === "error") {
    if (!(await isShown(provider, expect))) {
      problems.push("Status does not show it any more");
    }
    const { status } = await provider.health("/live");
    if (status !== 200) {
      problems.push(`/live answers ${status}`);
    }
  }
  if (expect.status === "reason" && expect.keyId !== "moves") {
    const shown = (await provider.client.status()).keyId;
    if (shown !== keyId) {
      problems.push(`Status shows the key_id ${shown}`);
    }
  }
  problems.push(...(await decryptsNow(load, expect)));
  const blamed =
    expect.blamesAtFirst === true
      ? (await load.verify(load.count())).filter((each) => each.includes(BLAME))
      : [];
  problems.push(...blamed.slice(0, 1));
  if (expect.encrypt === "refused" && (await codeOf(provider.client.encrypt(SEED))) === "OK") {
    problems.push("Encrypt is not refused");
  }
  return problems;
}

async function decryptsNow(load: Load, expect: Expectation): Promise<readonly string[]> {
  const wanted = expect.decryptMeanwhile ?? expect.decrypt;
  if (wanted === "any" || (expect.status !== "reason" && expect.status !== "error")) {
    return [];
  }
  const beganMs = performance.now();
  const code = await load.decryptNewest();
  const tookMs = performance.now() - beganMs;
  const isRight =
    wanted === "works" ? code === "OK" : code !== "OK" && code === (expect.refusal?.code ?? code);
  const isInTime = tookMs < (expect.refusal?.withinMs ?? REFUSED_MS);
  return isRight && isInTime ? [] : [`Decrypt is answered ${code} after ${Math.round(tookMs)} ms`];
}

function judge(expect: Expectation, seen: Pick<FaultResult, "status" | "encrypt" | "decrypt">): string[] {
  const problems: string[] = [];
  const others = (counts: Readonly<Record<string, number>>, good: string): readonly string[] =>
    Object.keys(counts).filter((answer) => answer !== good);
  if (expect.status === "ok" && others(seen.status, "ok").length > 0) {
    problems.push(`Status was ${others(seen.status, "ok").join(", ")}`);
  }
  for (const call of ["encrypt", "decrypt"] as const) {
    const failed = others(seen[call], "OK");
    if (expect[call] === "works" && failed.length > 0) {
      problems.push(`${call} failed with ${failed.join(", ")}`);
    }
    if (expect[call] === "refused" && failed.length === 0) {
      problems.push(`${call} was never refused`);
    }
    // This error would make a caller believe that its data is damaged.
    const accusing = failed.filter(
      (code) => code === "INVALID_ARGUMENT" || code === "INTERNAL" || code === "UNKNOWN",
    );
    if (accusing.length > 0 && expect.blamesAtFirst !== true) {
      problems.push(`${call} failed with ${accusing.join(", ")}`);
    }
  }
  return problems;
}

/** Each event at warn or error once, with what it says of the reason. */
function told({ provider }: World, from: number): string[] {
  const lines = provider.log().slice(from);
  const worth = lines.filter(({ level }) => level === "warn" || level === "error");
  const events = worth
    .filter(({ message }) => message !== "kms.request")
    .map((line) =>
      [line.message, line["code"] ?? line["error_class"] ?? line["healthz"]].filter(Boolean).join(" "),
    );
  return [...new Set(events)];
}
