/** The network to OpenBao, and answers that are not OpenBao's. */
import { type Fault as Answer, faults } from "../../fakes/openbao/faults.ts";
import type { Route } from "../../harness/wire.ts";
import type { Expectation, Fault } from "../fault.ts";
import type { World } from "../world.ts";

const OUT: Expectation = { status: "reason", encrypt: "refused", decrypt: "refused" };
const OVERSIZED_BYTES = 2 << 20;
const LONG_MS = 15_000;

const routed =
  (route: Route) =>
  async ({ wire }: World) => {
    await wire.route(route);
    return wire.repair;
  };

const forged =
  (choose: (request: number) => Answer | undefined) =>
  async ({ wire, forged: answers }: World) => {
    answers.forge(choose);
    await wire.route({ kind: "to", port: answers.port });
    return wire.repair;
  };

const always = (answer: Answer) => forged(() => answer);

export const connectionAndAnswers: readonly Fault[] = [
  {
    id: "way-refused",
    title: "Connections refused",
    expect: OUT,
    lastsMs: LONG_MS,
    cause: routed({ kind: "refused" }),
  },
  {
    id: "way-reset",
    title: "Connections reset",
    expect: OUT,
    lastsMs: LONG_MS,
    cause: routed({ kind: "reset" }),
  },
  {
    id: "way-half-open",
    title: "Half-open: every packet is dropped, no connection ends",
    expect: OUT,
    lastsMs: 90_000,
    cause: routed({ kind: "half-open" }),
  },
  {
    id: "way-slow",
    title: "One byte a second",
    expect: OUT,
    lastsMs: LONG_MS,
    cause: routed({ kind: "slow", bytesPerSecond: 1 }),
  },
  {
    id: "way-garbage",
    title: "Random bytes instead of TLS",
    expect: OUT,
    lastsMs: LONG_MS,
    cause: routed({ kind: "garbage" }),
  },
  {
    id: "way-cut",
    title: "Every connection cut once",
    expect: { status: "ok", encrypt: "any", decrypt: "any" },
    cause: async ({ wire }) => {
      await wire.repair();
      return () => {};
    },
  },
  {
    id: "answer-html",
    title: "HTML instead of JSON, under a good certificate",
    expect: OUT,
    cause: always(faults.malformed),
  },
  {
    id: "answer-torn",
    title: "Answers cut in the middle, the connection with them",
    expect: OUT,
    cause: always(faults.torn),
  },
  { id: "answer-cut", title: "JSON that ends in the middle", expect: OUT, cause: always(faults.cutJson) },
  {
    id: "answer-oversized",
    title: "Answers of 2 MiB",
    expect: OUT,
    cause: always(faults.oversized(OVERSIZED_BYTES)),
  },
  {
    id: "answer-content-type",
    title: "Sound answers as text/html: judged by their shape",
    expect: { status: "ok", encrypt: "any", decrypt: "any" },
    cause: always(faults.wrongContentType),
  },
  {
    id: "answer-redirect",
    title: "Redirected to another address: not followed",
    expect: OUT,
    cause: always(faults.redirect("https://127.0.0.1:1/v1/sys/health")),
  },
  { id: "answer-429", title: "429 without Retry-After", expect: OUT, cause: always(faults.rateLimited()) },
  {
    id: "answer-429-after",
    title: "429 with Retry-After: 1",
    expect: OUT,
    cause: always(faults.rateLimited("1")),
  },
  { id: "answer-500", title: "500 to everything", expect: OUT, cause: always(faults.internalError) },
  {
    id: "answer-bursts",
    title: "503 in bursts: five of every ten answers",
    expect: { status: "any", encrypt: "any", decrypt: "any" },
    lastsMs: LONG_MS,
    shortMs: 2000,
    cause: forged((request) => (request % 10 < 5 ? faults.unavailable : undefined)),
  },
  {
    id: "answer-wrong-version",
    title: "Ciphertexts of another key version than asked for: never handed out",
    expect: { status: "any", encrypt: "refused", decrypt: "any" },
    cause: always(faults.wrongVersion(77)),
  },
];
