import { StoreError } from "./errors.ts";
import type { Database } from "./sqlite-writer.ts";

export interface Migration {
  readonly to: number;
  readonly sql: string;
}

export interface Schema {
  readonly applicationId: number;
  readonly migrations: readonly Migration[];
}

export function isFresh(database: Database): boolean {
  const tables = database.prepare("SELECT count(*) FROM sqlite_schema").pluck().get();
  return tables === 0 && database.pragma("user_version", { simple: true }) === 0;
}

/** Brings a database to today's schema, each step in its own transaction; refuses what is newer or not ours. */
export function migrate(database: Database, schema: Schema): void {
  const newest = schema.migrations.at(-1)?.to ?? 0;
  if (!isFresh(database)) {
    const applicationId = database.pragma("application_id", { simple: true });
    if (applicationId !== schema.applicationId)
      throw new StoreError("STORE_FOREIGN", { file: database.name, applicationId });
  }
  const version = Number(database.pragma("user_version", { simple: true }));
  if (version > newest) {
    const hint = "Install the version that wrote it, or restore the backup that was made before it was upgraded.";
    throw new StoreError("STORE_NEWER", { file: database.name, version, newest }, { hint });
  }
  for (const step of schema.migrations) {
    if (step.to <= version) continue;
    database.exec("BEGIN IMMEDIATE");
    try {
      database.exec(step.sql);
      database.pragma(`application_id = ${schema.applicationId}`);
      database.pragma(`user_version = ${step.to}`);
      database.exec("COMMIT");
    } catch (error) {
      if (database.inTransaction) database.exec("ROLLBACK");
      throw error;
    }
  }
}
