/** @module The machines that a release is for, and what each tool calls them. */
export interface Architecture {
  /** As in file names, deb and OCI. */
  readonly name: "amd64" | "arm64";
  readonly rpm: string;
  readonly bunTarget: string;
  readonly rustTarget: string;
  /** The dynamic loader that Bun's executable names, and the folder of its C library in a Debian package. */
  readonly loader: string;
  readonly libraryFolder: string;
}

export const architectures = {
  amd64: {
    name: "amd64",
    rpm: "x86_64",
    bunTarget: "bun-linux-x64",
    rustTarget: "x86_64-unknown-linux-gnu",
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
} as const satisfies Record<string, Architecture>;
