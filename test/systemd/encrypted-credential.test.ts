/** A credential that systemd keeps encrypted with the host's key, on a machine without a TPM. */
import { expect, test } from "bun:test";
import { paths, unit } from "./provider-machine.ts";
import { describeUnit, dropIns, examples } from "./unit-machine.ts";

const stored = "/etc/credstore.encrypted/openbao-kms.jwt";

describeUnit("unit: a JWT from LoadCredentialEncrypted=", (on) => {
  test("the provider logs in with it, and the plain file is gone", async () => {
    await on.machine.must(`
      systemd-creds setup
      mkdir -p -m 0700 ${stored.replace(/\/[^/]+$/, "")}
      systemd-creds encrypt --with-key=host --name=jwt ${paths.jwt} ${stored}
      mv ${paths.jwt} ${paths.jwt}.away
      install -m 0644 -D ${examples}/drop-ins/encrypted-jwt.conf ${dropIns}/50-credential.conf
      systemctl daemon-reload`);
    await on.host.configure({ "auth.jwt.jwtFile": `/run/credentials/${unit}/jwt` });
    await on.start();
    await on.encrypts();
    await on.roundTrip();
    expect(await on.machine.must(`stat -c %a /run/credentials/${unit}/jwt`)).toMatch(/^4[04]0\s*$/);
    await on.stop();
    await on.machine.must(`mv ${paths.jwt}.away ${paths.jwt}`);
    await on.undoDropIn("50-credential.conf");
  });
});
