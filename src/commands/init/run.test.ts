import { describe, expect, test } from "bun:test";
import { configFile } from "../../../test/fakes/config-file.ts";
import { decodeConfig } from "../../config/decode-config.ts";
import { nextSteps, type StepsRequest } from "./run.ts";

const { config } = decodeConfig(Buffer.from(configFile()), "values.yaml");
const steps = (change: Partial<StepsRequest> = {}): readonly string[] =>
  nextSteps({ out: "cp-1", config, model: "systemd", isNewKey: true, node: "cp-1", ...change });
/** Which of the steps names a thing; -1 when none does. */
const at = (list: readonly string[], thing: string): number => list.findIndex((step) => step.includes(thing));

describe.each(["systemd", "static-pod"] as const)("%s", (model) => {
  test("OpenBao first, then files and credential, then doctor, then the start, then kube-apiserver", () => {
    const start =
      model === "systemd" ? "systemctl enable --now bao-kms-provider.service" : "/etc/kubernetes/manifests";
    const list = steps({ model });
    const order = [
      "cp-1/openbao-setup.sh",
      "cp-1/config.yaml",
      "/var/lib/openbao-kms/identity.jwt",
      "bao-kms-provider doctor",
      start,
      "cp-1/encryption-config-readers.yaml",
    ].map((thing) => at(list, thing));
    expect(order).not.toContain(-1);
    expect(order).toEqual([...order].sort((a, b) => a - b));
    expect(at(list, config.openbao.caCertFile)).toBe(at(list, "cp-1/config.yaml"));
  });

  test.each([
    [true, "cp-1", true],
    [false, "cp-2", false],
    [true, undefined, false],
  ] as const)("a new key %p for node %p: further nodes %p", (isNewKey, node, isThere) => {
    expect(at(steps({ model, isNewKey, node }), "--node NAME") !== -1).toBe(isThere);
  });
});

test("each step of each model is one line that begins with a capital letter", () => {
  for (const model of ["systemd", "static-pod", "cluster-api"] as const) {
    for (const step of [...steps({ model }), ...steps({ model, isNewKey: false })]) {
      expect(step).toMatch(/^[A-Z][^\n]+[^\n:]$/);
    }
  }
});
