import { expect, test } from "bun:test";
import fc from "fast-check";
import vectors from "../../../test/vectors/wire.json";
import { RegistryError } from "./errors.ts";
import { decodeGoRegistry, MAX_GO_REGISTRY_BYTES } from "./go-registry.ts";

/** As the Go implementation writes it, for one version of a wire vector. */
function goRegistry(vector: (typeof vectors.vectors)[number], change: object = {}): Uint8Array {
  const { scope, transitVersion, transitVersionCreatedAtUnix, keyId } = vector;
  return Buffer.from(
    JSON.stringify({
      schemaVersion: "keyregistry.openbao-kms/v1alpha1",
      generation: 1,
      currentHash: "krs1.x",
      activeKeyId: keyId,
      snapshots: [
        {
          providerName: scope.providerName,
          clusterId: scope.clusterId,
          openbaoInstanceId: scope.openbaoInstanceId,
          ...("openbaoNamespace" in scope ? { openbaoNamespace: scope.openbaoNamespace } : {}),
          transitMountId: scope.transitMountId,
          transitKeyLineageId: scope.keyLineageId,
          transitVersion,
          transitVersionCreatedAtUnix,
          kubernetesKeyId: keyId,
          state: "active",
          aadMode: "aad.required",
          ...change,
        },
      ],
    }),
  );
}

test.each(vectors.vectors)("takes over: $name", (vector) => {
  expect(decodeGoRegistry(goRegistry(vector), "f", { openbaoNamespace: "", ...vector.scope })).toEqual([
    { version: vector.transitVersion, createdAtUnix: vector.transitVersionCreatedAtUnix },
  ]);
});

test.each([
  { transitVersion: 99 },
  { kubernetesKeyId: "obk2.x" },
  { transitVersionCreatedAtUnix: 5 },
  { state: "new" },
])("refuses %j", (change) => {
  const [vector] = vectors.vectors;
  const attempt = (): unknown =>
    vector === undefined
      ? undefined
      : decodeGoRegistry(goRegistry(vector, change), "f", { openbaoNamespace: "", ...vector.scope });
  expect(attempt).toThrow(RegistryError);
});

test("a rejected version is left out, whatever its key_id", () => {
  const [vector] = vectors.vectors;
  if (vector === undefined) {
    throw new Error("there are vectors");
  }
  const bytes = goRegistry(vector, { state: "rejected", kubernetesKeyId: "obk2.x" });
  expect(decodeGoRegistry(bytes, "f", { openbaoNamespace: "", ...vector.scope })).toEqual([]);
});

test("a file of the largest size is taken, one byte more is not", () => {
  const [vector] = vectors.vectors;
  if (vector === undefined) {
    throw new Error("there are vectors");
  }
  const file = goRegistry(vector);
  const padded = (size: number) => Buffer.concat([file, Buffer.alloc(size - file.length, " ")]);
  const decode = (size: number) =>
    decodeGoRegistry(padded(size), "f", { openbaoNamespace: "", ...vector.scope });
  expect(MAX_GO_REGISTRY_BYTES).toBe(4_194_304);
  expect(decode(MAX_GO_REGISTRY_BYTES)).toHaveLength(1);
  expect(() => decode(MAX_GO_REGISTRY_BYTES + 1)).toThrow(RegistryError);
});

test("no bytes make it fail otherwise", () => {
  const [vector] = vectors.vectors;
  const bytes = vector === undefined ? Buffer.of() : goRegistry(vector);
  fc.assert(
    fc.property(fc.nat({ max: bytes.length - 1 }), fc.nat({ max: 255 }), (at, byte) => {
      const hostile = Buffer.from(bytes);
      hostile[at] = byte;
      try {
        decodeGoRegistry(hostile, "f", { openbaoNamespace: "", ...vectors.vectors[0]?.scope, ...SCOPE });
      } catch (error) {
        expect(error).toBeInstanceOf(RegistryError);
      }
    }),
  );
});

const SCOPE = {
  providerName: "a",
  clusterId: "b",
  openbaoInstanceId: "c",
  transitMountId: "d",
  keyLineageId: "e",
};
