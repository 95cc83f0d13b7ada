import { describe, expect, test } from "bun:test";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  type Behaviour,
  fails,
  type Member,
  member,
  REVISION,
  readFrom,
  stored,
  unavailable,
} from "../../../test/fakes/etcd/members.ts";
import { AuditError } from "../errors.ts";

/** As Connect hands on what TLS refuses. */
const untrusted: Behaviour = () => {
  const cause = Object.assign(new Error("x"), { code: "UNABLE_TO_VERIFY_LEAF_SIGNATURE" });
  throw new ConnectError("x", Code.Internal, undefined, undefined, cause);
};

describe("members", () => {
  const lost = (url: string): Member => member([], { url, behave: unavailable });

  test("the read continues where it stopped, with the next member, and stays there", async () => {
    let calls = 0;
    const first = member(stored(80), {
      behave: (_, honest) => (++calls > 1 ? fails(Code.Internal) : honest()),
    });
    const second = member(stored(80), { url: "https://b:2379" });
    const { entries, sleeps } = await readFrom([first, second]);
    expect(entries).toHaveLength(80);
    expect(new Set(entries.map(({ key }) => key)).size).toBe(80);
    expect([first.calls.length, second.calls.length]).toEqual([2, 2]);
    expect(second.calls.every(({ revision }) => revision === REVISION)).toBe(true);
    // No pause: the second member was not asked before.
    expect(sleeps.every((ms) => ms < 1)).toBe(true);
  });

  test("after each round a pause, longer each time", async () => {
    const members = ["https://a:2379", "https://b:2379", "https://c:2379"].map(lost);
    const { error, sleeps } = await readFrom(members);
    expect(error).toMatchObject({ code: "etcd_unreachable" });
    expect(members.map(({ calls }) => calls.length)).toEqual([4, 4, 4]);
    expect(sleeps).toEqual([250, 500, 1000]);
  });

  test("a single one is asked twelve times, with pauses of five seconds at most", async () => {
    const one = lost("https://a:2379");
    const { error, sleeps } = await readFrom([one]);
    expect(error).toMatchObject({ code: "etcd_unreachable", errorClass: "timeout" });
    expect(one.calls).toHaveLength(12);
    expect(sleeps).toEqual([250, 500, 1000, 2000, 4000, 5000, 5000, 5000, 5000, 5000, 5000]);
  });

  test("the count of lost calls starts again with each answer", async () => {
    let turn = 0;
    const one = member(stored(40), {
      behave: (_, honest) => (turn++ % 12 < 11 ? fails(Code.Unknown) : honest()),
    });
    expect((await readFrom([one])).entries).toHaveLength(40);
  });

  test.each([
    [Code.ResourceExhausted, ""],
    [Code.OutOfRange, "compacted"],
  ])("gRPC code %i (%p) is an answer, also to the last attempt", async (code, text) => {
    let turn = 0;
    const one = member(stored(3), {
      behave: (_call, honest) =>
        ++turn < 12 ? fails(Code.Unavailable) : turn === 12 ? fails(code, text) : honest(),
    });
    expect((await readFrom([one])).entries).toHaveLength(3);
  });

  test("a cause that lasts is not waited for: each is asked once", async () => {
    const members = [untrusted, untrusted].map((behave) => member([], { behave }));
    const { error, sleeps } = await readFrom(members);
    expect(error).toMatchObject({ code: "etcd_unreachable" });
    expect(members.map(({ calls }) => calls.length)).toEqual([1, 1]);
    expect(sleeps).toEqual([]);
    const healthy = member(stored(3));
    expect((await readFrom([member([], { behave: untrusted }), healthy])).entries).toHaveLength(3);
  });

  test.each([
    [Code.PermissionDenied, "", "etcd_denied"],
    [Code.Unauthenticated, "", "etcd_denied"],
    [Code.InvalidArgument, "", "etcd_denied"],
    [Code.Unimplemented, "", "etcd_reply_invalid"],
    [Code.DataLoss, "", "etcd_reply_invalid"],
  ])("gRPC code %i ends the read", async (code, text, expected) => {
    const one = member(stored(3), { behave: () => fails(code, text) });
    expect((await readFrom([one, member(stored(3))])).error).toMatchObject({ code: expected });
    expect(one.calls).toHaveLength(1);
  });

  test.each([
    [Code.OutOfRange, "etcdserver: mvcc: required revision is a future revision"],
    [Code.ResourceExhausted, "etcdserver: too many requests"],
    [Code.FailedPrecondition, ""],
    [Code.DeadlineExceeded, ""],
  ])("gRPC code %i (%p) asks the next member for the same page", async (code, text) => {
    const second = member(stored(3));
    const { entries } = await readFrom([member([], { behave: () => fails(code, text) }), second]);
    expect(entries).toHaveLength(3);
    expect(second.calls.map(({ limit }) => limit)).toEqual([16]);
  });

  test("what to do is said for the cause of the last member", async () => {
    const advice = async (behave: Behaviour): Promise<string> => {
      const { error } = await readFrom([member([], { behave })]);
      return error instanceof AuditError ? String(error.advice) : "";
    };
    expect(await advice(untrusted)).toContain("--etcd-ca");
    expect(await advice(untrusted)).not.toContain("--etcd-cert");
    expect(await advice(() => fails(Code.DeadlineExceeded))).toContain("--etcd-endpoints, --etcd-ca");
    const refused: Behaviour = () => {
      const cause = Object.assign(new Error("x"), { code: "ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE" });
      throw new ConnectError("x", Code.Internal, undefined, undefined, cause);
    };
    expect(await advice(refused)).toContain("--etcd-cert and --etcd-key");
  });

  test("of two clusters are refused, when they say so and when they answer", async () => {
    const one = member(stored(40));
    const other = member(stored(40), { url: "https://b:2379", cluster: 0xdefn });
    expect((await readFrom([one, other])).error).toMatchObject({
      code: "etcd_other_cluster",
      message: expect.stringContaining(other.url),
    });
    expect(one.calls).toHaveLength(0);
    let calls = 0;
    const leaves = member(stored(40), {
      behave: (_, honest) => (++calls > 1 ? unavailable(_, honest) : honest()),
    });
    const secret = member(stored(40), {
      cluster: 0xdefn,
      statusCluster: new ConnectError("", Code.Unavailable),
    });
    const { error, entries } = await readFrom([leaves, secret]);
    expect(error).toMatchObject({ code: "etcd_other_cluster" });
    expect(entries).toHaveLength(16);
  });

  test("one whose status is not to be had does not hide that two others differ", async () => {
    const silent = member([], { statusCluster: new ConnectError("", Code.Unavailable) });
    const members = [silent, member(stored(1)), member(stored(1), { cluster: 1n })];
    expect((await readFrom(members)).error).toMatchObject({ code: "etcd_other_cluster" });
    expect((await readFrom([silent, member(stored(1))])).error).toBeUndefined();
  });

  test("none at all is a mistake of the caller", async () => {
    expect((await readFrom([])).error).toBeInstanceOf(RangeError);
  });
});
