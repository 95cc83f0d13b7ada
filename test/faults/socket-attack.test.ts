/**
 * Attacks on the socket's directory while the compiled executable starts and stops beside them: by a real user without
 * rights, by a member of the socket's group, and by a directory that changes between the check and the bind.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  unlinkSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { makeFakeOpenBao } from "../fakes/openbao/fake-openbao.ts";
import { serveFakeOpenBao } from "../fakes/openbao/fake-server.ts";
import { makeJwtIssuer } from "../fakes/openbao/jwt-issuer.ts";
import { operator } from "../fakes/openbao/operator.ts";
import { provision } from "../fakes/openbao/provision.ts";
import { ROOT_SOCKET_GID } from "../fakes/socket-directory.ts";
import { eventually } from "../harness/eventually.ts";
import { type Provider, prepareProvider } from "../harness/provider.ts";

const STRANGER = 24_301;
const STARTS = 4;
const SWAPPED_STARTS = 10;
const TIMEOUT_MS = 60_000;
const isRoot = process.getuid?.() === 0;

describe.skipIf(!isRoot)("the socket's directory under attack (root makes the users)", () => {
  const openbao = makeFakeOpenBao();
  let server: Awaited<ReturnType<typeof serveFakeOpenBao>>;
  let provider: Provider;
  let run: string;
  const home = (gid: number): string => join(provider.dir, `home-${gid}`);

  beforeAll(async () => {
    server = await serveFakeOpenBao(openbao);
    const issuer = makeJwtIssuer();
    const names = await provision(operator(server, openbao.rootToken), issuer.publicKeyPem);
    provider = await prepareProvider({ openbao: server, names, issuer });
    run = dirname(provider.socketPath);
    // Everybody may make files beside the socket's directory, as in /tmp; the sticky bit keeps what others made.
    chmodSync(provider.dir, 0o1777);
    for (const gid of [STRANGER, ROOT_SOCKET_GID]) {
      mkdirSync(home(gid));
      chownSync(home(gid), STRANGER, gid);
    }
  }, TIMEOUT_MS);
  afterAll(async () => {
    await provider.dispose();
    await server.stop();
  });

  function attackAs(gid: number): { readonly child: ChildProcess; readonly successes: () => string } {
    const script = join(import.meta.dir, "attacker.ts");
    const child = spawn(
      "setpriv",
      [`--reuid=${STRANGER}`, `--regid=${gid}`, "--clear-groups", process.execPath, script, run, home(gid)],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
    return { child, successes: () => output };
  }

  /** Whether another user can connect. */
  function connectsAs(gid: number): boolean {
    const { status } = spawnSync("setpriv", [
      `--reuid=${STRANGER}`,
      `--regid=${gid}`,
      "--clear-groups",
      process.execPath,
      "-e",
      `require("node:net").connect(${JSON.stringify(provider.socketPath)}).on("connect", () => process.exit(0)).on("error", () => process.exit(1))`,
    ]);
    return status === 0;
  }

  test.each([
    ["a user without rights", STRANGER],
    ["a member of the socket's group", ROOT_SOCKET_GID],
  ])(
    "%s changes nothing, whatever is tried while it starts, serves and stops",
    async (_, gid) => {
      const { child, successes } = attackAs(gid);
      try {
        for (let start = 0; start < STARTS; start += 1) {
          await provider.start();
          expect((await provider.client.status()).healthz).toBe("ok");
          await provider.stop();
        }
      } finally {
        child.kill("SIGKILL");
      }
      expect(readFileSync(join(home(gid), "rounds")).length).toBeGreaterThan(100);
      expect(successes()).toBe("");
    },
    TIMEOUT_MS,
  );

  test(
    "who may connect is the socket's group and no other user",
    async () => {
      await provider.start();
      expect(connectsAs(ROOT_SOCKET_GID)).toBe(true);
      expect(connectsAs(STRANGER)).toBe(false);
      await provider.stop();
    },
    TIMEOUT_MS,
  );

  test(
    "a directory that is swapped for a link to another's all the time: it serves in the right one or not at all",
    async () => {
      const aside = `${run}.aside`;
      const bait = join(home(STRANGER), "bait");
      mkdirSync(bait);
      chmodSync(bait, 0o777);
      const swapping = new AbortController();
      const caught: string[] = [];
      let swaps = 0;
      const swap = async (): Promise<void> => {
        while (!swapping.signal.aborted) {
          renameSync(run, aside);
          symlinkSync(bait, run);
          await Bun.sleep(Math.random() * 3);
          caught.push(...readdirSync(bait));
          unlinkSync(run);
          renameSync(aside, run);
          swaps += 1;
          await Bun.sleep(Math.random() * 3);
        }
      };
      const swapper = swap();
      for (let start = 0; start < SWAPPED_STARTS; start += 1) {
        const before = provider.log().length;
        provider.spawn();
        await eventually(
          "it serves or leaves",
          () =>
            provider.exited() ||
            provider
              .log()
              .slice(before)
              .some(({ message }) => message === "provider.started"),
          { timeoutMs: 30_000, everyMs: 10 },
        );
        await provider.stop();
      }
      swapping.abort();
      await swapper;
      expect(swaps).toBeGreaterThan(SWAPPED_STARTS);
      expect(caught).toEqual([]);
      await provider.start();
      expect((await provider.client.status()).healthz).toBe("ok");
      await provider.stop();
    },
    TIMEOUT_MS,
  );
});
