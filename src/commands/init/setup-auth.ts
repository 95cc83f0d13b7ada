/** @module The login part of the setup script: auth method and role, as tightly bound as each method allows. */
import { assertNever } from "../../base/assert-never.ts";
import { formatDuration } from "../../base/duration.ts";
import type { ProviderConfig } from "../../config/schema.ts";
import { InitError } from "./errors.ts";

type Auth = ProviderConfig["auth"];
type JwtConfig = Extract<Auth, { readonly method: "jwt" }>["jwt"];
type CertConfig = Extract<Auth, { readonly method: "cert" }>["cert"];
type AppRoleConfig = Extract<Auth, { readonly method: "approle" }>["approle"];

/** A token is renewed up to this age and then replaced by a new login. */
const TOKEN_MAX_TTL = "24h";
/** A secret id expires, so that a lost one does not stay valid. OpenBao limits it to 32 days by default. */
const SECRET_ID_TTL = "768h";

/** Text as one word of a shell: in single quotes, it looks at nothing but the next quote. */
export function quoted(text: string): string {
  return `'${text.replace(/'/g, "'\\''")}'`;
}

/** What every role gives its tokens. */
interface TokenTerms {
  readonly policyName: string;
  readonly ttl: string;
}

/** @throws InitError when the values do not bind the role. */
export function authStep({ auth }: ProviderConfig, policyName: string): string {
  const terms = { policyName, ttl: formatDuration(auth.tokenRenewalIncrement) };
  switch (auth.method) {
    case "jwt":
      return jwtStep(auth.jwt, terms);
    case "cert":
      return certStep(auth.cert, terms);
    case "approle":
      return approleStep(auth.approle, terms);
    default:
      return assertNever(auth);
  }
}

function tokenFields({ policyName, ttl }: TokenTerms) {
  return {
    token_no_default_policy: true,
    token_policies: [policyName],
    token_ttl: ttl,
    token_max_ttl: TOKEN_MAX_TTL,
    token_num_uses: 0,
  };
}

const mountName = (mountPath: string): string => mountPath.slice("auth/".length);

/** Mounts the method when nothing is there; `$AUTH` is the mount without `auth/`. */
function mountStep(mountPath: string, type: string, what: string, field: string, accepted = type): string {
  return `AUTH=${quoted(mountName(mountPath))}
case "$(field "sys/auth/$AUTH" type)" in
  ${accepted}) good "the ${what} auth method is mounted at auth/$AUTH" ;;
  "") change "mount the ${what} auth method at auth/$AUTH" bao auth enable -path="$AUTH" ${type} || true ;;
  *) stop "something else than ${what} is mounted at auth/$AUTH" "choose another ${field}" ;;
esac`;
}

/** Writes the role unless the fields that matter are as they should be already; a shorter or longer life is left as it is. */
function roleStep(path: string, role: object): string {
  const tests = Object.entries(role)
    .filter(([name]) => !UNCOMPARED.has(name))
    .map(([name, value]) => `role_is ${name} ${quoted(asRead(value))}`);
  return `role_is() { [ "$(field "auth/$AUTH/${path}/$ROLE" "$1")" = "$2" ]; }
if ${tests.join(" \\\n  && ")}; then
  good "the role $ROLE is as it should be"
else
  input=${quoted(JSON.stringify(role, null, 2))}
  change "write the role $ROLE of auth/$AUTH" bao write "auth/$AUTH/${path}/$ROLE" - || true
fi
`;
}

const UNCOMPARED = new Set(["token_ttl", "token_max_ttl", "token_num_uses", "secret_id_ttl"]);

/** A field as `bao read -field` prints it. */
function asRead(value: unknown): string {
  if (Array.isArray(value)) {
    return `[${value.join(" ")}]`;
  }
  return typeof value === "object" && value !== null
    ? `map[${Object.entries(value)
        .map(([name, inner]) => `${name}:${inner}`)
        .join(" ")}]`
    : String(value);
}

/** A JWT-SVID is bound by its SPIFFE ID and may lack an issuer; every other JWT is bound by all three. */
function bindingOf(jwt: JwtConfig) {
  const { credential } = jwt;
  if (credential.source === "spiffe") {
    return { issuer: jwt.expectedIssuer, audiences: [credential.audience], subject: credential.spiffeId };
  }
  const missing = (["expectedIssuer", "expectedAudience", "expectedSubject"] as const).filter(
    (name) => jwt[name].length === 0,
  );
  if (missing.length > 0) {
    throw new InitError(
      "values_incomplete",
      `${missing.map((name) => `auth.jwt.${name}`).join(", ")}: missing, so that the role would let other JWTs of the same issuer in`,
      "set them to the iss, aud and sub of the JWT that this control plane gets",
    );
  }
  return { issuer: jwt.expectedIssuer, audiences: jwt.expectedAudience, subject: jwt.expectedSubject };
}

function jwtStep(jwt: JwtConfig, terms: TokenTerms): string {
  const { issuer, audiences, subject } = bindingOf(jwt);
  const role = {
    role_type: "jwt",
    user_claim: "sub",
    bound_audiences: audiences,
    bound_subject: subject,
    ...(issuer === "" ? {} : { bound_claims: { iss: issuer } }),
    ...tokenFields(terms),
  };
  return `# --- JWT login
${mountStep(jwt.mountPath, "jwt", "JWT", "auth.jwt.mountPath", "jwt|oidc")}
ROLE=${quoted(jwt.role)}
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
${roleStep("role", role)}`;
}

function approleStep(approle: AppRoleConfig, terms: TokenTerms): string {
  const role = {
    bind_secret_id: true,
    secret_id_num_uses: 0,
    secret_id_ttl: SECRET_ID_TTL,
    ...tokenFields(terms),
  };
  const rolePath = `auth/${mountName(approle.mountPath)}/role/${terms.policyName}`;
  const roleId =
    approle.roleId.kind === "value"
      ? `ROLE_ID=${quoted(approle.roleId.value)}
if [ "$(field "auth/$AUTH/role/$ROLE/role-id" role_id)" = "$ROLE_ID" ]; then
  good "the role id is the one of the configuration"
else
  change "give the role the id of the configuration" bao write "auth/$AUTH/role/$ROLE/role-id" "role_id=$ROLE_ID" || true
fi
`
      : `later ${quoted(`role id, for ${approle.roleId.file}: bao read `)} ${quoted(`-field=role_id ${quoted(`${rolePath}/role-id`)}`)}
`;
  return `# --- AppRole login
${mountStep(approle.mountPath, "approle", "AppRole", "auth.approle.mountPath")}
# The provider never sends the role's name, so it has that of the policy.
ROLE=$POLICY
# later TEXT COMMAND: what to type after this script, in its namespace.
later() { printf '%s%s%s\\n' "$1" "\${BAO_NAMESPACE:+-namespace=$BAO_NAMESPACE }" "$2"; }
${roleStep("role", role)}${roleId}later 'secret id, wrapped: bao write ' ${quoted(`-wrap-ttl=10m -f -field=wrapping_token ${quoted(`${rolePath}/secret-id`)} > wrapping-token`)}
echo "then on the node, as root: bao-kms-provider unwrap-secret-id --config CONFIG --role $ROLE < wrapping-token"
`;
}

function certStep(cert: CertConfig, terms: TokenTerms): string {
  const role = cert.name === "" ? "ROLE=$POLICY" : `ROLE=${quoted(cert.name)}`;
  const { policyName, ttl } = terms;
  return `# --- certificate login
${mountStep(cert.mountPath, "cert", "certificate", "auth.cert.mountPath")}
${role}
# Who issues the client certificate, and its name, are not in the provider's configuration:
#   CLIENT_CA=FILE           PEM file of the CA that issues it
#   CLIENT_COMMON_NAME=NAME  its common name; without it every certificate of that CA would get in
role_is() { [ "$(field "auth/$AUTH/certs/$ROLE" "$1")" = "$2" ]; }
if role_is token_no_default_policy true && role_is token_policies ${quoted(`[${policyName}]`)} \\
  && ! role_is allowed_common_names "[]" && { [ -z "\${CLIENT_COMMON_NAME:-}" ] || role_is allowed_common_names "[$CLIENT_COMMON_NAME]"; }; then
  good "the certificate role $ROLE is as it should be"
elif [ -n "\${CLIENT_CA:-}" ] && [ -n "\${CLIENT_COMMON_NAME:-}" ]; then
  change "write the certificate role $ROLE of auth/$AUTH" bao write "auth/$AUTH/certs/$ROLE" certificate=@"$CLIENT_CA" \\
    allowed_common_names="$CLIENT_COMMON_NAME" token_policies="$POLICY" token_no_default_policy=true \\
    token_ttl=${quoted(ttl)} token_max_ttl=${TOKEN_MAX_TTL} token_num_uses=0 || true
elif [ "$answer" = no ]; then
  echo "to do: write the certificate role $ROLE (CLIENT_CA and CLIENT_COMMON_NAME)" >&2; left=$((left + 1))
else
  stop "auth/$AUTH does not have the role $ROLE as it should be" "set CLIENT_CA and CLIENT_COMMON_NAME and run this again"
fi
`;
}
