/** @module What is linked into Bun's executable: LICENSE.md of github.com/oven-sh/bun, "Linked libraries"; Bun publishes no versions. */
export interface LinkedComponent {
  readonly name: string;
  readonly license: string;
  readonly source: string;
}

const github = "https://github.com/";

function linked(name: string, license: string, source: string): LinkedComponent {
  return { name, license, source };
}

export const bunComponents: readonly LinkedComponent[] = [
  linked("WebKit JavaScriptCore", "LGPL-2.0-or-later", `${github}oven-sh/WebKit`),
  linked("boringssl", "OpenSSL AND ISC AND MIT", "https://boringssl.googlesource.com/boringssl/"),
  linked("brotli", "MIT", `${github}google/brotli`),
  linked("libarchive", "BSD-2-Clause", `${github}libarchive/libarchive`),
  linked("lol-html", "BSD-3-Clause", `${github}cloudflare/lol-html`),
  linked("ls-hpack", "MIT", `${github}litespeedtech/ls-hpack`),
  linked("ls-qpack", "MIT", `${github}litespeedtech/ls-qpack`),
  linked("lsquic", "MIT AND BSD-3-Clause", `${github}litespeedtech/lsquic`),
  linked("mimalloc", "MIT", `${github}microsoft/mimalloc`),
  linked("picohttpparser", "MIT", `${github}h2o/picohttpparser`),
  linked("zstd", "BSD-3-Clause", `${github}facebook/zstd`),
  linked("simdutf", "Apache-2.0", `${github}simdutf/simdutf`),
  linked("tinycc", "LGPL-2.1-or-later", `${github}tinycc/tinycc`),
  linked("uSockets", "Apache-2.0", `${github}uNetworking/uSockets`),
  linked("uWebSockets", "Apache-2.0", `${github}jarred-sumner/uwebsockets`),
  linked("zlib-ng", "Zlib", `${github}zlib-ng/zlib-ng`),
  linked("c-ares", "MIT", `${github}c-ares/c-ares`),
  linked("icu", "ICU", `${github}unicode-org/icu`),
  linked("libbase64", "BSD-2-Clause", `${github}aklomp/base64`),
  linked("libdeflate", "MIT", `${github}ebiggers/libdeflate`),
  linked("libjpeg-turbo", "IJG AND BSD-3-Clause AND Zlib", `${github}libjpeg-turbo/libjpeg-turbo`),
  linked("libspng", "BSD-2-Clause", `${github}randy408/libspng`),
  linked("libwebp", "BSD-3-Clause", `${github}webmproject/libwebp`),
  linked("highway", "Apache-2.0", `${github}google/highway`),
  linked("uucode", "MIT", `${github}jacobsandlund/uucode`),
  linked("libc++abi", "Apache-2.0 WITH LLVM-exception", `${github}llvm/llvm-project`),
];
