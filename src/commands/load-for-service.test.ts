import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { configFile } from "../../test/fakes/config-file.ts";
import { decodeConfig } from "../config/decode-config.ts";
import { loadForService } from "./load-for-service.ts";

const directory = mkdtempSync(join(tmpdir(), "load-"));
afterAll(() => rmSync(directory, { recursive: true }));
const passwd =
  "root:x:0:0::/root:/bin/sh\nopenbao-kms-old:x:7:7::/:/bin/sh\nopenbao-kms:x:4242:4242::/:/bin/sh\n";

/** Who the service runs as when `uid` types the command. */
async function serviceOf(uid: number, statePath: string, users = passwd): Promise<number> {
  const load = async () => {
    const text = configFile((fields) => ({ ...fields, state: { path: statePath } }));
    return { ...decodeConfig(Buffer.from(text), "file"), path: "file", warnings: [], fields: [] };
  };
  const { service } = await loadForService({
    load,
    serviceUser: undefined,
    userFiles: { passwd: users, group: "" },
    self: { uid },
  });
  return service.uid;
}

test("without a state directory, root asks for the packages' user and others for themselves", async () => {
  const absent = join(directory, "absent", "registry.json");
  expect(await serviceOf(0, absent)).toBe(4242);
  expect(await serviceOf(0, absent, "root:x:0:0::/root:/bin/sh\n")).toBe(0);
  expect(await serviceOf(0, absent, "openbao-kms:x:none:0::/:/bin/sh\n")).toBe(0);
  expect(await serviceOf(1000, absent)).toBe(1000);
});

test("the owner of the state directory comes first", async () => {
  expect(await serviceOf(12_345, join(directory, "registry.json"))).toBe(process.getuid?.() ?? 0);
});
