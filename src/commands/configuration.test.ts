import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { configFile } from "../../test/fakes/config-file.ts";
import { decodeConfig } from "../config/decode-config.ts";
import { loadForService } from "./configuration.ts";

const directory = mkdtempSync(join(tmpdir(), "load-"));
afterAll(() => rmSync(directory, { recursive: true }));
const passwd =
  "root:x:0:0::/root:/bin/sh\nopenbao-kms-old:x:7:7::/:/bin/sh\nopenbao-kms:x:4242:4242::/:/bin/sh\n";

interface Stage {
  readonly users?: string;
  readonly serviceUser?: string;
  /** The user whose configuration it is, when no other may load it, and the code of the refusal. */
  readonly only?: readonly [uid: number, code: string];
}

/** Who the service runs as when `uid` types the command, and whose configuration is loaded in turn. */
async function loads(uid: number, statePath: string, { users = passwd, serviceUser, only }: Stage = {}) {
  const asked: number[] = [];
  const { service, loaded } = await loadForService({
    load: async (serviceUid) => {
      asked.push(serviceUid);
      if (only !== undefined && serviceUid !== only[0]) {
        throw Object.assign(new Error("refused"), { code: only[1] });
      }
      const text = configFile((fields) => ({ ...fields, state: { path: statePath } }));
      return {
        ...decodeConfig(Buffer.from(text), "file"),
        path: `of ${serviceUid}`,
        warnings: [],
        fields: [],
      };
    },
    serviceUser,
    userFiles: { passwd: users, group: "" },
    self: { uid },
  });
  expect(loaded.path).toBe(`of ${service.uid}`);
  return { service: service.uid, asked };
}

const serviceOf = async (uid: number, statePath: string, users = passwd): Promise<number> =>
  (await loads(uid, statePath, { users })).service;

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

test("the configuration is loaded once where this user is the service, else once more for the service", async () => {
  const absent = join(directory, "absent", "registry.json");
  expect((await loads(1000, absent)).asked).toEqual([1000]);
  expect((await loads(0, absent)).asked).toEqual([0, 4242]);
  expect(await loads(0, absent, { serviceUser: "openbao-kms-old" })).toEqual({ service: 7, asked: [7] });
});

test("root forgives a file of another owner at first, and nothing else; others forgive nothing", async () => {
  const absent = join(directory, "absent", "registry.json");
  const only = [4242, "file_wrong_owner"] as const;
  expect(await loads(0, absent, { only })).toEqual({ service: 4242, asked: [0, 4242] });
  await expect(loads(1000, absent, { only })).rejects.toThrow("refused");
  await expect(loads(0, absent, { only: [4242, "file_missing"] })).rejects.toThrow("refused");
});
