/** @module Every command in the order of help: the table for parser, help, completion, man page and reference page. */
import { type Command, defineCommand } from "../cli/command.ts";
import { auditCommand } from "./audit/command.ts";
import { benchmarkCommand } from "./benchmark/command.ts";
import { completionCommand } from "./completion/command.ts";
import { configCommand } from "./config/command.ts";
import { configSchemaCommand } from "./config-schema/command.ts";
import { doctorCommand } from "./doctor/command.ts";
import { initCommand } from "./init/command.ts";
import { migrateCommand } from "./migrate/command.ts";
import { policyOpenbaoCommand } from "./policy-openbao/command.ts";
import { probeCommand } from "./probe/command.ts";
import { rebuildRegistryCommand } from "./rebuild-registry/command.ts";
import { restoreVersionsCommand } from "./restore-versions/command.ts";
import { retireVersionsCommand } from "./retire-versions/command.ts";
import { rotationPlanCommand } from "./rotation-plan/command.ts";
import { serveCommand } from "./serve/command.ts";
import { unwrapSecretIdCommand } from "./unwrap-secret-id/command.ts";
import { verifyKeyCommand } from "./verify-key/command.ts";
import { verifyRotationCommand } from "./verify-rotation/command.ts";
import { versionCommand } from "./version/command.ts";

export const COMMANDS: readonly Command[] = [
  defineCommand(serveCommand, async () => (await import("./serve/run.ts")).serve),
  defineCommand(doctorCommand, async () => (await import("./doctor/run.ts")).doctor),
  defineCommand(probeCommand, async () => (await import("./probe/run.ts")).probe),
  defineCommand(verifyKeyCommand, async () => (await import("./verify-key/run.ts")).verifyKey),
  defineCommand(rotationPlanCommand, async () => (await import("./rotation-plan/run.ts")).rotationPlan),
  defineCommand(configCommand, async () => (await import("./config/run.ts")).showConfig),
  defineCommand(configSchemaCommand, async () => (await import("./config-schema/run.ts")).configSchema),
  defineCommand(initCommand, async () => (await import("./init/run.ts")).init),
  defineCommand(policyOpenbaoCommand, async () => (await import("./policy-openbao/run.ts")).policyOpenbao),
  defineCommand(
    unwrapSecretIdCommand,
    async () => (await import("./unwrap-secret-id/run.ts")).unwrapSecretIdToFile,
  ),
  defineCommand(auditCommand, async () => (await import("./audit/run.ts")).audit),
  defineCommand(migrateCommand, async () => (await import("./migrate/run.ts")).migrate),
  defineCommand(verifyRotationCommand, async () => (await import("./verify-rotation/run.ts")).judgeRotation),
  defineCommand(retireVersionsCommand, async () => (await import("./retire-versions/run.ts")).retireVersions),
  defineCommand(
    restoreVersionsCommand,
    async () => (await import("./restore-versions/run.ts")).restoreVersions,
  ),
  defineCommand(
    rebuildRegistryCommand,
    async () => (await import("./rebuild-registry/run.ts")).rebuildRegistry,
  ),
  defineCommand(benchmarkCommand, async () => (await import("./benchmark/run.ts")).benchmark),
  defineCommand(completionCommand, async () => (await import("./completion/run.ts")).completion(COMMANDS)),
  defineCommand(versionCommand, async () => (await import("./version/run.ts")).version),
];
