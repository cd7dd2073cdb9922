import { resolve } from "node:path";
import { gzipSync } from "node:zlib";
import type { Command } from "commander";
import { writeDurably } from "../durable-file.ts";
import { EXIT_DONE } from "../errors.ts";
import type { SupportBundle } from "../support/bundle.ts";
import { askDaemon } from "./ask.ts";
import type { Where } from "./data.ts";
import { bytes } from "./format.ts";
import type { Io, RunVerb } from "./io.ts";

interface Options extends Where {
  readonly out?: string;
  readonly json?: boolean;
}

const OWN = 0o600;

export const verb = (io: Io) => (program: Command, run: RunVerb) =>
  void program
    .command("support-bundle")
    .description("one file for whoever helps: versions, status, link, configuration without secrets, latest notes")
    .option("--out <file>", "where it is written (default: holdfast-support-TIME.json.gz)")
    .option("--config <file>", "the gateway's file")
    .option("--data <directory>", "its data directory")
    .option("--json", "print it, and write no file")
    .addHelpText("after", "\nExample:\n  holdfast support-bundle --out support.json.gz\n  zcat support.json.gz | less")
    .action((options: Options) => run(() => supportBundle(options, io)));

async function supportBundle(options: Options, io: Io): Promise<number> {
  const bundle = (await askDaemon(options, io, "supportBundle")) as SupportBundle;
  if (options.json === true) {
    io.out(`${JSON.stringify(bundle)}\n`);
    return EXIT_DONE;
  }
  const time = new Date(bundle.at).toISOString().slice(0, 19).replaceAll(":", "");
  const file = resolve(options.out ?? `holdfast-support-${time}.json.gz`);
  const packed = gzipSync(JSON.stringify(bundle, null, 1));
  writeDurably(file, packed, OWN);
  io.out(
    `${file}  ${bytes(packed.byteLength)}\nIt has no secrets and no private values; read it before you give it away: zcat ${file}\n`,
  );
  return EXIT_DONE;
}
