import { mkdirSync } from "node:fs";
import { PGlite, types } from "@electric-sql/pglite";
import type { Database, Query } from "./database.ts";

/** PostgreSQL inside this process, in a folder: for fleets of a few gateways. One process at a time. */
export async function openPglite(folder: string): Promise<Database> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const database = await PGlite.create(folder, {
    // Written to the disk before a transaction is over; by default it only would be some time later.
    relaxedDurability: false,
    parsers: { [types.INT8]: Number, [types.BYTEA]: (text: string) => Buffer.from(text.slice(2), "hex") },
  });
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
