import { resolve } from "node:path";
import type { Command } from "commander";
import { collectorKey } from "../key.ts";
import { EXIT_DONE, type Io, type RunVerb } from "./io.ts";
import { placeOf, type Where } from "./place.ts";

export const verb = (io: Io) => (program: Command, run: RunVerb) =>
  void program
    .command("key")
    .description("the collector's public key, for `fleet.keys` of gateways; made where there is none")
    .option("--config <file>", "the fleet's file (default: ./holdfast-fleet.yaml)")
    .addHelpText("after", "\nExample:\n  holdfast-fleet key")
    .action((options: Where) =>
      run(async () => {
        const { config, baseDirectory } = placeOf(options);
        io.out(`${collectorKey(resolve(baseDirectory, config.keyFile)).publicText}\n`);
        return EXIT_DONE;
      }),
    );
