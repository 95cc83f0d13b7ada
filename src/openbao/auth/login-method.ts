/** @module A login method: credentials in, login request out. */
import type { Operation } from "../../base/operation.ts";
import type { Secret } from "../../base/secret.ts";
import type { OpenBaoClient } from "../client/client.ts";
import type { Token } from "./token.ts";

interface LoginRequest {
  /** JSON text for `POST <mountPath>/login`. */
  readonly body: Secret;
  /** End of the credential that is used, wall clock, for health and metrics. */
  readonly credentialExpiresAtMs?: number;
  /** Who makes the call, when the connection itself is part of the proof (a client certificate). */
  readonly loginClient?: OpenBaoClient;
  /** Called once the login has ended, however it ended. */
  readonly release?: (() => void) | undefined;
}

/** What is known of the credential that lies ready for the next login. */
export interface CredentialState {
  /** Wall clock; absent when it has no end, or none that is known. */
  readonly expiresAtMs?: number;
  /** Logins that it is still good for; absent when there is no limit, or none that is known. */
  readonly usesLeft?: number;
}

export interface Inspection {
  readonly openbao: OpenBaoClient;
  /** The present one, for methods whose credential only OpenBao can look at. */
  readonly token: Token | undefined;
  readonly signal: AbortSignal;
}

export interface LoginMethod {
  readonly name: "jwt" | "cert" | "approle";
  readonly operation: Operation;
  /** With its `auth/` prefix. */
  readonly mountPath: string;
  /** Whether a login that may have happened can simply be made again; not so where credentials have a use count. */
  readonly repeatable: boolean;
  /** Where OpenBao renews a token only with the credential (cert without disable_binding): a login replaces the renewal. */
  readonly renewal?: "login";
  /** Reads the credentials anew and checks them. @throws ProviderError that names the file or claim and the fix. */
  readonly prepare: (signal: AbortSignal) => Promise<LoginRequest>;
  /** Looks at a stored credential without using it up. @throws ProviderError: why the next login will fail. */
  readonly inspect?: (inspection: Inspection) => Promise<CredentialState>;
}
