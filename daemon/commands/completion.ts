import { Argument, type Command } from "commander";
import { EXIT_DONE } from "../errors.ts";
import type { Io, Parse, RunVerb } from "./io.ts";

export const verb = (io: Io) => (program: Command, run: RunVerb, parse: Parse) =>
  void program
    .command("completion")
    .description("a completion script for the shell")
    .addArgument(new Argument("<shell>").choices(["bash", "zsh"]))
    .addHelpText(
      "after",
      "\nExamples:\n  source <(holdfast completion bash)\n  holdfast completion zsh > ~/.zfunc/_holdfast",
    )
    .action((shell: string) =>
      run(async () => {
        const verbs = await verbsOf(io, parse);
        io.out(shell === "bash" ? bash(verbs) : zsh(verbs));
        return EXIT_DONE;
      }),
    );

interface KnownVerb {
  readonly name: string;
  readonly description: string;
  readonly options: readonly string[];
}

/** Read off the program itself, by its own help, so that completion never lags behind. */
async function verbsOf(io: Io, parse: Parse): Promise<KnownVerb[]> {
  const help = async (args: readonly string[]): Promise<string> => {
    let text = "";
    await parse([...args, "--help"], { ...io, out: (part) => (text += part), err: () => undefined });
    return text;
  };
  const top = await help([]);
  const names = [...top.matchAll(/^ {2}([a-z][a-z-]*)(?: .*?)? {2,}(.*)$/gm)].flatMap(([, name, description]) =>
    name === undefined || name === "help" ? [] : [{ name, description: description ?? "" }],
  );
  return await Promise.all(
    names.map(async ({ name, description }) => ({
      name,
      description,
      options: [...new Set((await help([name])).match(/--[a-z][a-z-]*/g) ?? [])],
    })),
  );
}

function bash(verbs: readonly KnownVerb[]): string {
  const cases = verbs.map(({ name, options }) => `    ${name}) words="${options.join(" ")}" ;;`).join("\n");
  return `# bash completion for holdfast
_holdfast() {
  local current="\${COMP_WORDS[COMP_CWORD]}" words
  if [ "$COMP_CWORD" -eq 1 ]; then words="${verbs.map((one) => one.name).join(" ")}"; else
  case "\${COMP_WORDS[1]}" in
${cases}
  esac; fi
  case "$current" in
    -*) COMPREPLY=($(compgen -W "$words" -- "$current")) ;;
    *) if [ "$COMP_CWORD" -eq 1 ]; then COMPREPLY=($(compgen -W "$words" -- "$current")); else COMPREPLY=($(compgen -f -- "$current")); fi ;;
  esac
}
complete -o filenames -F _holdfast holdfast
`;
}

function zsh(verbs: readonly KnownVerb[]): string {
  const quoted = (text: string): string => text.replaceAll("'", "").replaceAll(":", "\\:");
  const list = verbs.map(({ name, description }) => `    '${name}:${quoted(description)}'`).join("\n");
  const cases = verbs.map(({ name, options }) => `    ${name}) compadd -- ${options.join(" ")}; _files ;;`).join("\n");
  return `#compdef holdfast
_holdfast() {
  local -a verbs
  verbs=(
${list}
  )
  if (( CURRENT == 2 )); then _describe verb verbs; return; fi
  case "$words[2]" in
${cases}
  esac
}
_holdfast "$@"
`;
}
