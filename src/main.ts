/**
 * Entry of the executable.
 *
 * @module The only place that ends the process.
 */
import { buildInfo } from "./base/build-info.ts";

console.log(`bao-kms-provider ${buildInfo.version}`);
