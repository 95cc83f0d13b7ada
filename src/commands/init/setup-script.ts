/** @module The script that sets OpenBao up. It reads before it writes, asks before each change, and can be run again at any time. */
import type { ProviderConfig } from "../../config/schema.ts";
import { authStep } from "./setup-auth.ts";
import { quoted } from "./shell-word.ts";

export interface SetupRequest {
  readonly config: ProviderConfig;
  readonly policyName: string;
  readonly policy: string;
  /** The first node of a cluster: the script may make the key. For all others a missing key is an error. */
  readonly isNewKey: boolean;
}

/** A POSIX shell script around the `bao` command line tool. @throws InitError when the values do not bind the role. */
export function setupScript(request: SetupRequest): string {
  const { config, policyName, policy } = request;
  const { mountPath, keyName } = config.transit;
  return [
    PRELUDE,
    ...(config.openbao.namespace === "" ? [] : [useNamespace(config.openbao.namespace)]),
    `MOUNT=${quoted(mountPath)}`,
    `KEY=${quoted(keyName)}`,
    `POLICY=${quoted(policyName)}`,
    "",
    CONNECTION,
    ...(request.isNewKey ? [transitStep(MOUNT), NEW_KEY] : [transitStep(NO_MOUNT), KNOWN_KEY]),
    KEY_PROFILE,
    ...(config.auth.namespace === config.openbao.namespace ? [] : [useNamespace(config.auth.namespace)]),
    policyStep(policy),
    authStep(config, policyName),
    FINISH,
  ].join("\n");
}

/** The script's further commands run in that namespace. */
function useNamespace(namespace: string): string {
  return `export BAO_NAMESPACE=${quoted(namespace)} VAULT_NAMESPACE=${quoted(namespace)}`;
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

# change WHAT COMMAND...: shows what would be done, asks, does it. The command reads $input when it is not empty.
input=
change() {
  what=$1; shift
  text=$input; input=
  if [ "$answer" = ask ]; then
    printf 'change: %s\\n        %s\\n' "$what" "$*" >&2
    [ -z "$text" ] || printf '%s\\n' "$text" | sed 's/^/        < /' >&2
    printf 'Do it? [y/N] ' >&2
    read -r reply || reply=
    case "$reply" in y|Y|yes) ;; *) echo "not done: $what" >&2; left=$((left + 1)); return 1 ;; esac
  elif [ "$answer" = no ]; then
    echo "to do: $what" >&2; left=$((left + 1)); return 1
  fi
  printf '%s\\n' "$text" | "$@" >/dev/null || stop "OpenBao refused it: $what" "see its message above; the token may need more permissions"
  echo "done: $what"
}
good() { echo "good: $1"; }
stop() { echo "error: $1" >&2; echo "  fix: $2" >&2; exit 1; }
# field PATH NAME: one field of what OpenBao has at a path, or nothing.
field() { bao read -field="$2" "$1" 2>/dev/null || true; }
`;

const CONNECTION = `if ! bao token lookup >/dev/null 2>&1 && [ -n "\${BAO_NAMESPACE:-}" ]; then
  stop "OpenBao does not answer, or not to this token in the namespace $BAO_NAMESPACE" \\
    "set BAO_ADDR, BAO_CACERT and BAO_TOKEN; make the namespace when it is not there yet: bao namespace create"
fi
bao token lookup >/dev/null 2>&1 || stop "OpenBao does not answer, or not to this token" \\
  "set BAO_ADDR, BAO_CACERT and BAO_TOKEN, then try: bao token lookup"
`;

const transitStep = (whenAbsent: string): string => `# --- Transit mount
case "$(field "sys/mounts/$MOUNT" type)" in
  transit) good "Transit is mounted at $MOUNT" ;;
  "") ${whenAbsent} ;;
  *) stop "something else than Transit is mounted at $MOUNT" "choose another transit.mountPath" ;;
esac
if [ "$(field "$MOUNT/config/keys" disable_upsert)" = true ]; then
  good "encrypting cannot create keys at $MOUNT"
else
  change "let encrypting create no keys at $MOUNT" bao write "$MOUNT/config/keys" disable_upsert=true || true
fi
`;

const MOUNT = 'change "mount Transit at $MOUNT" bao secrets enable -path="$MOUNT" transit || true';
const NO_MOUNT =
  'stop "nothing is mounted at $MOUNT, and this is not the first node" "run the script of the first node, or compare transit.mountPath with it"';

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
wanted=${quoted(policy.trimEnd())}
if [ "$(bao policy read "$POLICY" 2>/dev/null || true)" = "$wanted" ]; then
  good "the policy $POLICY is as it should be"
else
  input=$wanted
  change "write the policy $POLICY" bao policy write "$POLICY" - || true
fi
`;
}

const FINISH = `if [ "$left" -gt 0 ]; then
  echo "$left change(s) left to do; run this again" >&2
  exit 1
fi
echo "OpenBao is ready. Next, on the node: bao-kms-provider doctor --config /etc/openbao-kms/config.yaml"
`;
