/** @module The first minute after a rotation: what writes and reads of Secrets take, and how often the provider is asked. */
import type { KubeApiServer } from "../../test/harness/kube-apiserver.ts";
import type { Provider } from "../../test/harness/provider.ts";
import { type Figure, figure } from "./figure.ts";

const BEFORE_SECONDS = 20;
const AFTER_SECONDS = 60;
const EVERY_MS = 100;

/** Calls of one method that the provider has answered, and the seconds they took in all. */
export async function answered(provider: Provider, method: "encrypt" | "decrypt") {
  const page = await provider.metrics();
  const value = (what: string): number => {
    const name = `openbao_kms_grpc_duration_seconds_${what}{method="${method}"} `;
    const line = page.split("\n").find((each) => each.startsWith(name)) ?? "";
    return Number(line.slice(name.length));
  };
  return { count: value("count"), seconds: value("sum") };
}

/** One Secret after the other is written and read. */
async function load(server: KubeApiServer, name: string, seconds: number) {
  const writeMs: number[] = [];
  const readMs: number[] = [];
  let failed = 0;
  const timed = async (times: number[], wanted: number, request: Parameters<KubeApiServer["request"]>) => {
    const began = performance.now();
    const { status } = await server.request(...request);
    times.push(performance.now() - began);
    failed += status === wanted ? 0 : 1;
  };
  const path = "/api/v1/namespaces/default/secrets";
  for (const end = performance.now() + seconds * 1000; performance.now() < end; ) {
    const secret = `${name}-${writeMs.length}`;
    const body = { apiVersion: "v1", kind: "Secret", metadata: { name: secret }, stringData: { a: secret } };
    await timed(writeMs, 201, ["POST", path, body]);
    await timed(readMs, 200, ["GET", `${path}/${secret}`]);
    await Bun.sleep(EVERY_MS);
  }
  return { writeMs, readMs, failed };
}

/** @param rotate makes a new version of the key. */
export async function firstMinuteAfterRotation(
  server: KubeApiServer,
  provider: Provider,
  rotate: () => Promise<unknown>,
): Promise<readonly Figure[]> {
  const calm = await load(server, "before-rotation", BEFORE_SECONDS);
  const [encrypts, decrypts] = [await answered(provider, "encrypt"), await answered(provider, "decrypt")];
  await rotate();
  const after = await load(server, "after-rotation", AFTER_SECONDS);
  const encrypted = (await answered(provider, "encrypt")).count - encrypts.count;
  const decrypted = (await answered(provider, "decrypt")).count - decrypts.count;
  return [
    figure("write of a Secret before a rotation", "ms", calm.writeMs),
    figure("write of a Secret in the minute after it", "ms", after.writeMs),
    figure("read of a Secret before a rotation", "ms", calm.readMs),
    figure("read of a Secret in the minute after it", "ms", after.readMs),
    figure("writes and reads that failed in that minute", "requests", [after.failed], { atMost: 0 }),
    figure("Encrypts in that minute", "calls", [encrypted]),
    figure("Decrypts in that minute", "calls", [decrypted]),
  ];
}
