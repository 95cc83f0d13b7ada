/**
 * @module The helper process of the tests: the real one, with addons that need not be installed. `bun helper-entry.ts ADDON-
 * DIRECTORY`. The executable itself takes no such argument.
 */
import { helperMain } from "../../../src/pkcs11/helper-main.ts";

const [directory = ""] = process.argv.slice(2);
process.exitCode = await helperMain({ directory, extraOwners: [process.geteuid?.() ?? 0] });
