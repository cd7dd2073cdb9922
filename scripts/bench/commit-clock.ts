// Loaded into the program under test with `--import`: notes when each COMMIT on its log returned and up to which row.
// Both programs carry it, neither knows of it, and nothing of it is in what users run.
import { appendFileSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { isMainThread } from "node:worker_threads";
import { type Database, onDatabase, type Statement } from "./database-hook.ts";

const path = process.env.BENCH_COMMITS;
/** Written after so many commits, or after so long. */
const BUFFERED = 256;
const FLUSH_MS = 100;

function watch(prototype: Database, file: string): void {
  const exec = prototype.exec;
  const pairs = new Float64Array(2 * BUFFERED);
  let count = 0;
  let newest: Statement | undefined;
  const flush = (): void => {
    if (count > 0) appendFileSync(file, new Uint8Array(pairs.buffer, 0, 16 * count));
    count = 0;
  };
  prototype.exec = function (this: Database, sql: string): Database {
    if (sql !== "COMMIT" || !this.name.endsWith("records.db")) return exec.call(this, sql);
    if (newest === undefined) {
      newest = this.prepare("SELECT max(n) FROM record").pluck();
      writeFileSync(`${file}.thread`, readlinkSync("/proc/thread-self"));
      setInterval(flush, FLUSH_MS).unref();
      process.on("exit", flush);
    }
    const row = newest.get() as number | null;
    exec.call(this, sql);
    pairs[2 * count] = row ?? 0;
    pairs[2 * count + 1] = Number(process.hrtime.bigint() / 1000n);
    count += 1;
    if (count === BUFFERED) flush();
    return this;
  };
}

if (path !== undefined) {
  onDatabase((prototype) => watch(prototype, path));
  // The counters of a process end with it, and the last checkpoint is written just before.
  if (isMainThread) process.on("exit", () => writeFileSync(`${path}.${process.pid}.io`, readFileSync("/proc/self/io")));
}
