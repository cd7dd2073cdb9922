import { closeSync, openSync, writeSync } from "node:fs";
import type { Command } from "commander";
import { exportHeader, exportLines, rangeOf } from "../audit/export.ts";
import { EXIT_DONE, EXIT_FAILED } from "../errors.ts";
import { storeFiles } from "../store/files.ts";
import { publicKeysIn } from "../store/keyring.ts";
import { recordsSchema } from "../store/schema.ts";
import { openForReading } from "../store/sqlite-reader.ts";
import { dataDirectory, type Where } from "./data.ts";
import { count } from "./format.ts";
import type { Io, RunVerb } from "./io.ts";
import { createProgress } from "./progress.ts";
import { timeOption } from "./times.ts";

interface Options extends Where {
  readonly since?: number;
  readonly until?: number;
  readonly out?: string;
}

/** Lines are handed on in pieces of about this many characters. */
const PIECE = 65_536;

export function addExport(audit: Command, run: RunVerb, io: Io): void {
  audit
    .command("export")
    .description(
      "the log as NDJSON, private values left out, so that it can be verified elsewhere (audit verify --file)",
    )
    .option("--since <when>", "a time, or an age such as 15min, 24h, 7d", timeOption)
    .option("--until <when>", "likewise", timeOption)
    .option("--out <file>", "write there instead of to standard output; readable by the owner alone")
    .option("--config <file>", "the gateway's file")
    .option("--data <directory>", "its data directory")
    .addHelpText("after", "\nExample:\n  holdfast audit export --since 30d --out log.ndjson")
    .action((options: Options) => run(async () => exportLog(options, io)));
}

function exportLog(options: Options, io: Io): number {
  const files = storeFiles(dataDirectory(options, io));
  const database = openForReading(files.records, recordsSchema);
  const file = options.out === undefined ? undefined : openSync(options.out, "w", 0o600);
  const write = file === undefined ? io.out : (text: string): void => writeAll(file, text);
  const progress = createProgress(io, "rows", file === undefined && !io.terminal);
  let rows = 0;
  try {
    const range = rangeOf(
      database,
      options.since ?? Number.NEGATIVE_INFINITY,
      options.until ?? Number.POSITIVE_INFINITY,
    );
    write(`${JSON.stringify(exportHeader(database, range, publicKeysIn(files), Date.now()))}\n`);
    let piece = "";
    for (const line of range === undefined ? [] : exportLines(database, range)) {
      if (io.stop.aborted) break;
      piece += line;
      rows += 1;
      if (piece.length < PIECE) continue;
      write(piece);
      piece = "";
      if (range !== undefined) progress.show(rows, rows / (range.to - range.from + 1));
    }
    write(piece);
  } finally {
    progress.end();
    if (file !== undefined) closeSync(file);
    database.close();
  }
  if (file !== undefined) io.err(`${count(rows)} rows written to ${options.out}\n`);
  return io.stop.aborted ? EXIT_FAILED : EXIT_DONE;
}

function writeAll(file: number, text: string): void {
  const bytes = Buffer.from(text);
  let at = 0;
  while (at < bytes.length) at += writeSync(file, bytes, at);
}
