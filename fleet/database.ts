import { FleetError } from "./errors.ts";

/** Rows by the names of their columns; bigint columns are numbers, bytea are buffers. */
export type Row = Readonly<Record<string, unknown>>;

export interface Query {
  query<T extends object = Row>(sql: string, parameters?: readonly unknown[]): Promise<T[]>;
}

/** PostgreSQL, or PGlite in this process: the same SQL for both. */
export interface Database extends Query {
  /** One transaction on one connection; rolled back when `work` rejects. */
  transaction<T>(work: (query: Query) => Promise<T>): Promise<T>;
  /** Several statements without parameters. */
  execute(sql: string): Promise<void>;
  close(): Promise<void>;
}

/** Classes of SQLSTATE: data, integrity, limits of the program. All others may be over in a moment. */
const REFUSALS = /^(?:22|23|54)[0-9A-Z]{3}$/;

/** Whether the database answered, and will never take this. */
export function isRefusal(error: unknown): boolean {
  if (error instanceof FleetError) return error.code === "FLEET_SCATTERED";
  return REFUSALS.test(String((error as { code?: unknown } | undefined)?.code));
}
