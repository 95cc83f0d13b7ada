/** @module `config.load` and `config.validate`: the file is read once, and judged for the service's user. */
import { countOf } from "../../../base/words.ts";
import { ConfigError, describeProblem } from "../../../config/errors.ts";
import { failure, raised, warning } from "../../check.ts";
import { loadForService } from "../../configuration.ts";
import { accessProblem } from "../../service-identity.ts";
import type { DoctorCheck } from "../context.ts";

export const configLoad: DoctorCheck = {
  id: "config.load",
  proves: "The configuration file is there, safe, and readable for the service.",
  needs: [],
  whenFailed: "see the message; the file is named by --config or BAO_KMS_PROVIDER_CONFIG",
  run: async (context) => {
    const { options } = context;
    try {
      const { loaded, service } = await loadForService(options);
      context.learn("loaded", loaded);
      context.learn("service", service);
      const problem = accessProblem(loaded.path, "read", service);
      return {
        detail: `${loaded.path}, for the user ${service.name}`,
        findings: raised(
          problem !== undefined &&
            failure(
              "config_unreadable",
              problem,
              `chown root:${service.gid ?? service.uid} ${loaded.path}; chmod 0640 ${loaded.path}`,
              "config_invalid",
            ),
          service.uid !== options.self.uid &&
            options.self.uid !== 0 &&
            warning(
              "not_the_service",
              `doctor runs as uid ${options.self.uid}, but the service as ${service.name} (uid ${service.uid}): what only the service may read cannot be checked`,
              `run it as root, or: sudo -u ${service.name} bao-kms-provider doctor …`,
            ),
        ),
      };
    } catch (error) {
      if (error instanceof ConfigError && error.code === "config_refused") {
        context.learn("refusal", error);
        return { detail: "read" };
      }
      throw error;
    }
  },
};

export const configValidate: DoctorCheck = {
  id: "config.validate",
  proves:
    "Every field is known, of the right kind and within its bounds, and fields that belong together agree.",
  needs: ["config.load"],
  whenFailed: "fix the fields that are named; bao-kms-provider config shows the values in use",
  run: (context) => {
    if (context.knows("refusal")) {
      const { problems, source } = context.fact("refusal");
      return {
        findings: problems.map((problem) =>
          failure("config_refused", describeProblem(problem, source), problem.fix, "config_invalid"),
        ),
      };
    }
    const { warnings, fields } = context.fact("loaded");
    return {
      findings: warnings.map((text) => warning("config_warning", text, "change it unless it is intended")),
      detail: countOf(fields.length, "field"),
    };
  },
};
