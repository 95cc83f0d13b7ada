import { describe, expect, test } from "bun:test";
import { compressMembers } from "./deb-members.ts";

function member(name: string, data: string): string {
  const header = `${name.padEnd(16)}${"1700000000".padEnd(12)}${"0".padEnd(6)}${"0".padEnd(6)}${"100644".padEnd(8)}`;
  return `${header}${String(data.length).padEnd(10)}\`\n${data}${data.length % 2 === 0 ? "" : "\n"}`;
}

const archive = (...members: readonly string[]): Buffer => Buffer.from(`!<arch>\n${members.join("")}`);
const version = member("debian-binary", "2.0\n");
const fine = archive(version, member("control.tar", "control"), member("data.tar", "data"));
const halve = async (tar: Uint8Array): Promise<Uint8Array> => tar.subarray(0, Math.ceil(tar.length / 2));

describe("compressing a Debian package's members", () => {
  test("changes name, size and data of the two archives and nothing else", async () => {
    const expected = archive(version, member("control.tar.xz", "cont"), member("data.tar.xz", "da"));
    expect((await compressMembers(fine, halve)).toString()).toBe(expected.toString());
  });

  test("pads an odd length", async () => {
    const odd = await compressMembers(fine, async () => Buffer.from("odd"));
    const expected = archive(version, member("control.tar.xz", "odd"), member("data.tar.xz", "odd"));
    expect(odd.toString()).toBe(expected.toString());
  });

  test.each([
    ["nothing", Buffer.alloc(0)],
    ["another file", Buffer.from("\u007fELF and so on")],
    ["a package cut off in a header", fine.subarray(0, 20)],
    ["a package cut off in its data", fine.subarray(0, fine.length - 2)],
    [
      "members already compressed",
      archive(version, member("control.tar.xz", "c"), member("data.tar.xz", "d")),
    ],
    ["no control archive", archive(version, member("data.tar", "data"))],
  ])("refuses %s", async (_, bytes) => {
    await expect(compressMembers(bytes, halve)).rejects.toThrow("Debian package");
  });
});
