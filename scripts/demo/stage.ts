/** @module What the stories of the demo share: the running parts, the steps with them, and the output, a line for each step. */
import type { Provisioning } from "../../test/fakes/openbao/provision.ts";
import type { AnyOpenBao } from "../../test/harness/any-openbao.ts";
import { untilKeyIdChanges } from "../../test/harness/outage.ts";
import type { Provider } from "../../test/harness/provider.ts";

const TIME_WIDTH = 9;

type Narrator = ReturnType<typeof makeNarrator>;

export function makeNarrator() {
  const began = performance.now();
  let chapters = 0;
  const line = (time: string, text: string): void => console.log(`${time.padStart(TIME_WIDTH)}  ${text}`);
  return {
    chapter: (title: string): void => {
      chapters += 1;
      console.log(`\n${chapters}. ${title}`);
    },
    say: (text: string): void => line("", text),
    /** Does the work, then prints the line and the milliseconds. A function makes the line from the result. */
    timed: async <T>(text: string | ((result: T) => string), work: () => Promise<T>): Promise<T> => {
      const start = performance.now();
      const result = await work();
      line(milliseconds(performance.now() - start), typeof text === "string" ? text : text(result));
      return result;
    },
    end: (): void => {
      const seconds = ((performance.now() - began) / 1000).toFixed(1);
      console.log(`\nDone in ${seconds} s; every process has ended and the temporary files are gone.`);
    },
  };
}

function milliseconds(ms: number): string {
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
}

export interface Stage {
  readonly narrator: Narrator;
  readonly openbao: AnyOpenBao;
  readonly provider: Provider;
  readonly names: Provisioning;
}

/** Long enough to recognise a key_id, short enough to read. */
export function shortKeyId(keyId: string): string {
  return `${keyId.slice(0, 14)}…`;
}

/** Starts the provider and says how long the first good Status took. */
export async function startProvider({ narrator, provider }: Stage): Promise<string> {
  return narrator.timed(
    (keyId) => `from exec to the first good Status; key_id ${shortKeyId(keyId)}`,
    async () => {
      await provider.start();
      return (await provider.client.status()).keyId;
    },
  );
}

/** Makes a new version of the Transit key and waits until the provider uses it; returns the new key_id. */
export async function rotate({ narrator, openbao, provider, names }: Stage): Promise<string> {
  const before = (await provider.client.status()).keyId;
  await openbao.operator.must("POST", `${names.mount}/keys/${names.keyName}/rotate`, {});
  narrator.say("OpenBao has a new version of the key; the provider waits until it has seen it steadily");
  return narrator.timed(
    (keyId) => `the key_id changed, once: ${shortKeyId(before)} -> ${shortKeyId(keyId)}`,
    () => untilKeyIdChanges(provider, before),
  );
}
