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
