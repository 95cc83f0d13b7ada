/** @module The provider's own transport to a real OpenBao. */
import { systemClock } from "../../src/base/clock.ts";
import { openCaFile } from "../../src/http/ca-file.ts";
import { createHttpTransport, type HttpTransport } from "../../src/http/https.ts";
import { OPENBAO_NAMES } from "../../src/provider/transit-access.ts";

/** It trusts the certificates in this file, and reads it again when it changes. */
export async function openbaoTransport(caCertFile: string): Promise<HttpTransport> {
  return createHttpTransport({
    names: OPENBAO_NAMES,
    trust: await openCaFile({
      path: caCertFile,
      field: "openbao.caCertFile",
      serviceUid: process.getuid?.() ?? 0,
    }),
    serverName: "localhost",
    clock: systemClock,
  });
}
