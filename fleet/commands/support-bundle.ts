import { resolve } from "node:path";
import { gzipSync } from "node:zlib";
import type { Command } from "commander";
import { writeWhole } from "../enrol/kept.ts";
import { FleetError } from "../errors.ts";
import { EXIT_DONE, type Io, type RunVerb } from "./io.ts";
import { type Where, withFleet } from "./place.ts";

interface Options extends Where {
  readonly out?: string;
  readonly json?: boolean;
}

const OWN = 0o600;

export const verb = (io: Io) => (program: Command, run: RunVerb) =>
  void program
    .command("support-bundle <gateway>")
    .description("the newest one that a gateway has sent; `command GATEWAY support-bundle` asks for one")
    .option("--out <file>", "where it is written (default: GATEWAY.support.json.gz)")
    .option("--config <file>", "the fleet's file (default: ./holdfast-fleet.yaml)")
    .option("--json", "print it, and write no file")
    .addHelpText(
      "after",
      "\nExample:\n  holdfast-fleet command plant-7 support-bundle\n  holdfast-fleet support-bundle plant-7",
    )
    .action((gateway: string, options: Options) => run(() => supportBundle(gateway, options, io)));

async function supportBundle(gateway: string, options: Options, io: Io): Promise<number> {
  const text = await withFleet(options, (ask) => ask("support", { gateway }));
  if (text === null)
    throw new FleetError(
      "FLEET_SUPPORT",
      { gateway },
      { hint: `Ask for one: holdfast-fleet command ${gateway} support-bundle. It comes within two minutes or so.` },
    );
  if (options.json === true) {
    io.out(`${text}\n`);
    return EXIT_DONE;
  }
  const { at } = JSON.parse(text) as { at: number };
  const file = resolve(options.out ?? `${gateway}.support.json.gz`);
  writeWhole(file, gzipSync(JSON.stringify(JSON.parse(text), null, 1)), OWN);
  io.out(`${file}  made at ${new Date(at).toISOString().slice(0, 19).replace("T", " ")} UTC by the gateway's clock\n`);
  return EXIT_DONE;
}
