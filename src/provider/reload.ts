/** @module What SIGHUP does: reads the CA bundle and the log level again. */
import { errorFields } from "../telemetry/logger.ts";
import type { Provider } from "./provider.ts";

/** Each of the two is done even when the other one fails; what is unusable leaves the old one in force. */
export async function reload({ logger, transport, readLogLevel }: Provider): Promise<void> {
  try {
    const changed = await transport.reloadTrust();
    logger.info("tls.ca_reloaded", { state: changed ? "changed" : "unchanged" });
  } catch (error) {
    logger.error("tls.ca_reloaded", errorFields(error));
  }
  try {
    const level = await readLogLevel();
    logger.setLevel(level);
    logger.info("config.reloaded", { state: level });
  } catch (error) {
    logger.error("config.reloaded", errorFields(error));
  }
}
