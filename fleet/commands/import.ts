import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { TOPIC_NAME } from "../../sync/topics.ts";
import { FleetError } from "../errors.ts";
import type { ImportBatch } from "../importing.ts";
import { EXIT_DONE, EXIT_FAILED, type Io, type RunVerb } from "./io.ts";
import { type Where, withFleet } from "./place.ts";

interface Options extends Where {
  readonly json?: boolean;
}

const BATCHES_AT_ONCE = 20;

export const verb = (io: Io) => (program: Command, run: RunVerb) =>
  void program
    .command("import <directory>")
    .description("store what `holdfast outbox export` wrote, and write the acknowledgements beside it")
    .option("--config <file>", "the fleet's file (default: ./holdfast-fleet.yaml)")
    .option("--json", "one JSON object")
    .addHelpText(
      "after",
      "\nExample:\n  holdfast-fleet import /media/stick\n\nThen, at the gateway: holdfast outbox acknowledge /media/stick",
    )
    .action((directory: string, options: Options) => run(() => importFrom(directory, options, io)));

async function importFrom(directory: string, options: Options, io: Io): Promise<number> {
  return await withFleet(options, async (ask, { config }) => {
    const root = join(directory, config.fleet);
    const gateways = folders(root).filter((name) => TOPIC_NAME.test(name));
    if (gateways.length === 0) {
      const hint = "Name the folder that was given to `holdfast outbox export`.";
      throw new FleetError("FLEET_IMPORT", { directory, fleet: config.fleet }, { hint });
    }
    let files = 0;
    const bad: string[] = [];
    for (const gateway of gateways) {
      const lines: string[] = [];
      const paths = batchFiles(join(root, gateway, "up"));
      for (let at = 0; at < paths.length && !io.stop.aborted; at += BATCHES_AT_ONCE) {
        const some = paths.slice(at, at + BATCHES_AT_ONCE);
        const read = some.map((path): ImportBatch => ({ gateway, payload: readFileSync(path).toString("base64") }));
        try {
          lines.push(...(await ask("take", read)));
          files += some.length;
        } catch {
          // One of them is no batch: each by itself, so that the others are not kept from it.
          for (const [index, one] of read.entries()) {
            try {
              lines.push(...(await ask("take", [one])));
              files += 1;
            } catch (error) {
              bad.push(`${some[index]}: ${(error as Error).message}`);
            }
          }
        }
      }
      writeAcknowledgements(join(root, gateway, "down"), lines);
    }
    for (const one of bad) io.err(`holdfast-fleet: ${one}\n`);
    io.out(
      options.json === true
        ? `${JSON.stringify({ gateways, files, refused: bad.length })}\n`
        : `${files} batches of ${gateways.length} gateways are stored. Now, at the gateway: holdfast outbox acknowledge ${directory}\n`,
    );
    return bad.length > 0 || io.stop.aborted ? EXIT_FAILED : EXIT_DONE;
  });
}

/** Only the last word on a stream counts, since it says all that is there. */
function writeAcknowledgements(folder: string, lines: readonly string[]): void {
  const last = new Map<string, string>();
  for (const line of lines) {
    const { epoch, stream } = JSON.parse(line) as { epoch: string; stream: number };
    last.set(`${epoch}/${stream}`, line);
  }
  mkdirSync(folder, { recursive: true });
  const path = join(folder, "ack.ndjson");
  writeFileSync(`${path}.tmp`, [...last.values()].map((line) => `${line}\n`).join(""), { flush: true });
  renameSync(`${path}.tmp`, path);
}

function batchFiles(up: string): string[] {
  return folders(up).flatMap((stream) =>
    readdirSync(join(up, stream))
      .filter((name) => name.endsWith(".batch"))
      .sort()
      .map((name) => join(up, stream, name)),
  );
}

function folders(path: string): string[] {
  if (!existsSync(path)) return [];
  return readdirSync(path, { withFileTypes: true })
    .filter((one) => one.isDirectory())
    .map((one) => one.name)
    .sort();
}
