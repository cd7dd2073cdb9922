import { createReadStream, statSync } from "node:fs";
import { parse } from "csv-parse";
import { DaemonError } from "./errors.ts";

export interface CsvRow {
  /** Line number of the row in the file, from 1 with the header as line 1. */
  readonly line: number;
  readonly cells: Readonly<Record<string, string>>;
  /** Share of the file that has been read, 0 to 1. */
  readonly progress: number;
}

/** The rows of a CSV file with a header line, read as a stream: a year of readings does not have to fit in memory. */
export async function* readCsv(file: string): AsyncGenerator<CsvRow> {
  let sizeBytes: number;
  try {
    sizeBytes = statSync(file).size;
  } catch (cause) {
    throw new DaemonError("INPUT_FILE", { file }, { cause, hint: "Give the path of a CSV file with a header line." });
  }
  const input = createReadStream(file);
  const parser = input.pipe(parse({ columns: true, bom: true, trim: true, skip_empty_lines: true, info: true }));
  input.on("error", (error) => parser.destroy(error));
  try {
    for await (const item of parser as AsyncIterable<{ info: { lines: number }; record: Record<string, string> }>) {
      yield {
        line: item.info.lines,
        cells: item.record,
        progress: sizeBytes === 0 ? 1 : Math.min(1, input.bytesRead / sizeBytes),
      };
    }
  } catch (cause) {
    throw new DaemonError("INPUT_FILE", { file }, { cause, hint: "The file must be CSV with one header line." });
  }
}

/** A cell as JSON has it: a number where the text is one, else the text. */
export function cellValue(text: string): number | string {
  if (text === "" || !/^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$/.test(text)) return text;
  return Number(text);
}

/** Wall time in ms of a timestamp cell: ISO 8601 (without a zone: UTC) or seconds, milliseconds, microseconds by size. */
export function cellTime(text: string): number {
  if (/^\d+(\.\d+)?$/.test(text)) {
    const value = Number(text);
    if (value > 1e14) return value / 1000;
    return value > 1e11 ? value : value * 1000;
  }
  const iso = text.replace(" ", "T");
  return Date.parse(/(Z|[-+]\d\d:?\d\d)$/.test(iso) ? iso : `${iso}Z`);
}
