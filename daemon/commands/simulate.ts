import { setTimeout as pause } from "node:timers/promises";
import { Argument, type Command, InvalidArgumentError, Option } from "commander";
import { EXIT_DONE } from "../errors.ts";
import { ColdStore, type Happening } from "../simulate/cold-store.ts";
import { type FaultLevel, faultLevels } from "../simulate/faults.ts";
import { PlantBus } from "../simulate/plant-bus.ts";
import { painter } from "./format.ts";
import type { Io, RunVerb } from "./io.ts";
import { createPlantReport } from "./plant-report.ts";
import { countOption, positiveOption } from "./times.ts";

interface Options {
  readonly url: string;
  readonly faults: FaultLevel;
  readonly speed: number;
  readonly seed: number;
  readonly seconds?: number;
  readonly username?: string;
  readonly passwordFile?: string;
  readonly json?: boolean;
}

/** Faster than this, rooms change more between two readings than any rule could follow. */
const MOST_SPEED = 100;
const DEFAULT_SPEED = 10;
const TICK_MS = 100;
/** After a longer sleep of this process the plant goes on from where it was. */
const LONGEST_JUMP_MS = 2000;

export const verb = (io: Io) => (program: Command, run: RunVerb) =>
  void program
    .command("simulate")
    .description("play a plant on the bus: its sensors publish, its actuators obey, fail, lie and answer late")
    .addArgument(new Argument("<plant>", "which plant").choices(["cold-store"]))
    .option("--url <url>", "the bus", "mqtt://127.0.0.1:1883")
    .addOption(
      new Option("--faults <level>", "sensors and actuators that fail").choices([...faultLevels]).default("none"),
    )
    .option(
      "--speed <n>",
      `how much faster than in a real plant things get warm, wear and break`,
      speedOption,
      DEFAULT_SPEED,
    )
    .option("--seed <n>", "another number is another story", countOption, 1)
    .option("--seconds <n>", "how long; without it, until Ctrl-C", positiveOption)
    .option("--username <name>", "user of the bus")
    .option("--password-file <file>", "file with this user's password")
    .option("--json", "one JSON object a line, the last one with the sums")
    .addHelpText("after", "\nExample:\n  holdfast simulate cold-store --faults some")
    .action((_: string, options: Options) => run(() => simulate(options, io)));

async function simulate(options: Options, io: Io): Promise<number> {
  const report = createPlantReport(io, painter(io), options.json === true);
  const say = (happening: Happening): void => report.happening(happening, plant.elapsedMs);
  const plant = new ColdStore(
    { wallMs: () => Date.now(), publish: (topic, payload) => bus.publish(topic, payload), say },
    options,
  );
  const bus = new PlantBus(
    { onCommand: (topic, payload) => plant.command(topic, payload), onChange: report.connection },
    options,
  );
  await bus.start();
  report.started(options);
  const endMs = options.seconds === undefined ? Number.POSITIVE_INFINITY : options.seconds * 1000;
  let last = performance.now();
  let elapsedMs = 0;
  while (!io.stop.aborted && elapsedMs < endMs) {
    await pause(TICK_MS, undefined, { signal: io.stop }).catch(() => undefined);
    const now = performance.now();
    elapsedMs += Math.min(now - last, LONGEST_JUMP_MS);
    last = now;
    plant.advance(elapsedMs);
    report.status(plant.plant);
  }
  await bus.stop();
  report.end(plant.received(), bus.counts);
  return EXIT_DONE;
}

function speedOption(text: string): number {
  const value = positiveOption(text);
  if (value > MOST_SPEED) throw new InvalidArgumentError(`Give a number up to ${MOST_SPEED}.`);
  return value;
}
