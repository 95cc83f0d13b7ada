/**
 * `completion`: what a shell needs to complete commands and flags.
 *
 * @module Description; the scripts are made from the command table by cli/completion.ts.
 */
import { defineCommand } from "../command.ts";

export const completionCommand = defineCommand({
  name: "completion",
  summary: "Print the completion script of a shell",
  description: [
    "Prints a script that makes the shell complete commands, flags and the values of flags that have few.",
  ],
  argument: { name: "SHELL", description: "bash, zsh or fish", choices: ["bash", "zsh", "fish"] },
  options: {},
  examples: [
    "completion bash > /usr/share/bash-completion/completions/bao-kms-provider",
    "completion zsh > /usr/share/zsh/vendor-completions/_bao-kms-provider",
    "completion fish > /usr/share/fish/vendor_completions.d/bao-kms-provider.fish",
  ],
  run: async (_, { output }, shell) => {
    const [{ completionScript }, { COMMANDS }] = await Promise.all([
      import("../completion.ts"),
      import("../command-table.ts"),
    ]);
    output.result(completionScript(shell, COMMANDS));
    return "good";
  },
});
