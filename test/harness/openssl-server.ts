/**
 * @module `openssl s_server` that demands a client certificate and answers GET with a page about the connection. A TLS server
 * that is neither Go's nor Bun's; one TLS version at a time.
 */
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

export interface OpensslServerOptions {
  /** Where its files are written. */
  readonly directory: string;
  readonly chainPem: string;
  readonly keyPem: string;
  /** Of the clients. */
  readonly caPem: string;
  readonly version: "1.2" | "1.3";
}

export async function startOpensslServer(options: OpensslServerOptions) {
  const { directory, version } = options;
  const file = (name: string, text: string): string => {
    const path = join(directory, `s_server-${name}`);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const chain = file("chain.pem", options.chainPem);
  const settings = {
    accept: "127.0.0.1:0",
    Verify: "4",
    cert: chain,
    cert_chain: chain,
    key: file("key.pem", options.keyPem),
    CAfile: file("ca.pem", options.caPem),
  };
  const args = [
    "s_server",
    "-www",
    "-verify_return_error",
    version === "1.2" ? "-tls1_2" : "-tls1_3",
    ...Object.entries(settings).flatMap(([name, value]) => [`-${name}`, value]),
  ];
  const child = spawn("openssl", args, { stdio: ["ignore", "pipe", "ignore"] });
  const port = await new Promise<number>((resolve, reject) => {
    let text = "";
    child.stdout.setEncoding("utf8");
    child.stdout.on("data", (more: string) => {
      text += more;
      const [, found] = /ACCEPT 127\.0\.0\.1:(\d+)/.exec(text) ?? [];
      if (found !== undefined) {
        resolve(Number(found));
      }
    });
    child.once("exit", () => reject(new Error("openssl s_server did not start")));
  });
  return { port, stop: () => child.kill("SIGKILL") };
}
