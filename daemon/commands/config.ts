import type { Command } from "commander";
import { effective, effectiveYaml } from "../../config/effective.ts";
import { loadConfig } from "../../config/load.ts";
import { bundledExample } from "../assets.ts";
import { ConfigInvalid, EXIT_DONE } from "../errors.ts";
import { findConfig } from "./data.ts";
import type { Io, RunVerb } from "./io.ts";

interface Options {
  readonly config?: string;
  readonly json?: boolean;
}

export const verb = (io: Io) => (program: Command, run: RunVerb) => {
  const config = program.command("config").description("the configuration as it is used");
  config
    .command("effective")
    .description("what would be used: files, conf.d, environment and defaults together, secrets hidden")
    .option("--config <file>", "the gateway's file")
    .option("--json", "as JSON, not YAML")
    .addHelpText("after", "\nExample:\n  holdfast config effective --config holdfast.yaml")
    .action((options: Options) =>
      run(async () => {
        const loaded = loadConfig({ file: findConfig(options) ?? bundledExample(), environment: io.environment });
        if (!loaded.ok) throw new ConfigInvalid(loaded.problems);

        io.out(options.json === true ? `${JSON.stringify(effective(loaded.config))}\n` : effectiveYaml(loaded.config));
        return EXIT_DONE;
      }),
    );
};
