import { parentPort, workerData } from "node:worker_threads";
import Sqlite from "better-sqlite3";

export interface WriterOptions {
  readonly path: string;
  /** Says how many batches each transaction made durable. */
  readonly tells: boolean;
}

const { path, tells } = workerData as WriterOptions;
const database = new Sqlite(path);
database.pragma("journal_mode = WAL");
database.pragma("synchronous = FULL");
database.exec("CREATE TABLE record (n INTEGER PRIMARY KEY, time INT, body TEXT)");
database.exec("CREATE INDEX record_time ON record (time)");
const insert = database.prepare("INSERT INTO record (time, body) VALUES (?, ?)");

interface Batch {
  readonly times: number[];
  readonly bodies: string[];
}
let queued: Batch[] = [];

/** Everything that is queued goes into one transaction; the slower the disk, the larger it gets. */
function commit(): void {
  const batches = queued;
  queued = [];
  database.exec("BEGIN");
  for (const { times, bodies } of batches) {
    for (let at = 0; at < bodies.length; at++) insert.run(times[at], bodies[at]);
  }
  database.exec("COMMIT");
  if (tells) parentPort?.postMessage(batches.length);
}

parentPort?.on("message", (message: Batch | "end") => {
  if (message === "end") {
    if (queued.length > 0) commit();
    database.close();
    parentPort?.close();
    return;
  }
  queued.push(message);
  if (queued.length === 1) setImmediate(() => queued.length > 0 && commit());
});
