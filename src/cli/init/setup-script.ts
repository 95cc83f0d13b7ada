/**
 * The script that sets OpenBao up: mount, key, policy, auth method, role.
 *
 * @module Pure. The script reads before it writes, shows each change and asks before it makes it, and can be run again at any
 * time. Every value of the configuration stands in single quotes.
 */
import { formatDuration } from "../../base/duration.ts";
import type { ProviderConfig } from "../../config/schema.ts";
import { InitError } from "./errors.ts";

export interface SetupRequest {
  readonly config: ProviderConfig;
  readonly policyName: string;
  readonly policy: string;
  /** The first node of a cluster: the script may make the key. For all others a missing key is an error. */
  readonly isNewKey: boolean;
}

/** A token is renewed up to this age and then replaced by a new login. */
const TOKEN_MAX_TTL = "24h";

/** A POSIX shell script around the `bao` command line tool. @throws InitError when the values do not bind the role. */
export function setupScript(request: SetupRequest): string {
  const { config, policyName, policy } = request;
  const { mountPath, keyName } = config.transit;
  return [
    PRELUDE,
    ...(config.openbao.namespace === ""
      ? []
      : [
          `export BAO_NAMESPACE=${quoted(config.openbao.namespace)} VAULT_NAMESPACE=${quoted(config.openbao.namespace)}`,
        ]),
    `MOUNT=${quoted(mountPath)}`,
    `KEY=${quoted(keyName)}`,
    `POLICY=${quoted(policyName)}`,
    "",
    CONNECTION,
    TRANSIT,
    request.isNewKey ? NEW_KEY : KNOWN_KEY,
    KEY_PROFILE,
    policyStep(policy),
    authStep(request),
    FINISH,
  ].join("\n");
}

/** A word that the shell takes as it is. */
export function quoted(text: string): string {
  return `'${text.replace(/'/g, "'\\''")}'`;
}

const PRELUDE = `#!/bin/sh
# Sets OpenBao up for bao-kms-provider: Transit mount and key, policy, auth method, role. Made by bao-kms-provider init.
#
# Needs the bao command line tool with BAO_ADDR, BAO_CACERT and a token that may do this (not the provider's own). Reads
# first, asks before each change, and can be run again; --yes answers every question, --check changes nothing.
set -eu

answer=ask
case "\${1:-}" in
  "") ;;
  --yes) answer=yes ;;
  --check) answer=no ;;
  *) echo "usage: $0 [--yes|--check]" >&2; exit 2 ;;
esac
left=0

# change WHAT COMMAND...: shows what would be done, asks, does it.
change() {
  what=$1; shift
  if [ "$answer" = ask ]; then
    printf 'change: %s\\n        %s\\nDo it? [y/N] ' "$what" "$*" >&2
    read -r reply || reply=
    case "$reply" in y|Y|yes) ;; *) echo "left as it is: $what" >&2; left=$((left + 1)); return 1 ;; esac
  elif [ "$answer" = no ]; then
    echo "to do: $what" >&2; left=$((left + 1)); return 1
  fi
  "$@" >/dev/null || stop "OpenBao refused it: $what" "see its message above; the token may need more rights"
  echo "done: $what"
}
good() { echo "good: $1"; }
stop() { echo "error: $1" >&2; echo "  fix: $2" >&2; exit 1; }
# field PATH NAME: one field of what OpenBao has at a path, or nothing.
field() { bao read -field="$2" "$1" 2>/dev/null || true; }
`;

const CONNECTION = `bao token lookup >/dev/null 2>&1 || stop "OpenBao does not answer, or not to this token" \\
  "set BAO_ADDR, BAO_CACERT and BAO_TOKEN, then try: bao token lookup"
`;

const TRANSIT = `# --- Transit mount
case "$(field "sys/mounts/$MOUNT" type)" in
  transit) good "Transit is mounted at $MOUNT" ;;
  "") change "mount Transit at $MOUNT" bao secrets enable -path="$MOUNT" transit || true ;;
  *) stop "something else than Transit is mounted at $MOUNT" "choose another transit.mountPath" ;;
esac
if [ "$(field "$MOUNT/config/keys" disable_upsert)" = true ]; then
  good "encrypting cannot create keys at $MOUNT"
else
  change "let encrypting create no keys at $MOUNT" bao write "$MOUNT/config/keys" disable_upsert=true || true
fi
`;

const NEW_KEY = `# --- Transit key, which this cluster does not have yet
if [ -n "$(field "$MOUNT/keys/$KEY" type)" ]; then
  good "the key $MOUNT/keys/$KEY exists"
else
  change "make the key $MOUNT/keys/$KEY" bao write -f "$MOUNT/keys/$KEY" type=aes256-gcm96 || true
fi
`;

const KNOWN_KEY = `# --- Transit key, which this cluster already has: another one must not take its place
if [ -n "$(field "$MOUNT/keys/$KEY" type)" ]; then
  good "the key $MOUNT/keys/$KEY exists"
else
  stop "the key $MOUNT/keys/$KEY does not exist, although the values name one that is in use" \\
    "compare transit.mountPath and transit.keyName with the first node; do not make a new key"
fi
`;

const KEY_PROFILE = `# profile NAME WANTED: a property of the key that cannot be changed any more
profile() {
  found=$(field "$MOUNT/keys/$KEY" "$1")
  [ -z "$found" ] || [ "$found" = "$2" ] || stop "the key $MOUNT/keys/$KEY has $1=$found, not $2" \\
    "this cannot be undone; choose another transit.keyName"
}
profile type aes256-gcm96
profile derived false
profile exportable false
profile allow_plaintext_backup false
if [ "$(field "$MOUNT/keys/$KEY" deletion_allowed)" = true ]; then
  change "protect the key from deletion" bao write "$MOUNT/keys/$KEY/config" deletion_allowed=false || true
fi
`;

function policyStep(policy: string): string {
  return `# --- policy of least privilege
policy_text() {
cat <<'POLICY_END'
${policy.trimEnd()}
POLICY_END
}
write_policy() { policy_text | bao policy write "$POLICY" -; }
if [ "$(bao policy read "$POLICY" 2>/dev/null || true)" = "$(policy_text)" ]; then
  good "the policy $POLICY is as it should be"
else
  change "write the policy $POLICY" write_policy || true
fi
`;
}

const FINISH = `if [ "$left" -gt 0 ]; then
  echo "$left change(s) left to do; run this again" >&2
  exit 1
fi
echo "OpenBao is ready. Next, on the node: bao-kms-provider doctor --config /etc/openbao-kms/config.yaml"
`;

function authStep(request: SetupRequest): string {
  const { auth } = request.config;
  switch (auth.method) {
    case "jwt":
      return jwtStep(request, auth.jwt);
    default:
      throw new InitError(
        "values_incomplete",
        `auth.method: init cannot set OpenBao up for ${auth.method} yet`,
        "set auth.method to jwt",
      );
  }
}

type JwtConfig = Extract<ProviderConfig["auth"], { readonly method: "jwt" }>["jwt"];

function jwtStep({ config, policyName }: SetupRequest, jwt: JwtConfig): string {
  const missing = (
    [
      ["expectedIssuer", jwt.expectedIssuer !== ""],
      ["expectedAudience", jwt.expectedAudience.length > 0],
      ["expectedSubject", jwt.expectedSubject !== ""],
    ] as const
  ).flatMap(([name, isSet]) => (isSet ? [] : [`auth.jwt.${name}`]));
  if (missing.length > 0) {
    throw new InitError(
      "values_incomplete",
      `${missing.join(", ")}: missing, so that the role would let other JWTs of the same issuer in`,
      "set them to the iss, aud and sub of the JWT that this control plane gets",
    );
  }
  const mount = jwt.mountPath.slice("auth/".length);
  const ttl = formatDuration(config.auth.tokenRenewalIncrement);
  const role = {
    role_type: "jwt",
    user_claim: "sub",
    bound_audiences: jwt.expectedAudience,
    bound_subject: jwt.expectedSubject,
    bound_claims: { iss: jwt.expectedIssuer },
    token_policies: [policyName],
    token_no_default_policy: true,
    token_ttl: ttl,
    token_max_ttl: TOKEN_MAX_TTL,
    token_num_uses: 0,
  };
  return `# --- JWT login
AUTH=${quoted(mount)}
ROLE=${quoted(jwt.role)}
case "$(field "sys/auth/$AUTH" type)" in
  jwt|oidc) good "the JWT auth method is mounted at auth/$AUTH" ;;
  "") change "mount the JWT auth method at auth/$AUTH" bao auth enable -path="$AUTH" jwt || true ;;
  *) stop "something else than JWT is mounted at auth/$AUTH" "choose another auth.jwt.mountPath" ;;
esac
# How OpenBao verifies the JWT is not in the provider's configuration. One of these, when it is not set up yet:
#   JWT_PUBLIC_KEYS=FILE    PEM file of the issuer's public key
#   JWT_JWKS_URL=URL        where the issuer publishes its keys
#   OIDC_DISCOVERY_URL=URL  the issuer's discovery document
if [ -n "\${JWT_PUBLIC_KEYS:-}" ]; then set -- jwt_validation_pubkeys=@"$JWT_PUBLIC_KEYS"
elif [ -n "\${JWT_JWKS_URL:-}" ]; then set -- jwks_url="$JWT_JWKS_URL"
elif [ -n "\${OIDC_DISCOVERY_URL:-}" ]; then set -- oidc_discovery_url="$OIDC_DISCOVERY_URL"
else set --; fi
configured=
for name in jwt_validation_pubkeys jwks_url oidc_discovery_url; do
  case "$(field "auth/$AUTH/config" "$name")" in ""|"[]") ;; *) configured=$name ;; esac
done
if [ -n "$configured" ]; then
  good "auth/$AUTH verifies JWTs by $configured"
elif [ $# -gt 0 ]; then
  change "let auth/$AUTH verify JWTs" bao write "auth/$AUTH/config" "$@" || true
elif [ "$answer" = no ]; then
  echo "to do: say how auth/$AUTH verifies JWTs (JWT_PUBLIC_KEYS, JWT_JWKS_URL or OIDC_DISCOVERY_URL)" >&2; left=$((left + 1))
else
  stop "auth/$AUTH does not know how to verify JWTs" \\
    "set JWT_PUBLIC_KEYS, JWT_JWKS_URL or OIDC_DISCOVERY_URL and run this again"
fi
role_json() {
cat <<'ROLE_END'
${JSON.stringify(role, null, 2)}
ROLE_END
}
write_role() { role_json | bao write "auth/$AUTH/role/$ROLE" -; }
role_is() { [ "$(field "auth/$AUTH/role/$ROLE" "$1")" = "$2" ]; }
if role_is role_type jwt && role_is user_claim sub && role_is token_no_default_policy true \\
  && role_is bound_audiences ${quoted(`[${jwt.expectedAudience.join(" ")}]`)} \\
  && role_is bound_subject ${quoted(jwt.expectedSubject)} \\
  && role_is bound_claims ${quoted(`map[iss:${jwt.expectedIssuer}]`)} \\
  && role_is token_policies ${quoted(`[${policyName}]`)}; then
  good "the role $ROLE is as it should be"
else
  change "write the role $ROLE of auth/$AUTH" write_role || true
fi
`;
}
