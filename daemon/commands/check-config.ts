import { resolve } from "node:path";
import type { Command } from "commander";
import { loadConfig } from "../../config/load.ts";
import type { Problem } from "../../config/problems.ts";
import { bundledModels } from "../assets.ts";
import { EXIT_CONFIG, EXIT_DONE } from "../errors.ts";
import { check } from "../generation.ts";
import { findConfig } from "./data.ts";
import { problemLines } from "./failure.ts";
import { painter } from "./format.ts";
import type { Io, RunVerb } from "./io.ts";

interface Options {
  readonly data?: string;
  readonly json?: boolean;
}

export const verb = (io: Io) => (program: Command, run: RunVerb) =>
  void program
    .command("check-config [file]")
    .description("every mistake of a configuration with file, line and column: schema, references, models, expressions")
    .option("--data <directory>", "the data directory whose model library counts; beats the file's store.directory")
    .option("--json", "{valid, problems:[{file,line,column,path,message,hint}]}")
    .addHelpText(
      "after",
      "\nExample:\n  holdfast check-config /etc/holdfast/holdfast.yaml\n\nWithout a file: ./holdfast.yaml, /etc/holdfast/holdfast.yaml. Exit status 78 when there is a mistake.",
    )
    .action((file: string | undefined, options: Options) => run(() => checkConfig(file ?? usualFile(), options, io)));

/** As every verb: ./holdfast.yaml, else the package's. Where none is, the error names what was looked for. */
function usualFile(): string {
  return findConfig({}) ?? "holdfast.yaml";
}

async function checkConfig(file: string, options: Options, io: Io): Promise<number> {
  const problems = await problemsOf(file, options, io);
  if (options.json === true) io.out(`${JSON.stringify({ valid: problems.length === 0, problems })}\n`);
  else if (problems.length === 0) io.out(`${painter(io)("The configuration is valid.", "green")}\n`);
  else io.out(`${problemLines(problems)}${problems.length} mistake${problems.length === 1 ? "" : "s"}\n`);
  return problems.length === 0 ? EXIT_DONE : EXIT_CONFIG;
}

async function problemsOf(file: string, options: Options, io: Io): Promise<readonly Problem[]> {
  const loaded = loadConfig({ file, environment: io.environment });
  if (!loaded.ok) return loaded.problems;
  const dataDirectory =
    options.data === undefined
      ? resolve(loaded.baseDirectory, loaded.config.gateway.store.directory)
      : resolve(options.data);
  return (await check(loaded, { dataDirectory, bundled: bundledModels() })).problems;
}
