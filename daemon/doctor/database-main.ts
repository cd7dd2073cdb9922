import { existsSync, statSync } from "node:fs";
import { StoreError } from "../store/errors.ts";
import { storeFiles } from "../store/files.ts";
import { controlMeta } from "../store/queries.ts";
import { controlSchema, recordsSchema } from "../store/schema.ts";
import { openForReading, type ReadDatabase, translate } from "../store/sqlite-reader.ts";
import { openForWriting } from "../store/sqlite-writer.ts";
import { outboxIn } from "../store/uplink-queries.ts";
import { verifyLog } from "../store/verify.ts";
import type { DatabaseFact } from "./database.ts";

/**
 * Looks at the databases of a data directory, in a process that can be ended whatever the disk does: what it has found
 * out by then counts. `database-main DIRECTORY`.
 */
const directory = process.argv[2] ?? ".";
const files = storeFiles(directory);
const tell = (fact: DatabaseFact): void => void process.send?.(fact);

function opened(about: "records" | "control", path: string, look: (database: ReadDatabase) => void): void {
  if (!existsSync(path)) {
    tell({ about, kind: "missing" });
    return;
  }
  let database: ReadDatabase | undefined;
  try {
    database = openForReading(path, about === "records" ? recordsSchema : controlSchema);
    look(database);
  } catch (thrown) {
    const error = translate(thrown, path);
    const code = error instanceof StoreError ? error.code : "STORE_QUERY";
    const { sqlite, version, newest } = (error as Partial<StoreError>).detail ?? {};
    const because = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
    tell({
      about,
      kind: "failed",
      code,
      found: version === undefined ? because : `version ${version}, this program knows ${newest}`,
      sqlite: String(sqlite ?? ""),
    });
  } finally {
    database?.close();
  }
}

/**
 * A log that nobody has open gets an empty WAL by being read, and only who may write can take it away again: SQLite does so
 * itself, with the locks that it takes, when the last connection closes. There is nothing in it to be written.
 */
function tidy(wal: string): void {
  if (statSync(wal, { throwIfNoEntry: false })?.size !== 0) return;
  try {
    const database = openForWriting(files.records);
    database.pragma("user_version");
    database.close();
  } catch {
    // No right to write, or damage: two empty files stay, which the next start takes away.
  }
}

opened("control", files.control, (database) => {
  const said = String(database.pragma("quick_check(1)", { simple: true }));
  const version = Number(database.pragma("user_version", { simple: true }));
  const modes = Object.fromEntries(database.prepare("SELECT scope, mode FROM mode").raw().all() as [string, string][]);
  tell({ about: "control", kind: "read", version, said });
  tell({ about: "kept", modes, latch: controlMeta(files.control)["latch"] });
});
let isSound = false;
const wal = `${files.records}-wal`;
const hadWal = existsSync(wal);
opened("records", files.records, (database) => {
  const version = Number(database.pragma("user_version", { simple: true }));
  const newest = database.prepare("SELECT n, wallMs FROM record ORDER BY n DESC LIMIT 1").get();
  const { n, wallMs } = (newest ?? { n: 0, wallMs: undefined }) as { n: number; wallMs: number | undefined };
  tell({ about: "newest", rows: n, wallMs });
  tell({ about: "outbox", streams: outboxIn(database) });
  const said = String(database.pragma("quick_check(1)", { simple: true }));
  tell({ about: "records", kind: "read", version, said });
  isSound = said === "ok";
});
if (isSound) {
  try {
    const { ok, rows, bad } = verifyLog({ directory });
    tell({
      about: "audit",
      ok,
      rows,
      found: bad === undefined ? "" : `${bad.what} at epoch ${bad.epoch}, n ${bad.n ?? "?"}: ${bad.detail}`,
    });
  } catch (error) {
    tell({ about: "audit", ok: undefined, rows: 0, found: error instanceof Error ? error.message : String(error) });
  }
}
if (!hadWal) tidy(wal);
process.disconnect?.();
