import { expect, test } from "bun:test";
import { DoctorContext } from "./context.ts";

test("a fact is known once it is learnt, also when it is that there is none", () => {
  const context = new DoctorContext({
    load: () => Promise.reject(new Error("unused")),
    connect: () => Promise.reject(new Error("unused")),
    serviceUser: undefined,
    encryptionConfig: undefined,
    previousEncryptionConfig: undefined,
    expectedFingerprint: undefined,
    userFiles: { passwd: "", group: "" },
    resolverConfig: "",
    wallMs: () => 0,
    random: (bytes) => new Uint8Array(bytes),
    self: { uid: 0, gid: 0 },
  });
  expect(context.knows("registry")).toBe(false);
  expect(() => context.fact("registry")).toThrow(TypeError);
  context.learn("registry", undefined);
  context.learn("socketGid", 7);
  expect(context.knows("registry")).toBe(true);
  expect([context.fact("registry"), context.fact("socketGid")]).toEqual([undefined, 7]);
});
