/** @module The identity Lease of a kube-apiserver as etcd stores it: `runtime.Unknown` around `coordination.v1.Lease`. */
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

export interface LeaseParts {
  readonly durationSeconds?: number;
  readonly renewedSeconds?: number;
}

export function leaseBytes({ durationSeconds, renewedSeconds }: LeaseParts): Uint8Array {
  const spec = new BinaryWriter().tag(1, WireType.LengthDelimited).string("holder");
  if (durationSeconds !== undefined) {
    spec.tag(2, WireType.Varint).int32(durationSeconds);
  }
  if (renewedSeconds !== undefined) {
    const time = new BinaryWriter().tag(1, WireType.Varint).int64(renewedSeconds).finish();
    spec.tag(4, WireType.LengthDelimited).bytes(time);
  }
  const raw = new BinaryWriter()
    .tag(1, WireType.LengthDelimited)
    .bytes(new Uint8Array(3))
    .tag(2, WireType.LengthDelimited)
    .bytes(spec.finish())
    .finish();
  const unknown = new BinaryWriter().tag(2, WireType.LengthDelimited).bytes(raw).finish();
  return Buffer.concat([Buffer.from("k8s\0"), unknown]);
}
