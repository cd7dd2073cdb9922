import pg from "pg";
import type { Database, Query } from "./database.ts";

const CONNECT_TIMEOUT_MS = 10_000;
const STATEMENT_TIMEOUT_MS = 120_000;
/** For a server that is gone without a word, which can not end the statement itself. */
const ANSWER_TIMEOUT_MS = 150_000;
const INT8 = 20;

/** A PostgreSQL server. A transaction that a collector was told of is on its disk: synchronous_commit is on. */
export function openPostgres(url: string, password: string | undefined, most = 6): Database {
  const types = { getTypeParser: parserOf as typeof pg.types.getTypeParser };
  const pool = new pg.Pool({
    ...{ connectionString: url, max: most, types, application_name: "holdfast-fleet" },
    ...{ connectionTimeoutMillis: CONNECT_TIMEOUT_MS, statement_timeout: STATEMENT_TIMEOUT_MS, keepAlive: true },
    query_timeout: ANSWER_TIMEOUT_MS,
    options: "-c synchronous_commit=on",
    ...(password === undefined ? {} : { password }),
  });
  // An idle connection that breaks is replaced by the next use; without a listener it would end the process.
  pool.on("error", () => undefined);
  return {
    query: async <T extends object>(sql: string, parameters: readonly unknown[] = []) =>
      (await pool.query(sql, [...parameters])).rows as T[],
    execute: async (sql) => void (await pool.query(sql)),
    transaction: async (work) => await inTransaction(pool, work),
    close: () => pool.end(),
  };
}

async function inTransaction<T>(pool: pg.Pool, work: (query: Query) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  // A connection that breaks also says so by itself; what was under way is told by its own promise.
  const note = (error: Error): void => {
    broken = error;
  };
  client.on("error", note);
  try {
    await client.query("BEGIN");
    const done = await work({
      query: async <R extends object>(sql: string, parameters: readonly unknown[] = []) =>
        (await client.query(sql, [...parameters])).rows as R[],
    });
    await client.query("COMMIT");
    return done;
  } catch (error) {
    await client.query("ROLLBACK").catch((cause: Error) => {
      broken = cause;
    });
    throw error;
  } finally {
    client.off("error", note);
    client.release(broken);
  }
}

function parserOf(type: number, format?: "text" | "binary") {
  if (type === INT8) return Number;
  return format === undefined ? pg.types.getTypeParser(type) : pg.types.getTypeParser(type, format as "text");
}
