import { describe } from "bun:test";
import { makeFakeOpenBao } from "../fakes/openbao/fake-openbao.ts";
import { serveFakeOpenBao } from "../fakes/openbao/fake-server.ts";
import { operator } from "../fakes/openbao/operator.ts";
import { startOpenBao } from "../real/harness/openbao.ts";
import { describeReal } from "../real/harness/real-suite.ts";
import { openBaoContract } from "./openbao-contract.ts";

describe("OpenBao contract: stand-in", () => {
  openBaoContract(async () => {
    const openbao = makeFakeOpenBao();
    const server = await serveFakeOpenBao(openbao);
    const setSealed = async (sealed: boolean): Promise<void> => {
      openbao.state.sealed = sealed;
    };
    return {
      operator: operator(server, openbao.rootToken),
      seal: () => setSealed(true),
      unseal: () => setSealed(false),
      dispose: server.stop,
    };
  });
});

describeReal("OpenBao contract: real", { needs: ["bao"] }, (binary) => {
  openBaoContract(() => startOpenBao(binary("bao")));
});
