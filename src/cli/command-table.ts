/**
 * Every command, in the order in which help shows them.
 *
 * @module The one table from which parser, help, completion, man page and reference page are made.
 */
import type { Command } from "./command.ts";
import { auditCommand } from "./commands/audit.ts";
import { benchmarkCommand } from "./commands/benchmark.ts";
import { completionCommand } from "./commands/completion.ts";
import { configCommand } from "./commands/config.ts";
import { configSchemaCommand } from "./commands/config-schema.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { initCommand } from "./commands/init.ts";
import { migrateCommand } from "./commands/migrate.ts";
import { policyOpenbaoCommand } from "./commands/policy-openbao.ts";
import { probeCommand } from "./commands/probe.ts";
import { rebuildRegistryCommand } from "./commands/rebuild-registry.ts";
import { restoreVersionsCommand } from "./commands/restore-versions.ts";
import { retireVersionsCommand } from "./commands/retire-versions.ts";
import { rotationPlanCommand } from "./commands/rotation-plan.ts";
import { serveCommand } from "./commands/serve.ts";
import { unwrapSecretIdCommand } from "./commands/unwrap-secret-id.ts";
import { verifyKeyCommand } from "./commands/verify-key.ts";
import { verifyRotationCommand } from "./commands/verify-rotation.ts";
import { versionCommand } from "./commands/version.ts";

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
  completionCommand,
  versionCommand,
];
