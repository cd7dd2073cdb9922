import type { Schema } from "./migrations.ts";

/**
 * The log and its projections. Rows of `record` are only ever appended, so pages fill, and it has one index, since each
 * index is paid for in flash. All else can be made again from the log, or is bounded state that goes with it.
 */
export const recordsSchema: Schema = {
  applicationId: 0x486f6c64,
  migrations: [
    {
      to: 1,
      sql: `
        CREATE TABLE epoch (
          ordinal INTEGER PRIMARY KEY, id BLOB NOT NULL, previous BLOB, bootId TEXT NOT NULL, fingerprint TEXT NOT NULL,
          startedWallMs INT NOT NULL, startedBootMs INT NOT NULL, reason TEXT NOT NULL);
        CREATE TABLE record (
          n INTEGER PRIMARY KEY, epoch INT NOT NULL, stream INT NOT NULL, seq INT NOT NULL, id BLOB NOT NULL,
          kind INT NOT NULL, agent INT NOT NULL, wallMs INT NOT NULL, body TEXT NOT NULL, hash BLOB NOT NULL);
        CREATE UNIQUE INDEX record_position ON record (epoch, stream, seq);
        CREATE TABLE agent (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
        CREATE TABLE tally (agent INTEGER PRIMARY KEY, minute INT NOT NULL, firstN INT, lastN INT, counters TEXT NOT NULL);
        CREATE TABLE total (agent INTEGER PRIMARY KEY, counters TEXT NOT NULL);
        CREATE TABLE reading (n INTEGER PRIMARY KEY, newestMs INT NOT NULL, body BLOB NOT NULL);
        CREATE TABLE windowCheckpoint (agent INT, key TEXT, blob BLOB NOT NULL, UNIQUE (agent, key));
        CREATE TABLE ruleState (agent INT, key TEXT, rule TEXT, state TEXT NOT NULL, PRIMARY KEY (agent, key, rule)) WITHOUT ROWID;
        CREATE TABLE seen (n INTEGER PRIMARY KEY, count INT NOT NULL, body TEXT NOT NULL);
        CREATE TABLE dropped (
          epoch INT, stream INT, toSeq INT NOT NULL, deletedSeq INT NOT NULL, chain BLOB, rows INT NOT NULL, bytes INT NOT NULL,
          PRIMARY KEY (epoch, stream)) WITHOUT ROWID;
        CREATE TABLE streamSize (stream INTEGER PRIMARY KEY, rows INT NOT NULL, bytes INT NOT NULL);
        CREATE TABLE ageMark (n INTEGER PRIMARY KEY, lifeMs INT NOT NULL);
        CREATE TABLE gap (n INTEGER PRIMARY KEY, fromMs INT NOT NULL, toMs INT NOT NULL, reason TEXT NOT NULL);
        CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;`,
    },
    {
      to: 2,
      sql: `
        CREATE TABLE action (
          id BLOB PRIMARY KEY, decision BLOB, n INT NOT NULL, intentN INT, lastN INT NOT NULL, approvals TEXT NOT NULL,
          open INT NOT NULL) WITHOUT ROWID;
        CREATE INDEX action_open ON action (id) WHERE open = 1;
        CREATE TABLE limitState (scope TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID;`,
    },
    {
      to: 3,
      sql: `
        CREATE TABLE acknowledged (
          epoch INT, stream INT, contiguous INT NOT NULL, ranges TEXT NOT NULL, PRIMARY KEY (epoch, stream)) WITHOUT ROWID;`,
    },
  ],
};

/** What must outlive the log: which generation runs, who may do what. Small, rarely written, copied at each change. */
export const controlSchema: Schema = {
  applicationId: 0x486f6c63,
  migrations: [
    {
      to: 1,
      sql: `
        CREATE TABLE generation (id TEXT PRIMARY KEY, origin TEXT NOT NULL, createdAt INT NOT NULL, files TEXT NOT NULL);
        CREATE TABLE mode (scope TEXT PRIMARY KEY, mode TEXT NOT NULL);
        CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);`,
    },
    {
      to: 2,
      sql: "CREATE TABLE inbox (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, expiresAt INT NOT NULL);",
    },
  ],
};
