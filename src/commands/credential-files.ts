/** @module The files that each auth method reads: what is checked, mounted, copied, or put into a Secret. */
import type { ProviderConfig } from "../config/schema.ts";

export interface CredentialFile {
  readonly path: string;
  /** Its key in a Secret. Undefined for what the machine provides: a JWT that expires, a socket, a PKCS#11 module. */
  readonly secretKey: string | undefined;
}

export function credentialFiles(auth: ProviderConfig["auth"]): readonly CredentialFile[] {
  switch (auth.method) {
    case "jwt": {
      const { credential } = auth.jwt;
      return credential.source === "file"
        ? [fromMachine(credential.jwtFile)]
        : credential.source === "oauth2"
          ? [
              { path: credential.clientSecretFile, secretKey: "client-secret" },
              { path: credential.caCertFile, secretKey: "oauth2-ca.crt" },
            ]
          : [fromMachine(credential.socketPath)];
    }
    case "cert": {
      const { credential } = auth.cert;
      const certificate = { path: credential.certificateFile, secretKey: "tls.crt" };
      return credential.source === "file"
        ? [certificate, { path: credential.privateKeyFile, secretKey: "tls.key" }]
        : [certificate, { path: credential.pinFile, secretKey: "pin" }, fromMachine(credential.modulePath)];
    }
    default:
      return [
        { path: auth.approle.secretIdFile, secretKey: "secret-id" },
        ...(auth.approle.roleId.kind === "file"
          ? [{ path: auth.approle.roleId.file, secretKey: "role-id" }]
          : []),
      ];
  }
}

const fromMachine = (path: string): CredentialFile => ({ path, secretKey: undefined });
