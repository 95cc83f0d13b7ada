import { expect, test } from "bun:test";
import { socketPathOf } from "./kms-endpoint.ts";

test.each<readonly [string, string | undefined]>([
  ["unix:///run/kms.sock", "/run/kms.sock"],
  ["unix:/run/kms.sock", "/run/kms.sock"],
  ["UNIX:///x", "/x"],
  ["unix://run/kms.sock", "/kms.sock"],
  ["unix://a:1/x", "/x"],
  ["unix:///@abstract", "@abstract"],
  ["unix:///a%20b", "/a b"],
  ["unix:///a b", "/a b"],
  ["unix:///a%C3%A9", "/aé"],
  ["unix:///a:b[c", "/a:b[c"],
  ["unix:///x?q=%zz", "/x"],
  ["unix:///x#f", "/x"],
  ["unix:x", ""],
  ["unix:", ""],
  ["unix://", ""],
  ["", undefined],
  ["/run/kms.sock", undefined],
  ["tcp://127.0.0.1:1", undefined],
  ["unix2:///x", undefined],
  [" unix:///x", undefined],
  ["unix:///x\n", undefined],
  ["unix:///a%zz", undefined],
  ["unix:///a%25zz", undefined],
  ["unix:///a%00", undefined],
  ["unix:///x#%zz", undefined],
  ["unix://a:b/x", undefined],
  ["unix://a b/x", undefined],
])("%p", (endpoint, path) => {
  expect(socketPathOf(endpoint)).toBe(path);
});
