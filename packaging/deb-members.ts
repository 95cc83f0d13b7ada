/**
 * Compresses the members of a Debian package anew, with what dpkg-deb has no option for.
 *
 * @module deb(5) and ar(5); knows no compressor.
 */

const magic = "!<arch>\n";
const headerBytes = 60;
/** In a member's header: name, time, owner, group, mode, then the size in ten decimal digits, then the end mark. */
const nameEnd = 16;
const sizeStart = 48;
const sizeEnd = 58;

interface Member {
  readonly header: string;
  readonly name: string;
  readonly data: Uint8Array;
}

function membersOf(deb: Uint8Array): readonly Member[] {
  const text = (from: number, to: number): string => Buffer.from(deb.subarray(from, to)).toString("latin1");
  if (text(0, magic.length) !== magic) {
    throw new Error("not a Debian package: it does not begin as an ar archive");
  }
  const members: Member[] = [];
  for (let at = magic.length; at < deb.length; ) {
    const header = text(at, at + headerBytes);
    const size = Number(header.slice(sizeStart, sizeEnd));
    const from = at + headerBytes;
    if (!header.endsWith("`\n") || !Number.isSafeInteger(size) || from + size > deb.length) {
      throw new Error(`not a Debian package: no member at byte ${at}`);
    }
    members.push({ header, name: header.slice(0, nameEnd).trimEnd(), data: deb.subarray(from, from + size) });
    at = from + size + (size % 2);
  }
  return members;
}

function written({ header, name, data }: Member): Buffer {
  const size = String(data.length).padEnd(sizeEnd - sizeStart);
  const changed = name.padEnd(nameEnd) + header.slice(nameEnd, sizeStart) + size + header.slice(sizeEnd);
  return Buffer.concat([
    Buffer.from(changed, "latin1"),
    data,
    Buffer.from(data.length % 2 === 0 ? "" : "\n"),
  ]);
}

/** `deb` as `dpkg-deb -Znone` makes it, with `compress` applied to control.tar and data.tar; throws on anything else. */
export async function compressMembers(
  deb: Uint8Array,
  compress: (tar: Uint8Array) => Promise<Uint8Array>,
): Promise<Buffer> {
  const members = membersOf(deb);
  const names = members.map(({ name }) => name).join(" ");
  if (names !== "debian-binary control.tar data.tar") {
    throw new Error(`not an uncompressed Debian package: its members are ${names}`);
  }
  const compressed = await Promise.all(
    members.map(async ({ header, name, data }) =>
      name.endsWith(".tar")
        ? { header, name: `${name}.xz`, data: await compress(data) }
        : { header, name, data },
    ),
  );
  return Buffer.concat([Buffer.from(magic), ...compressed.map(written)]);
}
