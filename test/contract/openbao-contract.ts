/**
 * What a provider relies on when it talks to OpenBao, as one suite for every implementation.
 *
 * @module Runs on the stand-in and on a real OpenBao (openbao.contract.test.ts), so that the stand-in cannot lie. Each
 * table row in the parts is a request and the status and error text that both must give.
 */
import { afterAll, beforeAll } from "bun:test";
import { appRoleContract } from "./approle-contract.ts";
import { batchContract } from "./batch-contract.ts";
import { capabilitiesContract } from "./capabilities-contract.ts";
import { contractContext, type OpenBaoUnderTest } from "./contract-context.ts";
import { encryptDecryptContract } from "./encrypt-decrypt-contract.ts";
import { envelopeContract } from "./envelope-contract.ts";
import { jwtLoginContract } from "./jwt-login-contract.ts";
import { keyMetadataContract } from "./key-metadata-contract.ts";
import { namespacesContract } from "./namespaces-contract.ts";
import { sealContract } from "./seal-contract.ts";
import { tokensContract } from "./tokens-contract.ts";

export function openBaoContract(start: () => Promise<OpenBaoUnderTest>): void {
  const context = contractContext();
  beforeAll(async () => context.begin(await start()));
  afterAll(() => context.openbao.dispose());

  envelopeContract(context);
  keyMetadataContract(context);
  encryptDecryptContract(context);
  batchContract(context);
  jwtLoginContract(context);
  tokensContract(context);
  capabilitiesContract(context);
  appRoleContract(context);
  namespacesContract(context);
  sealContract(context);
}
