import { type Command, Option } from "commander";
import { emqxAcl, mosquittoAcl } from "../enrol/broker-text.ts";
import { EXIT_DONE, type Io, type RunVerb } from "./io.ts";
import { placeOf, type Where } from "./place.ts";

interface Options extends Where {
  readonly for: "mosquitto" | "emqx";
}

export const verb = (io: Io) => (program: Command, run: RunVerb) =>
  void program
    .command("acl")
    .description("the lines with which a broker keeps each gateway below its own name")
    .addOption(new Option("--for <broker>", "whose lines").choices(["mosquitto", "emqx"]).default("mosquitto"))
    .option("--config <file>", "the fleet's file (default: ./holdfast-fleet.yaml)")
    .addHelpText("after", "\nExample:\n  holdfast-fleet acl --for emqx")
    .action((options: Options) =>
      run(async () => {
        const { fleet } = placeOf(options).config;
        io.out(options.for === "emqx" ? emqxAcl(fleet) : mosquittoAcl(fleet));
        return EXIT_DONE;
      }),
    );
