/** Failures under the unit, caused for real: each is logged with its cause and its fix, and contains no JWT. */
import { expect, test } from "bun:test";
import { eventually } from "../harness/eventually.ts";
import { paths, unit } from "./provider-machine.ts";
import { describeUnit } from "./unit-machine.ts";

describeUnit("unit: failures", (on) => {
  const directoryMend = () => on.machine.must("systemd-tmpfiles --create openbao-kms.conf");
  const configMend = () => on.host.configure();
  const failures: readonly (readonly [
    what: string,
    cause: () => Promise<unknown>,
    repair: () => Promise<unknown>,
    says: RegExp,
    repairSaid: RegExp,
  ])[] = [
    [
      "socket directory of another group",
      () => on.machine.must(`chgrp openbao-kms ${paths.directory}`),
      directoryMend,
      /\/run\/openbao-kms has gid \d+, not that of server\.socketGroup/,
      /install -d -o openbao-kms -g openbao-kms-socket -m 2750 \/run\/openbao-kms/,
    ],
    [
      "socket directory that its group can write",
      () => on.machine.must(`chmod 2770 ${paths.directory}`),
      directoryMend,
      /has mode 2770/,
      /install -d -o openbao-kms -g openbao-kms-socket -m 2750/,
    ],
    [
      "configuration of root alone",
      () => on.machine.must(`chown root:root ${paths.config}`),
      configMend,
      /config\.yaml cannot be opened: permission denied/,
      /let the service's user read/,
    ],
    [
      "configuration that is refused",
      () => on.host.configure({ "server.socketMode": "0777" }),
      configMend,
      /server\.socketMode \("0777"\)/,
      /set server\.socketMode to "0660"/,
    ],
    [
      "CA file missing",
      () => on.machine.must(`mv ${paths.ca} ${paths.ca}.away`),
      () => on.machine.must(`mv ${paths.ca}.away ${paths.ca}`),
      /openbao\.caCertFile: the CA bundle \/etc\/openbao-kms\/tls\/ca\.crt does not exist/,
      /create \/etc\/openbao-kms\/tls\/ca\.crt/,
    ],
    [
      "credential where ProtectHome hides it",
      () => on.host.configure({ "auth.jwt.jwtFile": "/root/identity.jwt" }),
      configMend,
      /auth\.jwt\.jwtFile: the JWT \/root\/identity\.jwt cannot be opened/,
      /let the service's user read \/root\/identity\.jwt/,
    ],
    [
      "state where ProtectSystem forbids writing",
      async () => {
        await on.machine.must("install -d -o openbao-kms -g openbao-kms -m 0750 /var/lib/openbao-kms/other");
        await on.host.configure({ "state.path": "/var/lib/openbao-kms/other/key-registry.json" });
      },
      configMend,
      /state|registry/,
      /read-only|ReadWritePaths|writ/,
    ],
    [
      "DNS that is not ready",
      () => on.host.configure({ "openbao.address": "https://openbao.invalid:8200" }),
      configMend,
      /"code":"dns_failed"/,
      /getent hosts NAME/,
    ],
    [
      "certificate of another name",
      () => on.host.configure({ "openbao.tlsServerName": "wrong.example.com" }),
      configMend,
      /"code":"tls_name_mismatch"/,
      /set openbao\.tlsServerName/,
    ],
    [
      "JWT that has expired",
      () => on.host.writeJwt(-10),
      () => on.host.writeJwt(),
      /"error_class":"auth_expired"/,
      /have a fresh JWT written/,
    ],
  ];
  test.each(failures)("%s", async (_, cause, repair, says, repairSaid) => {
    await on.stop();
    await cause();
    const since = await on.now();
    await on.machine.must(`systemctl start --no-block ${unit}`);
    const said = await eventually(
      "the log says so",
      async () => {
        const text = await on.host.journal(since);
        return says.test(text) && repairSaid.test(text) ? text : undefined;
      },
      { timeoutMs: 10_000 },
    ).catch(async (error: unknown) => {
      throw new Error(`${String(error)}\n${await on.host.journal(since)}`);
    });
    expect(said).not.toMatch(/eyJ[A-Za-z0-9_-]+\./); // no JWT in any message
    await on.stop();
    await repair();
  });
});
