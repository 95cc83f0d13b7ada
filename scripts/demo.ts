/**
 * Shows the provider at work on this machine: `npm run demo`, with etcd and kube-apiserver `npm run demo -- --cluster`.
 *
 * @module Arguments, what is started, and that nothing is left behind. The chapters are in demo/.
 */
import { parseArgs } from "node:util";
import { makeJwtIssuer } from "../test/fakes/openbao/jwt-issuer.ts";
import { provision } from "../test/fakes/openbao/provision.ts";
import { startAnyOpenBao } from "../test/harness/any-openbao.ts";
import { builtExecutable } from "../test/harness/executable.ts";
import { prepareProvider } from "../test/harness/provider.ts";
import { findBinary } from "../test/harness/real-suite.ts";
import { clusterStory } from "./demo/cluster-story.ts";
import { kmsStory } from "./demo/kms-story.ts";
import { makeNarrator } from "./demo/narrator.ts";

const INTERRUPTED = 5;

async function demo(cluster: boolean): Promise<void> {
  const etcd = findBinary("etcd");
  const kubeApiServer = findBinary("kube-apiserver");
  if (cluster && (etcd === undefined || kubeApiServer === undefined)) {
    throw new Error(
      "--cluster needs etcd and kube-apiserver: put them on PATH, or set ETCD_BIN and KUBE_APISERVER_BIN",
    );
  }
  const narrator = makeNarrator((line) => console.log(line));
  const undo: (() => Promise<void>)[] = [];
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
    const bao = findBinary("bao");
    narrator.say(
      bao === undefined
        ? "OpenBao: the stand-in of this repository, because there is no `bao` on PATH (or in BAO_BIN)"
        : `OpenBao: the real one, ${bao}`,
    );
    await narrator.timed("the executable is built: dist/bao-kms-provider", async () => builtExecutable());
    const openbao = await narrator.timed(
      "OpenBao serves TLS and is set up: Transit key, policy, JWT login",
      async () => {
        const started = await startAnyOpenBao(bao);
        undo.push(started.dispose);
        return started;
      },
    );
    const issuer = makeJwtIssuer();
    const names = await provision(openbao.operator, issuer.publicKeyPem);
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

const { values } = parseArgs({ options: { cluster: { type: "boolean", default: false } } });
demo(values.cluster).then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(`demo: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
  },
);
