/** @module Completion scripts for bash, zsh and fish, made from the command table. They never run the program. */
import { PROGRAM } from "../../base/build-info.ts";
import type { CommandContext, Declaration } from "../../cli/command.ts";
import type { ExitName } from "../../cli/exit-code.ts";
import type { Option } from "../../cli/option.ts";
import { commandNames, subcommandNames } from "../../cli/parse.ts";

/** Runs `completion` for these commands. */
export function completion(commands: readonly Declaration[]) {
  return async (_: unknown, { output }: CommandContext, shell: string | undefined): Promise<ExitName> => {
    output.result(completionScript(shell, commands));
    return "good";
  };
}

/** The script for a shell; the parser lets only these three through. */
export function completionScript(shell: string | undefined, commands: readonly Declaration[]): string {
  switch (shell) {
    case "zsh":
      return zshScript(commands);
    case "fish":
      return fishScript(commands);
    default:
      return bashScript(commands);
  }
}

/** What may follow the flag: files, or closed choices; none when it cannot be completed. */
function valuesOf(name: string, option: Option): "files" | readonly string[] {
  if (option.kind === "text" && ["FILE", "DIR", "SOCKET"].includes(option.placeholder)) {
    return "files";
  }
  return option.kind === "choice"
    ? option.choices
    : name === "log-level"
      ? ["debug", "info", "warn", "error"]
      : [];
}

function wordsAfter(command: Declaration, commands: readonly Declaration[]): readonly string[] {
  return [
    ...subcommandNames(command.name, commands),
    ...(command.argument?.choices ?? []),
    ...Object.keys(command.options).map((name) => `--${name}`),
    "--help",
  ];
}

/** The groups that are no command themselves, with their second words. */
function bareGroups(
  commands: readonly Declaration[],
): readonly (readonly [group: string, words: readonly string[]])[] {
  return commandNames(commands)
    .filter((word) => !commands.some(({ name }) => name === word))
    .map((group) => [group, subcommandNames(group, commands)]);
}

function summaryOf(word: string, commands: readonly Declaration[]): string {
  return commands.find(({ name }) => name === word)?.summary ?? `${word} commands`;
}

function bashScript(commands: readonly Declaration[]): string {
  const flagCases = [...uniqueFlags(commands)].map(([name, option]) => {
    const values = valuesOf(name, option);
    const source = values === "files" ? "-f" : values.length > 0 ? `-W "${values.join(" ")}"` : undefined;
    const reply = source === undefined ? "" : `COMPREPLY=($(compgen -P "$prefix" ${source} -- "$current")); `;
    return `    --${name}) ${reply}return ;;`;
  });
  const commandCases = [
    ...commands.map(
      (command) => `    "${command.name}") words="${wordsAfter(command, commands).join(" ")}" ;;`,
    ),
    ...bareGroups(commands).map(([group, words]) => `    "${group}") words="${words.join(" ")} --help" ;;`),
  ];
  return `# bash completion for ${PROGRAM}
_bao_kms_provider() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD - 1]}" command="\${COMP_WORDS[1]}" words="" prefix=""
  COMPREPLY=()
  # --flag=value: three words where "=" breaks words, else one.
  if [ "$current" = "=" ]; then
    current=""
  elif [ "$previous" = "=" ]; then
    previous="\${COMP_WORDS[COMP_CWORD - 2]}"
  elif [[ "$current" == --*=* ]]; then
    previous="\${current%%=*}" prefix="\${current%%=*}=" current="\${current#*=}"
  fi
  case "$previous" in
${flagCases.join("\n")}
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${commandNames(commands).join(" ")} help --help" -- "$current"))
    return
  fi
  if [ "$command" = help ]; then
    case "$COMP_CWORD \${COMP_WORDS[2]}" in
      "2 "*) words="${commandNames(commands).join(" ")}" ;;
${helpCases(commands).join("\n")}
    esac
    COMPREPLY=($(compgen -W "$words" -- "$current"))
    return
  fi
  case "$command \${COMP_WORDS[2]}" in
${twoWordCases(commands)}
  esac
  case "$command" in
${commandCases.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _bao_kms_provider ${PROGRAM}
`;
}

/** The second words after `help config`. */
function helpCases(commands: readonly Declaration[]): readonly string[] {
  return commandNames(commands).flatMap((word) => {
    const words = subcommandNames(word, commands);
    return words.length === 0 ? [] : [`      "3 ${word}") words="${words.join(" ")}" ;;`];
  });
}

function twoWordCases(commands: readonly Declaration[]): string {
  return commands
    .filter(({ name }) => name.includes(" "))
    .map(({ name }) => `    "${name}") command="${name}" ;;`)
    .join("\n");
}

/** Flags with a value, each name once. */
function uniqueFlags(commands: readonly Declaration[]): ReadonlyMap<string, Option> {
  return new Map(
    commands.flatMap(({ options }) =>
      Object.entries(options).filter(([, { kind }]) => kind !== "flag" && kind !== "switch"),
    ),
  );
}

function zshScript(commands: readonly Declaration[]): string {
  const cases = commands.map((command) => {
    const flags = Object.entries(command.options).map(([name, option]) => zshFlag(name, option));
    const words = [...(command.argument?.choices ?? []), ...subcommandNames(command.name, commands)];
    const rest = words.length === 0 ? [] : [`'*:word:(${words.join(" ")})'`];
    return `    "${command.name}") _arguments ${["'--help[show help]'", ...flags, ...rest].join(" ")} ;;`;
  });
  const groups = bareGroups(commands).map(
    ([group, words]) => `    "${group}") _arguments '*:word:(${words.join(" ")})' ;;`,
  );
  const summaries = commandNames(commands).map(
    (word) => `    '${word}:${zshQuoted(summaryOf(word, commands))}'`,
  );
  return `#compdef ${PROGRAM}
_bao_kms_provider() {
  local -a commands=(
${summaries.join("\n")}
    'help:Print the help of a command'
  )
  if (( CURRENT == 2 )) || [[ "$words[2]" == help && $CURRENT == 3 ]]; then
    _describe command commands
    return
  fi
  if [[ "$words[2]" == help ]]; then
    shift words
    (( CURRENT-- ))
  fi
  local command="$words[2]"
  case "$words[2] $words[3]" in
${twoWordCases(commands)}
  esac
  case "$command" in
${[...cases, ...groups].join("\n")}
  esac
}
if [ "$funcstack[1]" = "_bao_kms_provider" ]; then
  _bao_kms_provider "$@"
else
  compdef _bao_kms_provider ${PROGRAM}
fi
`;
}

function zshFlag(name: string, option: Option): string {
  const values = option.kind === "switch" ? ["true", "false"] : valuesOf(name, option);
  const text = zshQuoted(option.description);
  if (option.kind === "flag") {
    return `'--${name}[${text}]'`;
  }
  const completed = values === "files" ? "_files" : values.length > 0 ? `(${values.join(" ")})` : "";
  return `'${option.kind === "list" ? "*" : ""}--${name}=[${text}]:value:${completed}'`;
}

/** Inside single quotes and inside the brackets of an _arguments spec. */
function zshQuoted(text: string): string {
  return text.replace(/[[\]:\\]/g, "\\$&").replace(/'/g, "'\\''");
}

function fishScript(commands: readonly Declaration[]): string {
  const quote = (text: string): string => `'${text.replace(/[\\']/g, "\\$&")}'`;
  const seen = (word: string): string => `__fish_seen_subcommand_from ${word}`;
  const line = (condition: string, rest: string): string => `complete -c ${PROGRAM} -n ${condition} ${rest}`;
  const words = commandNames(commands).map((word) =>
    line("__fish_use_subcommand", `-a ${word} -d ${quote(summaryOf(word, commands))}`),
  );
  const help = [
    line("__fish_use_subcommand", `-a help -d ${quote("Print the help of a command")}`),
    line(quote(seen("help")), `-a ${quote(commandNames(commands).join(" "))}`),
  ];
  const perCommand = commands.flatMap(({ name, summary, argument, options }) => {
    const [first = "", second] = name.split(" ");
    const isSeen = quote(second === undefined ? seen(first) : `${seen(first)}; and ${seen(second)}`);
    return [
      ...(second === undefined ? [] : [line(quote(seen(first)), `-a ${second} -d ${quote(summary)}`)]),
      ...(argument?.choices ?? []).map((each) => line(isSeen, `-a ${each}`)),
      ...Object.entries(options).map(([each, option]) =>
        line(isSeen, `-l ${each}${fishValue(each, option, quote)} -d ${quote(option.description)}`),
      ),
    ];
  });
  const all = [...words, ...help, ...perCommand];
  return [`# fish completion for ${PROGRAM}`, `complete -c ${PROGRAM} -f`, ...all, ""].join("\n");
}

function fishValue(name: string, option: Option, quote: (text: string) => string): string {
  const values = valuesOf(name, option);
  if (option.kind === "flag") {
    return "";
  }
  return values === "files" ? " -r -F" : values.length > 0 ? ` -x -a ${quote(values.join(" "))}` : " -x";
}
