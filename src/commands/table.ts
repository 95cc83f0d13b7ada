/** @module Every command in the order of help: the table for parser, help, completion, man page and reference page. */
import type { Command } from "../cli/command.ts";
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
  serveCommand,
  doctorCommand,
  probeCommand,
  verifyKeyCommand,
  rotationPlanCommand,
  configCommand,
  configSchemaCommand,
  initCommand,
  policyOpenbaoCommand,
  unwrapSecretIdCommand,
  auditCommand,
  migrateCommand,
  verifyRotationCommand,
  retireVersionsCommand,
  restoreVersionsCommand,
  rebuildRegistryCommand,
  benchmarkCommand,
  completionCommand(() => COMMANDS),
  versionCommand,
];
