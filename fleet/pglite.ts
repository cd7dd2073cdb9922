import { closeSync, fsyncSync, mkdirSync, openSync } from "node:fs";
import { PGlite, types } from "@electric-sql/pglite";
import { NodeFS } from "@electric-sql/pglite/nodefs";
import type { Database, Query } from "./database.ts";
import { FleetError } from "./errors.ts";

/** What of PGlite's file system is reached into: it has no fsync of its own. */
interface Files {
  realPath(node: unknown): string;
  readonly stream_ops: { fsync?: (stream: { readonly nfd?: number; readonly node: unknown }) => number };
  readonly node_ops: { rename: (from: unknown, folder: unknown, name: string) => void };
}

/**
 * PGlite starts PostgreSQL with -F (no fsync), and its fdatasync does nothing: COMMIT would only reach the cache of the
 * operating system, and a power cut would take records that a gateway was told are stored.
 */
const START = [...PGlite.defaultStartParams.filter((one) => one !== "-F"), "-c", "wal_sync_method=fsync"];

/** PostgreSQL inside this process, in a folder: for fleets of a few gateways. One process at a time. */
export async function openPglite(folder: string): Promise<Database> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const synced = { count: 0 };
  const database = await PGlite.create({
    ...{ fs: durableFiles(folder, synced), startParams: START, relaxedDurability: false },
    parsers: { [types.INT8]: Number, [types.BYTEA]: (text: string) => Buffer.from(text.slice(2), "hex") },
  });
  await checkDurable(database, folder, synced);
  return {
    query: async <T extends object>(sql: string, parameters: readonly unknown[] = []) =>
      (await database.query<T>(sql, [...parameters])).rows,
    execute: async (sql) => void (await database.exec(sql)),
    transaction: async <T>(work: (query: Query) => Promise<T>) =>
      await database.transaction((transaction) =>
        work({
          query: async <R extends object>(sql: string, parameters: readonly unknown[] = []) =>
            (await transaction.query<R>(sql, [...parameters])).rows,
        }),
      ),
    close: () => database.close(),
  };
}

/** The library's files in a folder, with an fsync that reaches the disk. */
function durableFiles(folder: string, synced: { count: number }): NodeFS {
  const files = new NodeFS(folder);
  const init = files.init.bind(files);
  files.init = async (database, options) => {
    const made = await init(database, options);
    made.emscriptenOpts.preRun?.push((module) => {
      const own = (module as unknown as { readonly NODEFS: Files }).NODEFS;
      own.stream_ops.fsync = ({ nfd, node }) => {
        if (nfd === undefined) syncFolder(own.realPath(node));
        else fsyncSync(nfd);
        synced.count += 1;
        return 0;
      };
      // PostgreSQL's own fsync of a folder after a rename does not come through here.
      const { rename } = own.node_ops;
      own.node_ops.rename = (from, into, name) => {
        rename(from, into, name);
        syncFolder(own.realPath(into));
      };
    });
    return made;
  };
  return files;
}

function syncFolder(path: string): void {
  const opened = openSync(path, "r");
  try {
    fsyncSync(opened);
  } finally {
    closeSync(opened);
  }
}

/** A newer version of the library may be built otherwise: better no database than one that forgets. */
async function checkDurable(database: PGlite, folder: string, synced: { readonly count: number }): Promise<void> {
  const before = synced.count;
  await database.query("SELECT pg_logical_emit_message(true, 'holdfast', 'is it on the disk?')");
  if (synced.count > before) return;
  await database.close();
  throw new FleetError("FLEET_DATABASE", { database: folder, reason: "a COMMIT does not reach the disk" });
}
