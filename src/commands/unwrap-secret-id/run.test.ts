import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import * as v from "valibot";
import { REPORT_SCHEMAS } from "../../../scripts/reference/report-schemas.ts";
import { makeNodeFiles, type NodeFiles } from "../../../test/fakes/node-files.ts";
import { faults } from "../../../test/fakes/openbao/faults.ts";
import { textAt } from "../../../test/fakes/openbao/json-at.ts";
import { readOneLine } from "./run.ts";

const isRoot = process.getuid?.() === 0;
let node: NodeFiles;
let kmsRoleId = "";
const useRoleId = (roleId: string): void =>
  node.writeConfig((fields) => ({
    ...fields,
    auth: {
      method: "approle",
      approle: { mountPath: "auth/approle", roleId, secretIdFile: node.at("client/secret-id") },
    },
  }));
beforeAll(async () => {
  node = await makeNodeFiles();
  await node.operator.must("POST", "sys/auth/approle", { type: "approle" });
  const role = { token_policies: [node.names.policyName], token_ttl: "20m" };
  for (const name of ["kms", "other"]) {
    const body = { ...role, secret_id_num_uses: 3, secret_id_ttl: "10m" };
    await node.operator.must("POST", `auth/approle/role/${name}`, body);
  }
  await node.operator.must("POST", "auth/approle/role/uncounted", role);
  kmsRoleId = textAt(await node.operator.must("GET", "auth/approle/role/kms/role-id"), "data", "role_id");
  useRoleId(kmsRoleId);
});
afterAll(() => node.dispose());
beforeEach(() => {
  rmSync(node.at("client"), { recursive: true, force: true });
  rmSync(node.at("elsewhere"), { recursive: true, force: true });
  mkdirSync(node.at("client"), { mode: 0o750 });
  rmSync(node.at("wrapping-token"), { force: true });
});

const wrap = async (role = "kms"): Promise<string> => {
  const path = `auth/approle/role/${role}/secret-id`;
  const token = textAt(await node.operator.must("POST", path, {}, { wrapTtl: "60s" }), "wrap_info", "token");
  writeFileSync(node.at("wrapping-token"), `${token}\n`, { mode: 0o600 });
  return token;
};
const unwrap = (...words: readonly string[]) => {
  const place = `--config ${node.configPath} --wrapping-token-file ${node.at("wrapping-token")}`;
  return node.type("unwrap-secret-id", ...`${place} --role kms --group 0`.split(" "), ...words);
};
const isUsed = async (token: string): Promise<boolean> =>
  (await node.operator.call("POST", "sys/wrapping/lookup", { token })).status !== 200;

test.skipIf(isRoot)("a caller who is not root gets a message", async () => {
  const { code, stderr } = await unwrap();
  expect(code).toBe(3);
  expect(stderr).toContain("must be run by root");
});

describe.skipIf(!isRoot)("as root", () => {
  test("writes the secret id, with which the provider logs in, and says how long it is good", async () => {
    const token = await wrap();
    const { code, stdout, stderr } = await unwrap();
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: `✓ ${node.at("client/secret-id")} written (root:0 0640)\n  good for 10m, for 3 logins\n`,
    });
    expect(stderr).toContain("each login uses one up");
    expect(readdirSync(node.at("client"))).toEqual(["secret-id"]);
    const { mode, uid, gid } = statSync(node.at("client/secret-id"));
    expect({ mode: mode & 0o777, uid, gid }).toEqual({ mode: 0o640, uid: 0, gid: 0 });
    expect(stdout + stderr).not.toContain(token);
    const doctor = await node.type("doctor", "--config", node.configPath, "--output", "json");
    expect(doctor.stdout).toContain('"id": "approle.local",\n      "status": "passed"');
    expect(doctor.code).toBe(0);
  });

  test("replaces the one before it, and its report keeps its shape", async () => {
    writeFileSync(node.at("client/secret-id"), "old\n");
    await wrap();
    const { stdout } = await unwrap("--output", "json");
    expect(v.safeParse(REPORT_SCHEMAS["unwrap-secret-id"], JSON.parse(stdout)).issues).toBeUndefined();
    expect(readFileSync(node.at("client/secret-id"), "utf8")).not.toContain("old");
  });

  test("a token that opens once is not opened twice", async () => {
    await wrap();
    expect(await unwrap()).toMatchObject({ code: 0 });
    const before = readFileSync(node.at("client/secret-id"), "utf8");
    const { code, stderr } = await unwrap();
    expect(code).toBe(4);
    expect(stderr).toContain("it has expired, or it was used before");
    expect(readFileSync(node.at("client/secret-id"), "utf8")).toBe(before);
    expect(readdirSync(node.at("client"))).toEqual(["secret-id"]);
  });

  const refused: readonly (readonly [string, number, string, readonly string[], () => void])[] = [
    [
      "a place that is not there",
      3,
      "there is no directory",
      [],
      () => rmSync(node.at("client"), { recursive: true }),
    ],
    [
      "a place that others may write",
      3,
      "a user other than root can write to",
      [],
      () => chmodSync(node.at("client"), 0o777),
    ],
    [
      "a place of the service",
      3,
      "a user other than root can write to",
      [],
      () => chownSync(node.at("client"), 47_110, 0),
    ],
    [
      "a link to such a place",
      3,
      "a user other than root can write to",
      [],
      () => {
        chmodSync(node.at("client"), 0o777);
        renameSync(node.at("client"), node.at("elsewhere"));
        symlinkSync("elsewhere", node.at("client"));
      },
    ],
    [
      "something else in its place",
      3,
      "is not a regular file",
      [],
      () => mkdirSync(node.at("client/secret-id")),
    ],
    ["an unknown group", 3, "is not a group", ["--group", "no-such-group"], () => {}],
    ["a name that is no role", 2, "--role", ["--role", "../x"], () => {}],
    [
      "a token that others may read",
      3,
      "can be read by every user",
      [],
      () => chmodSync(node.at("wrapping-token"), 0o644),
    ],
  ];
  test.each(refused)("%s: refused, and the token stays as it is", async (_, code, text, words, spoil) => {
    const token = await wrap();
    spoil();
    const answer = await unwrap(...words);
    expect(answer).toMatchObject({ code, stdout: "" });
    expect(answer.stderr).toContain(text);
    expect(await isUsed(token)).toBe(false);
  });

  test("a secret id that OpenBao does not let in with the role id replaces nothing", async () => {
    writeFileSync(node.at("client/secret-id"), "old\n");
    await wrap("uncounted");
    const { code, stdout, stderr } = await unwrap("--role", "uncounted");
    expect({ code, stdout }).toEqual({ code: 4, stdout: "" });
    expect(stderr).toContain("nothing was replaced");
    expect(readFileSync(node.at("client/secret-id"), "utf8")).toBe("old\n");
    expect(readdirSync(node.at("client"))).toEqual(["secret-id"]);
  });

  test("one that could not be tried is not lost", async () => {
    await wrap("uncounted");
    const recover = node.openbao.inject(faults.unavailable, { path: /^auth\/approle\/login$/ });
    const { code, stdout, stderr } = await unwrap("--role", "uncounted", "--output", "json");
    recover();
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ ttlSeconds: null, uses: null, letIn: false });
    expect(stderr).toContain("is not known: login at auth/approle");
    expect(readFileSync(node.at("client/secret-id"), "utf8")).toMatch(/^[0-9a-f-]{36}\n$/);
  });

  test("one for any number of logins is tried, and the report names the success", async () => {
    await node.operator.must("POST", "auth/approle/role/free", { token_policies: [node.names.policyName] });
    const reply = await node.operator.must("GET", "auth/approle/role/free/role-id");
    useRoleId(textAt(reply, "data", "role_id"));
    await wrap("free");
    const logins = () => node.openbao.calls.filter(({ path }) => path === "auth/approle/login").length;
    const before = logins();
    const { code, stdout } = await unwrap("--role", "free", "--output", "json");
    useRoleId(kmsRoleId);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ ttlSeconds: null, uses: null, letIn: true });
    expect(logins()).toBe(before + 1);
    expect(node.openbao.calls.at(-1)?.path).toBe("auth/token/revoke-self");
  });

  test.each([
    [8194, 4],
    [8195, 3],
  ])("a file of %d bytes as a wrapping token and its line break: exit %d", async (length, code) => {
    writeFileSync(node.at("wrapping-token"), "s".repeat(length), { mode: 0o600 });
    expect((await unwrap()).code).toBe(code);
  });

  test("a token of another role is left as it is", async () => {
    const token = await wrap("other");
    const { code, stderr } = await unwrap();
    expect(code).toBe(4);
    expect(stderr).toContain("was not made by auth/approle/role/kms/secret-id");
    expect(await isUsed(token)).toBe(false);
    expect(readdirSync(node.at("client"))).toEqual([]);
  });
});

import fc from "fast-check";

const never = new AbortController().signal;

/** The chunks, and then the end or nothing at all. */
function piped(chunks: readonly string[], ends = true) {
  const left = chunks.map((chunk) => Buffer.from(chunk, "latin1"));
  const seen = { isCancelled: false };
  const stream = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      const chunk = left.shift();
      if (chunk !== undefined) {
        controller.enqueue(chunk);
      } else if (ends) {
        controller.close();
      }
    },
    cancel: () => {
      seen.isCancelled = true;
    },
  });
  return { stream, seen };
}

test("the first line, trimmed, however it is cut; undefined beyond the bound", async () => {
  const text = fc.string({ unit: fc.constantFrom("a", "b", " ", "\n"), maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(fc.array(text, { maxLength: 5 }), fc.nat(12), async (chunks, maxBytes) => {
      const [line = ""] = chunks.join("").split("\n");
      expect(await readOneLine(piped(chunks).stream, maxBytes, never)).toBe(
        line.length > maxBytes ? undefined : line.trim(),
      );
    }),
  );
});

test.each<[string, readonly string[], string | undefined]>([
  ["the line", ["token", "\nrest"], "token"],
  ["the bound", ["tok", "token"], undefined],
])("nothing is waited for after %s, and the stream is let go", async (_, chunks, expected) => {
  const { stream, seen } = piped(chunks, false);
  expect(await readOneLine(stream, 7, never)).toBe(expected);
  expect(seen.isCancelled).toBe(true);
});

test("an abort ends the wait with its reason, also one before the call", async () => {
  const reason = new Error("stopped");
  const controller = new AbortController();
  const waiting = readOneLine(piped(["tok"], false).stream, 9, controller.signal);
  controller.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  await expect(readOneLine(piped([], false).stream, 9, AbortSignal.abort(reason))).rejects.toBe(reason);
});
