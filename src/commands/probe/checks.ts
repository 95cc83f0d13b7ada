/** @module What `probe` asks a running provider, step by step. It sends only fresh random bytes. */
import { timingSafeEqual } from "node:crypto";
import type { KmsCiphertext, KmsClient, KmsStatus } from "../../kms/client.ts";
import { type Check, failure, warning } from "../check.ts";

export const PROBE_IDS = ["probe.status", "probe.key_id", "probe.encrypt", "probe.decrypt"] as const;
type ProbeId = (typeof PROBE_IDS)[number];

export interface ProbeContext {
  readonly client: KmsClient;
  readonly expectedKeyId: string | undefined;
  readonly random: (bytes: number) => Uint8Array;
  readonly monotonicMs: () => number;
  status?: KmsStatus;
  sealed?: { readonly plaintext: Uint8Array; readonly answer: KmsCiphertext };
  /** How long each call took, in milliseconds. */
  readonly took: Partial<Record<ProbeId, number>>;
}

/** As long as the seed that kube-apiserver has encrypted. */
const SEED_BYTES = 32;
const LOOK = "see the provider's log: journalctl -u bao-kms-provider";
const LOOK_OR_DOCTOR = "on this node: bao-kms-provider doctor --config /etc/openbao-kms/config.yaml";

const status: Check<ProbeId, ProbeContext> = {
  id: "probe.status",
  proves: "The socket can be reached by this user, and Status reports that the provider is healthy.",
  needs: [],
  whenFailed: LOOK,
  run: async (context, signal) => {
    const [answer, took] = await timed(context, "probe.status", () => context.client.status(signal));
    context.status = answer;
    return {
      detail: `${answer.healthz} in ${took}`,
      findings: [
        ...(answer.version === "v2"
          ? []
          : [
              failure(
                "not_kms_v2",
                "the process that listens there does not speak KMS v2",
                "give --socket with the provider's socket",
                "unknown",
              ),
            ]),
        ...(answer.healthz === "ok"
          ? []
          : [
              failure(
                "not_healthy",
                `Status shows ${JSON.stringify(answer.healthz.slice(0, 64))}: a running kube-apiserver keeps the seeds in its memory and its /readyz is not ok; one that starts now cannot decrypt stored objects`,
                LOOK_OR_DOCTOR,
                "status_stale",
              ),
            ]),
      ],
    };
  },
};

const keyId: Check<ProbeId, ProbeContext> = {
  id: "probe.key_id",
  proves: "Status shows the key_id that was expected.",
  needs: [],
  whenFailed: "compare with the other nodes: bao-kms-provider probe --output json",
  run: ({ status: answer, expectedKeyId }) => {
    if (answer === undefined) {
      return { skipped: "Status was not answered" };
    }
    return expectedKeyId === undefined || expectedKeyId === answer.keyId
      ? { detail: answer.keyId.slice(0, 64) }
      : {
          findings: [
            failure(
              "key_id_differs",
              `Status shows ${answer.keyId.slice(0, 64)}, not the expected key_id`,
              "a rotation may not have reached this node yet: bao-kms-provider rotation-plan",
              "key_id_unknown",
            ),
          ],
        };
  },
};

const encrypt: Check<ProbeId, ProbeContext> = {
  id: "probe.encrypt",
  proves: "Fresh random bytes are encrypted under the key_id that Status shows.",
  needs: [],
  whenFailed: LOOK_OR_DOCTOR,
  run: async (context, signal) => {
    if (context.status === undefined) {
      return { skipped: "Status was not answered" };
    }
    const plaintext = context.random(SEED_BYTES);
    const [answer, took] = await timed(context, "probe.encrypt", () =>
      context.client.encrypt(plaintext, signal),
    );
    context.sealed = { plaintext, answer };
    return {
      detail: `${answer.ciphertext.length} bytes in ${took}`,
      findings:
        answer.keyId === context.status.keyId
          ? []
          : [
              warning(
                "promoted_meanwhile",
                "Encrypt used another key_id than Status showed a moment before",
                "this is normal during a rotation; run probe again",
              ),
            ],
    };
  },
};

const decrypt: Check<ProbeId, ProbeContext> = {
  id: "probe.decrypt",
  proves: "They decrypt to the same bytes.",
  needs: [],
  whenFailed: LOOK_OR_DOCTOR,
  run: async (context, signal) => {
    const { sealed } = context;
    if (sealed === undefined) {
      return { skipped: "nothing was encrypted" };
    }
    const [opened, took] = await timed(context, "probe.decrypt", () =>
      context.client.decrypt(sealed.answer, signal),
    );
    const isSame = opened.length === sealed.plaintext.length && timingSafeEqual(opened, sealed.plaintext);
    return isSame
      ? { detail: `in ${took}` }
      : {
          findings: [
            failure(
              "round_trip_differs",
              "Decrypt returned other bytes than were encrypted",
              "report this as a defect",
              "unknown",
            ),
          ],
        };
  },
};

export const PROBE_CHECKS: readonly Check<ProbeId, ProbeContext>[] = [status, keyId, encrypt, decrypt];

/** The call's answer, and how long it took. */
async function timed<T>(context: ProbeContext, id: ProbeId, call: () => Promise<T>): Promise<[T, string]> {
  const startedMs = context.monotonicMs();
  const answer = await call();
  const ms = context.monotonicMs() - startedMs;
  context.took[id] = ms;
  return [answer, `${ms.toFixed(1)} ms`];
}
