/** @module The local checks of the configured auth method: the credential, who can read it, and whether its issuer fits the cluster. */
import { statSync } from "node:fs";
import { formatDuration } from "../../../base/duration.ts";
import { ProviderError } from "../../../base/error-class.ts";
import type { ProviderConfig } from "../../../config/schema.ts";
import { type Finding, failure, raised, warning } from "../../check.ts";
import { type CredentialFile, credentialFiles } from "../../credential-files.ts";
import { accessProblem } from "../../service-identity.ts";
import type { DoctorCheck, DoctorContext } from "../context.ts";

type Auth = ProviderConfig["auth"];

const jwtLocal: DoctorCheck = {
  id: "jwt.local",
  proves:
    "The JWT file exists, is safe and readable for the service, and its claims match the configuration.",
  needs: ["config.validate"],
  whenFailed: "write a fresh JWT to auth.jwt.jwtFile",
  run: (context, signal) => credentialOutcome(context, filesOf(context), signal),
};

const approleLocal: DoctorCheck = {
  id: "approle.local",
  proves: "Role id and secret id exist, are safe, and are readable for the service.",
  needs: ["config.validate"],
  whenFailed: "write a fresh secret id to auth.approle.secretIdFile",
  run: (context, signal) => credentialOutcome(context, filesOf(context), signal),
};

const oauth2Local: DoctorCheck = {
  id: "oauth2.local",
  proves:
    "The client secret and the CA of the authorization server exist, are safe, and are readable for the service.",
  needs: ["config.validate"],
  whenFailed: "write the client secret to auth.jwt.oauth2.clientSecretFile",
  run: (context) => ({
    findings: unreadable(context, filesOf(context)),
    detail: filesOf(context).join(", "),
  }),
};

const oauth2Acquire: DoctorCheck = {
  id: "oauth2.acquire",
  proves: "The authorization server issues an access token whose claims match the configuration.",
  needs: ["oauth2.local"],
  whenFailed: "see the authorization server's log for this client",
  run: (context, signal) => credentialOutcome(context, [], signal),
};

const spiffeLocal: DoctorCheck = {
  id: "spiffe.local",
  proves: "The socket of the SPIFFE Workload API exists, and the service may connect to it.",
  needs: ["config.validate"],
  whenFailed: "systemctl status spire-agent",
  run: (context) => {
    const [socketPath = ""] = filesOf(context);
    if (statSync(socketPath, { throwIfNoEntry: false })?.isSocket()) {
      return { findings: unreadable(context, [socketPath], "write"), detail: socketPath };
    }
    const missing = failure(
      "socket_missing",
      `auth.jwt.spiffe.socketPath: the socket ${socketPath} does not exist`,
      "start the SPIFFE agent, or correct the path: systemctl status spire-agent",
      "auth_failed",
    );
    return { findings: [missing] };
  },
};

const spiffeAcquire: DoctorCheck = {
  id: "spiffe.acquire",
  proves: "The SPIFFE agent issues a JWT-SVID for the configured identity and audience.",
  needs: ["spiffe.local"],
  whenFailed: "see the registration entry of this node: spire-server entry show -spiffeID SPIFFE_ID",
  run: async (context, signal) => {
    const { self } = context.options;
    const service = context.fact("service");
    return credentialOutcome(context, [], signal).catch((error: unknown) => {
      // The agent knows callers by their user: to another one it rightly gives nothing.
      if (self.uid === service.uid || !(error instanceof ProviderError && error.code.startsWith("spiffe_"))) {
        throw error;
      }
      const refused = failure(
        error.code,
        `${error.message}; it was asked as uid ${self.uid}, and the service runs as ${service.name}`,
        `ask as the service: sudo -u ${service.name} bao-kms-provider doctor …`,
        error.errorClass,
      );
      return { findings: [refused] };
    });
  },
};

const certLocal: DoctorCheck = {
  id: "auth.cert.local",
  proves: "The client certificate and its key exist, are safe, valid, and readable for the service.",
  needs: ["config.validate"],
  whenFailed: "write a fresh certificate to the path in auth.cert",
  run: (context, signal) => {
    const files = filesOf(context, ({ secretKey }) => secretKey !== undefined);
    return credentialOutcome(context, files, signal);
  },
};

const certPkcs11: DoctorCheck = {
  id: "auth.cert.pkcs11",
  proves:
    "The native addons and the vendor's module load in a helper process, and the token is present. No PIN is sent to it.",
  needs: ["auth.cert.local"],
  whenFailed:
    "check that the module of auth.cert.pkcs11.modulePath works: pkcs11-tool --module MODULE --show-info",
  run: async (context, signal) => {
    await (await accessOf(context)).pkcs11Token?.inspect(signal);
    const modules = filesOf(context, ({ secretKey }) => secretKey === undefined);
    return { findings: unreadable(context, modules), detail: "the token is there" };
  },
};

const certSigner: DoctorCheck = {
  id: "auth.cert.signer",
  proves:
    "The token accepts the PIN, which is tried at most once, and the certificate's public key verifies a signature of its key.",
  needs: ["auth.cert.pkcs11"],
  whenFailed: "set auth.cert.pkcs11.keyLabel to the key that the certificate was issued for",
  run: async (context, signal) => {
    await (await accessOf(context)).pkcs11Token?.prove(signal);
    return { detail: "the token signs for the certificate" };
  },
};

const OAUTH2 = [oauth2Local, oauth2Acquire];
const SPIFFE = [spiffeLocal, spiffeAcquire];
const PKCS11 = [certLocal, certPkcs11, certSigner];

/** Of every method, in their order. */
export const CREDENTIAL_CHECKS = [jwtLocal, ...OAUTH2, ...SPIFFE, approleLocal, ...PKCS11];

/** The local checks of the configured method; before a configuration is known that of a JWT file. */
export function credentialChecks(auth: Auth | undefined): readonly DoctorCheck[] {
  switch (auth?.method) {
    case "cert":
      return auth.cert.credential.source === "pkcs11" ? PKCS11 : [certLocal];
    case "approle":
      return [approleLocal];
    default:
      switch (auth?.jwt.credential.source) {
        case "oauth2":
          return OAUTH2;
        case "spiffe":
          return SPIFFE;
        default:
          return [jwtLocal];
      }
  }
}

function filesOf(context: DoctorContext, isWanted: (file: CredentialFile) => boolean = () => true) {
  return credentialFiles(context.fact("loaded").config.auth)
    .filter(isWanted)
    .map(({ path }) => path);
}

async function credentialOutcome(context: DoctorContext, files: readonly string[], signal: AbortSignal) {
  const blocked = unreadable(context, files);
  const access = await accessOf(context).catch((error: unknown) => {
    if (error instanceof ProviderError) {
      return undefined;
    }
    throw error;
  });
  if (access === undefined) {
    // Only the CA bundle can fail here, and openbao.tls reports that.
    return { skipped: "openbao.caCertFile cannot be used, see openbao.tls", findings: blocked };
  }
  const { issuer, expiresAtMs } = await access.checkCredential(signal);
  const leftMs = expiresAtMs === undefined ? undefined : expiresAtMs - context.options.wallMs();
  return {
    findings: [...blocked, ...circularIssuer(issuer)],
    detail:
      leftMs === undefined ? "good" : `good for ${formatDuration(Math.floor(leftMs / 1000) * 1000)} more`,
  };
}

/** One connection for all checks, made at the first need. */
export async function accessOf(context: DoctorContext) {
  if (!context.knows("access")) {
    const { config } = context.fact("loaded");
    context.learn("access", await context.options.connect(config, context.fact("service").uid));
  }
  return context.fact("access");
}

function unreadable(
  context: DoctorContext,
  files: readonly string[],
  access: "read" | "write" = "read",
): readonly Finding[] {
  const service = context.fact("service");
  return files.flatMap((file) => {
    const problem = accessProblem(file, access, service);
    return problem === undefined
      ? []
      : [
          failure(
            "credential_unreadable",
            problem,
            access === "write"
              ? `let the service connect to ${file}: give its group write permission, and let it enter the directory`
              : `chown root:${service.gid ?? service.uid} ${file} && chmod 0640 ${file}, and let the service enter its directory`,
            "auth_failed",
          ),
        ];
  });
}

function circularIssuer(issuer: string | undefined): readonly Finding[] {
  return raised(
    issuer !== undefined &&
      /(^|[/.])kubernetes\.default\.svc\b|\.svc(\.cluster\.local)?([:/]|$)/.test(issuer) &&
      warning(
        "issuer_circular",
        "the JWT was issued by a Kubernetes cluster: if it is this cluster, the JWT cannot be renewed while its API server waits for the key",
        "use an identity from outside this cluster",
      ),
  );
}
