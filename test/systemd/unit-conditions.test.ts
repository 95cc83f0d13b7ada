/** What keeps the unit from being started, and how systemctl says so. */
import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { root } from "../packaging/artefacts.ts";
import { docBlock } from "../packaging/doc-blocks.ts";
import { paths, unit } from "./provider-machine.ts";
import { describeUnit, dropIns, examples } from "./unit-machine.ts";

describeUnit("unit: conditions", (on) => {
  test.each([
    ["configuration", paths.config, "ConditionPathExists"],
    ["JWT", paths.jwt, "ConditionPathExists"],
    ["runtime directory", paths.directory, "ConditionPathIsDirectory"],
  ])("without its %s it is skipped, and systemctl status says which", async (_, path, condition) => {
    await on.machine.must(`mv ${path} ${path}.away; systemctl start ${unit}`);
    const said = (await on.machine.sh(`systemctl status --no-pager ${unit}`)).stdout;
    await on.machine.must(`mv ${path}.away ${path}`);
    expect(said).toContain("start condition failed");
    expect(said).toContain(`${condition}=${path} was not met`);
    expect(await on.state()).toBe("inactive");
  });

  test("systemctl status shows the condition of an enabled unit only", async () => {
    const startedAs = async (verb: string): Promise<string> =>
      (
        await on.machine.sh(
          `systemctl ${verb} ${unit}; systemctl start ${unit}; systemctl status --no-pager ${unit}`,
        )
      ).stdout;
    await on.machine.must(`mv ${paths.jwt} ${paths.jwt}.away`);
    const disabled = await startedAs("disable");
    const enabled = await startedAs("enable");
    await on.machine.must(`mv ${paths.jwt}.away ${paths.jwt}`);
    expect(disabled).toContain("inactive (dead)");
    expect(disabled).not.toContain("was not met");
    expect(enabled).toContain(`ConditionPathExists=${paths.jwt} was not met`);
  });

  const credentials = readdirSync(join(root, "deploy", "systemd", "drop-ins"))
    .filter((name) => /^(cert-|oauth2|approle|spiffe)/.test(name))
    .sort();
  test.each(credentials)(
    "with the drop-in %s the JWT is no condition, and its own credential is",
    async (name) => {
      await on.machine.must(
        `install -m 0644 -D ${examples}/drop-ins/${name} ${dropIns}/50-credential.conf; systemctl daemon-reload`,
      );
      const listed = await on.machine.must(
        `systemctl cat ${unit} | sed '1,/50-credential/d' | grep '^Condition' | tail -n +2`,
      );
      const own = [...listed.matchAll(/ConditionPathExists=(\S+)/g)]
        .map(([, path = ""]) => path)
        .filter((path) => path !== paths.config);
      await on.machine.must(`mv ${paths.jwt} ${paths.jwt}.away`);
      for (const missing of own) {
        const others = own.filter((path) => path !== missing);
        await on.machine.must(others.map((path) => `[ -e ${path} ] || : > ${path}`).join("\n") || ":");
        await on.machine.must(
          `[ ! -e ${missing} ] || mv ${missing} ${missing}.away; systemctl start ${unit}`,
        );
        expect((await on.machine.sh(`systemctl status --no-pager ${unit}`)).stdout).toContain(
          `ConditionPathExists=${missing} was not met`,
        );
        await on.machine.must(`[ ! -e ${missing}.away ] || mv ${missing}.away ${missing}`);
      }
      await on.machine.must(own.map((path) => `[ -e ${path} ] || : > ${path}`).join("\n") || ":");
      await on.start();
      expect(await on.machine.must(`systemctl show --property=ConditionResult --value ${unit}`)).toBe("yes");
      await on.stop();
      await on.machine.must(`mv ${paths.jwt}.away ${paths.jwt}`);
      await on.undoDropIn("50-credential.conf");
    },
  );

  test("the drop-in of the page is the PKCS#11 one, and keeps a refused PIN from being tried again", async () => {
    await on.machine.must(docBlock("systemd.md#credential-drop-in"));
    expect(await on.host.property("RestartPreventExitStatus")).toBe("6");
    await on.undoDropIn("50-credential.conf");
  });
});
