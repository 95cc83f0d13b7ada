/** @module The declaration of `completion`. */
import type { Declaration } from "../../cli/command.ts";

export const completionCommand = {
  name: "completion",
  summary: "Print the completion script of a shell",
  description: [
    "Prints a script with which the shell completes commands, flags and the values of flags that have few.",
  ],
  argument: { name: "SHELL", description: "bash, zsh or fish", choices: ["bash", "zsh", "fish"] },
  options: {},
  examples: [
    "completion bash > /usr/share/bash-completion/completions/bao-kms-provider",
    "completion zsh > /usr/share/zsh/vendor-completions/_bao-kms-provider",
    "completion fish > /usr/share/fish/vendor_completions.d/bao-kms-provider.fish",
  ],
} as const satisfies Declaration;
