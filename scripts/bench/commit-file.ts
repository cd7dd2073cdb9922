import { closeSync, existsSync, openSync, readFileSync, readSync, statSync } from "node:fs";

/** The newest durable row, as far as the clock has written it out. */
export function lastRow(commitsFile: string): number {
  if (!existsSync(commitsFile)) return 0;
  const size = statSync(commitsFile).size & ~15;
  if (size === 0) return 0;
  const pair = new Float64Array(2);
  const file = openSync(commitsFile, "r");
  readSync(file, pair, 0, 16, size - 16);
  closeSync(file);
  return pair[0] as number;
}

/** The thread that commits, as `pid/task/tid`; undefined before its first commit. */
export function writerThread(commitsFile: string): string | undefined {
  return existsSync(`${commitsFile}.thread`) ? readFileSync(`${commitsFile}.thread`, "latin1") : undefined;
}

/** Pairs of newest row and time, one for each commit. */
export function readCommits(file: string): Float64Array {
  const bytes = readFileSync(file);
  return new Float64Array(
    bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + (bytes.byteLength & ~15)) as ArrayBuffer,
  );
}
