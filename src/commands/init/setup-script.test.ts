import { afterAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { configFile } from "../../../test/fakes/config-file.ts";
import { decodeConfig } from "../../config/decode-config.ts";
import { openbaoPolicy } from "../openbao-policy.ts";
import { setupScript } from "./setup-script.ts";

const directory = mkdtempSync(join(tmpdir(), "setup-script-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const at = (name: string): string => join(directory, name);

/** A bao that knows nothing and accepts every change, and writes down what it is asked. */
writeFileSync(
  at("bao"),
  `#!/bin/sh\nprintf '%s\\n' "$BAO_NAMESPACE: $*" >> '${at("calls")}'\ncase "$*" in *" -") cat >> '${at("input")}' ;; read\\ *|policy\\ read\\ *) exit 2 ;; esac\n`,
  {
    mode: 0o755,
  },
);

const jwt = {
  mountPath: "auth/jwt",
  role: "kms",
  expectedIssuer: "i",
  expectedAudience: ["a"],
  expectedSubject: "s",
};
const METHODS: readonly object[] = [
  { method: "jwt", jwt: { ...jwt, jwtFile: "/x/jwt" } },
  {
    method: "jwt",
    jwt: {
      mountPath: "auth/jwt",
      role: "kms",
      source: "spiffe",
      expectedIssuer: "i",
      spiffe: { socketPath: "/x/api.sock", spiffeId: "spiffe://x/y", audience: "a" },
    },
  },
  {
    method: "approle",
    approle: { mountPath: "auth/approle", roleIdFile: "/x/role-id", secretIdFile: "/x/secret-id" },
  },
  { method: "approle", approle: { mountPath: "auth/approle", roleId: "id", secretIdFile: "/x/secret-id" } },
  {
    method: "cert",
    cert: {
      mountPath: "auth/cert",
      name: "n",
      source: "file",
      certificateFile: "/x/chain.pem",
      privateKeyFile: "/x/key.pem",
    },
  },
];

const filesOf = (method: object): Record<string, unknown> =>
  JSON.parse(
    configFile((fields) => ({
      ...fields,
      openbao: { ...fields.openbao, namespace: "team" },
      auth: method,
    })),
  );

/** Every place of a text in a tree. */
function places(tree: unknown, path: readonly string[] = []): readonly (readonly string[])[] {
  if (typeof tree === "string") {
    return [path];
  }
  return typeof tree === "object" && tree !== null
    ? Object.entries(tree).flatMap(([name, value]) => places(value, [...path, name]))
    : [];
}

function withText(tree: unknown, [name, ...rest]: readonly string[], text: string): unknown {
  if (name === undefined) {
    return text;
  }
  if (Array.isArray(tree)) {
    return tree.map((value, index) => (String(index) === name ? withText(value, rest, text) : value));
  }
  return typeof tree === "object" && tree !== null
    ? Object.fromEntries(
        Object.entries(tree).map(([key, value]) => [key, key === name ? withText(value, rest, text) : value]),
      )
    : tree;
}

const textAt = (tree: unknown, path: readonly string[]): string => {
  const found = path.reduce<unknown>(
    (value, name) => (typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined),
    tree,
  );
  return typeof found === "string" ? found : "";
};

const pwned = at("pwned");
const HOSTILE = [
  `"$(touch ${pwned})\`touch ${pwned}\`"; touch ${pwned}; "`,
  `'; touch ${pwned}; '`,
  `$(touch\${IFS}${pwned})`,
  `\nROLE_END\ntouch ${pwned}\n`,
  `\nPOLICY_END\ntouch ${pwned}\n`,
  `\\'; touch ${pwned} #`,
];

const scriptOf = (tree: unknown): string => {
  const { config } = decodeConfig(Buffer.from(JSON.stringify(tree)), "values");
  const policy = openbaoPolicy({ ...config.transit, includeTokenRenewal: true });
  return setupScript(config, "p", policy, true);
};
const scriptOrNothing = (tree: unknown): string | undefined => {
  try {
    return scriptOf(tree);
  } catch {
    return undefined;
  }
};

function run(script: string, argument: string, input = "") {
  writeFileSync(at("setup.sh"), script);
  return spawnSync(
    "/bin/sh",
    [at("setup.sh"), argument].filter((each) => each !== ""),
    {
      encoding: "utf8",
      input,
      env: {
        PATH: `${directory}:/usr/bin:/bin`,
        JWT_JWKS_URL: "https://issuer.test/keys",
        CLIENT_CA: "/x/ca.pem",
        CLIENT_COMMON_NAME: "n",
      },
    },
  );
}

describe("values that try to leave their quotes", () => {
  test.each(METHODS.map((method, index) => [index, method] as const))(
    "login %d: in no field does one run",
    (_, method) => {
      const tree = filesOf(method);
      const plain = scriptOf(tree);
      let tried = 0;
      for (const path of places(tree)) {
        for (const hostile of HOSTILE) {
          // Behind what was there, so that an absolute path stays one.
          const script = scriptOrNothing(withText(tree, path, `${textAt(tree, path)}${hostile}`));
          if (script !== undefined && script !== plain) {
            tried += 1;
            expect(run(script, "--yes").stderr).toBe("");
            run(script, "--check");
            expect({ path, hostile, ran: existsSync(pwned) }).toEqual({ path, hostile, ran: false });
          }
        }
      }
      expect(tried).toBeGreaterThan(0);
    },
    60_000,
  );

  test("the values reach bao as they are", () => {
    const hostile = `it's "$(here)"`;
    const [method = {}] = METHODS;
    run(scriptOf(withText(filesOf(method), ["auth", "jwt", "expectedSubject"], hostile)), "--yes");
    expect(readFileSync(at("input"), "utf8")).toContain(JSON.stringify(hostile));
  });

  test("asked before a change, the script shows the command and its input", () => {
    const [method = {}] = METHODS;
    const script = scriptOf(filesOf(method));
    const { status, stdout, stderr } = run(script, "", "y\n".repeat(20));
    expect(status).toBe(0);
    expect(stdout).toContain("done: ");
    expect(stderr).toContain("bao policy write p -");
    expect(stderr).toContain('< path "transit/encrypt/etcd" {');
    expect(stderr).toContain("bao write auth/jwt/role/kms -");
    expect(stderr).toContain('<   "bound_subject": "s"');
    expect(stderr).not.toContain("write_");
    const unanswered = run(script, "");
    expect(unanswered.status).toBe(1);
    expect(unanswered.stderr).toMatch(/\d change\(s\) left to do/);
  });
});

test.each([
  ["", ""],
  ["team", "team"],
  ["team", ""],
  ["team/kms", "team"],
])("the key is in the namespace %p, policy and login are in %p", (namespace, above) => {
  const [method = {}] = METHODS;
  const tree = withText(filesOf({ ...method, namespace: above }), ["openbao", "namespace"], namespace);
  rmSync(at("calls"), { force: true });
  run(scriptOf(tree), "--yes");
  const namespacesOf = (command: string): ReadonlySet<string> =>
    new Set(
      readFileSync(at("calls"), "utf8")
        .split("\n")
        .filter((call) => call.includes(`: ${command} `))
        .map((call) => call.slice(0, call.indexOf(":"))),
    );
  expect(namespacesOf("secrets enable")).toEqual(new Set([namespace]));
  expect(namespacesOf("policy write")).toEqual(new Set([above]));
  expect(namespacesOf("auth enable")).toEqual(new Set([above]));
});

const TOKEN = ["token_no_default_policy 'true'", "token_policies '[p]'"];
const JWT = ["role_type 'jwt'", "user_claim 'sub'", "bound_audiences '[a]'"];
test.each<[number, string[]]>([
  [0, [...JWT, "bound_subject 's'", "bound_claims 'map[iss:i]'", ...TOKEN]],
  [1, [...JWT, "bound_subject 'spiffe://x/y'", "bound_claims 'map[iss:i]'", ...TOKEN]],
  [2, ["bind_secret_id 'true'", "secret_id_num_uses '0'", ...TOKEN]],
])("login %d: a role with these fields is left as it is", (index, expected) => {
  const compared = scriptOf(filesOf(METHODS[index] ?? {})).matchAll(/role_is (\w+ '[^']*')/g);
  expect(Array.from(compared, ([, field]) => field)).toEqual(expected);
});
