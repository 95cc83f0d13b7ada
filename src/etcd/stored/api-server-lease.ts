/**
 * @module The Leases of API servers. What cannot be decoded counts as live: a count too low could cost data.
 * @see https://kubernetes.io/docs/concepts/architecture/leases/#api-server-identity
 */
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

const RESOURCE = "leases.coordination.k8s.io";
const PATH_PREFIX = "kube-system/apiserver-";
const PROTOBUF_MARK = Buffer.from("k8s\0");

const RAW_OF_UNKNOWN = 2;
const SPEC_OF_LEASE = 2;
const DURATION_OF_SPEC = 2;
const RENEW_TIME_OF_SPEC = 4;
const SECONDS_OF_TIME = 1;

export function isApiServerLease(resource: string, path: string): boolean {
  return resource === RESOURCE && path.startsWith(PATH_PREFIX);
}

/** Whether the Lease has not expired at `nowUnixMs`, or cannot be read. */
export function isLiveLease(value: Uint8Array, nowUnixMs: number): boolean {
  try {
    const spec = messageAt(messageAt(value.subarray(PROTOBUF_MARK.length), RAW_OF_UNKNOWN), SPEC_OF_LEASE);
    const durationSeconds = numberAt(spec, DURATION_OF_SPEC);
    const renewedSeconds = numberAt(messageAt(spec, RENEW_TIME_OF_SPEC), SECONDS_OF_TIME);
    return (renewedSeconds + durationSeconds) * 1000 >= nowUnixMs;
  } catch {
    return true;
  }
}

function messageAt(bytes: Uint8Array, wanted: number): Uint8Array {
  return readerAt(bytes, wanted, WireType.LengthDelimited).bytes();
}

function numberAt(bytes: Uint8Array, wanted: number): number {
  return Number(readerAt(bytes, wanted, WireType.Varint).int64());
}

/** Stands before the content of the field. The reader throws a RangeError at the end of the bytes. */
function readerAt(bytes: Uint8Array, wanted: number, type: WireType): BinaryReader {
  const reader = new BinaryReader(bytes);
  for (;;) {
    const [field, wireType] = reader.tag();
    if (field === wanted && wireType === type) {
      return reader;
    }
    reader.skip(wireType);
  }
}
