/** @module The machines that a release is for, and what each tool calls them. */
export const architectures = {
  amd64: {
    /** As in file names, deb and OCI. */
    name: "amd64",
    rpm: "x86_64",
    bunTarget: "bun-linux-x64",
    rustTarget: "x86_64-unknown-linux-gnu",
    /** The dynamic loader that Bun's executable names, and the folder of its C library in a Debian package. */
    loader: "/lib64/ld-linux-x86-64.so.2",
    libraryFolder: "/lib/x86_64-linux-gnu",
  },
  arm64: {
    name: "arm64",
    rpm: "aarch64",
    bunTarget: "bun-linux-arm64",
    rustTarget: "aarch64-unknown-linux-gnu",
    loader: "/lib/ld-linux-aarch64.so.1",
    libraryFolder: "/lib/aarch64-linux-gnu",
  },
} as const;

export type Architecture = (typeof architectures)[keyof typeof architectures];
