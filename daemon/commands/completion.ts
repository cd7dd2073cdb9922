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
        const help = async (args: readonly string[]): Promise<string> => {
          let text = "";
          await parse(args, { ...io, out: (part) => (text += part), err: () => undefined });
          return text;
        };
        io.out(await completion("holdfast", shell as Shell, help));
        return EXIT_DONE;
      }),
    );

interface KnownVerb {
  readonly name: string;
  readonly description: string;
  readonly options: readonly string[];
}

type Shell = "bash" | "zsh";

/** A script for a shell. Read off the program itself, by what it says to `--help`, so that it never lags behind. */
export async function completion(
  name: string,
  shell: Shell,
  help: (args: readonly string[]) => Promise<string>,
): Promise<string> {
  const verbs = await verbsOf(help);
  return shell === "bash" ? bash(name, verbs) : zsh(name, verbs);
}

async function verbsOf(help: (args: readonly string[]) => Promise<string>): Promise<KnownVerb[]> {
  const top = await help(["--help"]);
  const names = [...top.matchAll(/^ {2}([a-z][a-z-]*)(?: .*?)? {2,}(.*)$/gm)].flatMap(([, name, description]) =>
    name === undefined || name === "help" ? [] : [{ name, description: description ?? "" }],
  );
  return await Promise.all(
    names.map(async ({ name, description }) => ({
      name,
      description,
      options: [...new Set((await help([name, "--help"])).match(/--[a-z][a-z-]*/g) ?? [])],
    })),
  );
}

/** A function's name has no hyphens in it where shells follow POSIX. */
const functionOf = (name: string): string => `_${name.replaceAll("-", "_")}`;

function bash(program: string, verbs: readonly KnownVerb[]): string {
  const cases = verbs.map(({ name, options }) => `    ${name}) words="${options.join(" ")}" ;;`).join("\n");
  return `# bash completion for ${program}
${functionOf(program)}() {
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
complete -o filenames -F ${functionOf(program)} ${program}
`;
}

function zsh(program: string, verbs: readonly KnownVerb[]): string {
  const quoted = (text: string): string => text.replaceAll("'", "").replaceAll(":", "\\:");
  const list = verbs.map(({ name, description }) => `    '${name}:${quoted(description)}'`).join("\n");
  const cases = verbs.map(({ name, options }) => `    ${name}) compadd -- ${options.join(" ")}; _files ;;`).join("\n");
  return `#compdef ${program}
${functionOf(program)}() {
  local -a verbs
  verbs=(
${list}
  )
  if (( CURRENT == 2 )); then _describe verb verbs; return; fi
  case "$words[2]" in
${cases}
  esac
}
${functionOf(program)} "$@"
`;
}
