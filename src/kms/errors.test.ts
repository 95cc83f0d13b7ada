import { expect, test } from "bun:test";
import { Code } from "@connectrpc/connect";
import { ERROR_CLASSES } from "../base/error-class.ts";
import { replyFor, statusName } from "./errors.ts";

/** grpc-message is percent-encoded; these characters come out the same in every client. */
const PLAIN = /^[A-Za-z0-9 _'-]{3,80}$/;

test.each(ERROR_CLASSES.map((errorClass) => [errorClass]))(
  "class %s has a code and a plain constant text",
  (errorClass) => {
    const reply = replyFor(errorClass, undefined);
    expect(reply.text).toMatch(PLAIN);
    expect(statusName(reply.code)).toMatch(/^[A-Z_]+$/);
  },
);

test.each([
  ["concurrency_limit", Code.ResourceExhausted],
  ["active_version_lost", Code.FailedPrecondition],
  ["no_key_version", Code.Unavailable],
  ["openbao_outage", Code.Unavailable],
  ["version_removed", Code.FailedPrecondition],
  ["version_rejected", Code.FailedPrecondition],
  ["reply_out_of_bounds", Code.Internal],
])("code %s has its own reply", (code, expected) => {
  const reply = replyFor("unknown", code);
  expect(reply.code).toBe(expected);
  expect(reply.text).toMatch(PLAIN);
});

test("the code of another layer falls back to its class", () => {
  expect(replyFor("openbao_sealed", "some_code")).toEqual(replyFor("openbao_sealed", undefined));
});

test("codes have the names of gRPC", () => {
  const codes = Object.values(Code).filter((code) => typeof code === "number");
  expect(codes.map(statusName)).toEqual([
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
  ]);
});
