import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { FleetServerConfig } from "../config/fleet-server.ts";
import type { Database } from "./database.ts";
import { FleetError } from "./errors.ts";
import { lockFolder } from "./folder-lock.ts";
import { migrate } from "./schema.ts";

export interface FleetPlace {
  readonly config: FleetServerConfig;
  /** Relative paths mean this folder. */
  readonly baseDirectory: string;
}

/** The folder of an embedded database; undefined where it is a server. */
export function pgliteFolder({ config, baseDirectory }: FleetPlace): string | undefined {
  const [, folder] = /^pglite:\/\/(.+)$/.exec(config.database) ?? [];
  return folder === undefined ? undefined : resolve(baseDirectory, folder);
}

/** Opens the fleet's database and brings its tables to today's. Which library it takes is loaded only then. */
export async function openDatabase(place: FleetPlace): Promise<Database> {
  const folder = pgliteFolder(place);
  let database: Database | undefined;
  try {
    if (folder === undefined) {
      const { openPostgres } = await import("./postgres.ts");
      database = openPostgres(place.config.database, passwordOf(place));
    } else database = await openEmbedded(folder);
    await migrate(database);
    return database;
  } catch (cause) {
    // Why it could not be opened is what is told, not how it closed.
    await database?.close().catch(() => undefined);
    if (cause instanceof FleetError) throw cause;
    const where = folder ?? place.config.database.replace(/\/\/[^@/]*@/, "//");
    const hint = "Is the server there, and may this user make tables in the database?";
    throw new FleetError("FLEET_DATABASE", { database: where }, { cause, ...(folder === undefined ? { hint } : {}) });
  }
}

/** The embedded database, for this process alone until it is closed. */
async function openEmbedded(folder: string): Promise<Database> {
  const lock = lockFolder(folder);
  try {
    const { openPglite } = await import("./pglite.ts");
    const database = await openPglite(folder);
    return { ...database, close: () => database.close().finally(lock.release) };
  } catch (error) {
    lock.release();
    throw error;
  }
}

function passwordOf({ config, baseDirectory }: FleetPlace): string | undefined {
  if (config.databasePasswordFile === undefined) return undefined;
  return readFileSync(resolve(baseDirectory, config.databasePasswordFile), "utf8").trim();
}
