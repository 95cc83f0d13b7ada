/** @module `npm run demo`, with etcd and kube-apiserver `npm run demo -- --cluster`: the provider at work on this machine. */
import { parseArgs } from "node:util";
import { makeJwtIssuer } from "../test/fakes/openbao/jwt-issuer.ts";
import { builtExecutable } from "../test/harness/executable.ts";
import { prepareProvider } from "../test/harness/provider.ts";
import { findBinary } from "../test/harness/real-suite.ts";
import { clusterStory } from "./demo/cluster-story.ts";
import { kmsStory } from "./demo/kms-story.ts";
import { startDemoOpenBao } from "./demo/openbao.ts";
import { makeNarrator } from "./demo/stage.ts";

const HELP = `Usage: npm run demo [-- options]

Starts an OpenBao and the provider on this machine, and shows what they do. It leaves nothing behind.

Options:
  --cluster   start etcd and kube-apiserver too, and write Secrets through the Kubernetes API
  --help      print this text

It takes \`bao\`, \`etcd\` and \`kube-apiserver\` from PATH, or from BAO_BIN, ETCD_BIN and KUBE_APISERVER_BIN.
Without a \`bao\` that starts, a stand-in of OpenBao takes its place.`;

const INTERRUPTED = 5;
const WRONG_ARGUMENTS = 2;

async function demo(cluster: boolean): Promise<void> {
  const etcd = findBinary("etcd");
  const kubeApiServer = findBinary("kube-apiserver");
  if (cluster && (etcd === undefined || kubeApiServer === undefined)) {
    throw new Error(
      "--cluster needs etcd and kube-apiserver: put them on PATH, or set ETCD_BIN and KUBE_APISERVER_BIN",
    );
  }
  const narrator = makeNarrator();
  const undo: (() => Promise<void>)[] = [];
  // What is added while this runs is undone too.
  const cleanUp = async (): Promise<void> => {
    for (let step = undo.pop(); step !== undefined; step = undo.pop()) {
      await step();
    }
  };
  let interruption: Promise<void> | undefined;
  const interrupt = (): void => {
    interruption ??= cleanUp().finally(() => process.exit(INTERRUPTED));
  };
  process.once("SIGINT", interrupt);
  process.once("SIGTERM", interrupt);

  try {
    await narrator.timed("the executable is built: dist/bao-kms-provider", async () => builtExecutable());
    const issuer = makeJwtIssuer();
    const { openbao, names, choice } = await narrator.timed(
      "OpenBao serves TLS and is set up: Transit key, policy, JWT login",
      async () => {
        const started = await startDemoOpenBao(findBinary("bao"), issuer);
        undo.push(started.openbao.dispose);
        return started;
      },
    );
    narrator.say(choice);
    const provider = await prepareProvider({ openbao, names, issuer });
    undo.push(provider.dispose);
    const stage = { narrator, openbao, provider, names };
    await (cluster && etcd !== undefined && kubeApiServer !== undefined
      ? clusterStory(stage, { etcd, kubeApiServer }, undo)
      : kmsStory(stage));
  } finally {
    // What an interruption broke is no failure of the demo: it is cleaned up and ends the process.
    await (interruption ?? cleanUp());
  }
  narrator.end();
}

function fail(error: unknown, code: number): never {
  console.error(`demo: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(code);
}

function readArguments() {
  const options = {
    cluster: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  } as const;
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    return fail(error, WRONG_ARGUMENTS);
  }
}

const chosen = readArguments();
if (chosen.help) {
  console.log(HELP);
  process.exit(0);
}
demo(chosen.cluster).then(
  () => process.exit(0),
  (error: unknown) => fail(error, 1),
);
