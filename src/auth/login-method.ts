/**
 * A way to prove who we are: credentials in, login request out.
 *
 * @module The one interface of all methods. Sessions, renewal, retries and errors are common to all of them: session.ts.
 */

import type { Operation } from "../base/operation.ts";
import type { Secret } from "../base/secret.ts";
import type { OpenBao } from "../openbao/client.ts";

export interface LoginRequest {
  /** JSON text for `POST <mountPath>/login`. */
  readonly body: Secret;
  /** End of the credential that is used, wall clock, for health and metrics. */
  readonly credentialExpiresAtMs?: number;
  /** Who makes the call, when the connection itself is part of the proof (a client certificate). */
  readonly via?: OpenBao;
  /** Called once the login has ended, however it ended. */
  readonly release?: () => void;
}

export interface LoginMethod {
  readonly name: "jwt" | "cert" | "approle";
  readonly operation: Operation;
  /** With its `auth/` prefix. */
  readonly mountPath: string;
  /** Whether a login that may have happened can simply be made again; not so where credentials have a use count. */
  readonly repeatable: boolean;
  /**
   * Set where OpenBao renews a token only for who shows the credential again, so that a new login takes the place of a
   * renewal: a client certificate, unless the mount has disable_binding.
   */
  readonly renewal?: "login";
  /**
   * Reads the credentials anew and checks what can be checked here.
   * @throws ProviderError that names the file or claim and the mend.
   */
  readonly prepare: (signal: AbortSignal) => Promise<LoginRequest>;
}
