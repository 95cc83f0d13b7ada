/** The network to OpenBao, and answers that are not OpenBao's. */
import { type Fault as Answer, faults } from "../../fakes/openbao/faults.ts";
import type { Route } from "../../harness/wire.ts";
import { ANY, type Fault, OUT } from "../fault.ts";

const OVERSIZED_BYTES = 2 << 20;
const LONG_MS = 15_000;

type More = Partial<Fault>;

const routed = (id: string, title: string, route: Route, more: More = {}): Fault => ({
  id,
  title,
  expect: OUT,
  lastsMs: LONG_MS,
  cause: async ({ wire }) => {
    await wire.route(route);
    return wire.repair;
  },
  ...more,
});

const forged = (
  id: string,
  title: string,
  choose: (request: number) => Answer | undefined,
  more: More = {},
): Fault => ({
  id,
  title,
  expect: OUT,
  cause: async ({ wire, forged: answers }) => {
    answers.forge(choose);
    await wire.route({ kind: "to", port: answers.port });
    return wire.repair;
  },
  ...more,
});

const always = (id: string, title: string, answer: Answer, more: More = {}): Fault =>
  forged(id, title, () => answer, more);

export const connectionAndAnswers: readonly Fault[] = [
  routed("way-refused", "Connections refused", { kind: "refused" }),
  routed("way-reset", "Connections reset", { kind: "reset" }),
  routed(
    "way-half-open",
    "Half-open: every packet is dropped, no connection ends",
    { kind: "half-open" },
    { lastsMs: 90_000 },
  ),
  routed("way-slow", "One byte a second", { kind: "slow", bytesPerSecond: 1 }),
  routed("way-garbage", "Random bytes instead of TLS", { kind: "garbage" }),
  {
    id: "way-cut",
    title: "Every connection cut once",
    expect: { ...ANY, status: "ok" },
    cause: ({ wire }) => wire.repair(),
  },
  always("answer-html", "HTML instead of JSON, under a good certificate", faults.malformed),
  always("answer-torn", "Answers cut in the middle, the connection with them", faults.torn),
  always("answer-cut", "JSON that ends in the middle", faults.cutJson),
  always("answer-oversized", "Answers of 2 MiB", faults.oversized(OVERSIZED_BYTES)),
  always(
    "answer-content-type",
    "Sound answers as text/html: judged by their shape",
    faults.wrongContentType,
    { expect: { ...ANY, status: "ok" } },
  ),
  always(
    "answer-redirect",
    "Redirected to another address: not followed",
    faults.redirect("https://127.0.0.1:1/v1/sys/health"),
  ),
  always("answer-429", "429 without Retry-After", faults.rateLimited()),
  always("answer-429-after", "429 with Retry-After: 1", faults.rateLimited("1")),
  always("answer-500", "500 to everything", faults.internalError),
  forged(
    "answer-bursts",
    "503 in bursts: five of every ten answers",
    (request) => (request % 10 < 5 ? faults.unavailable : undefined),
    { expect: ANY, lastsMs: LONG_MS, shortMs: 2000 },
  ),
  always(
    "answer-wrong-version",
    "Ciphertexts of another key version than asked for: never handed out",
    faults.wrongVersion(77),
    { expect: { ...ANY, encrypt: "refused" } },
  ),
];
