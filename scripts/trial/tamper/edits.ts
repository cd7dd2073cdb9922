import { type Edit, hashOf, pick, rowsOf } from "./tools.ts";

const NUMBERS = ["n", "epoch", "stream", "seq", "kind", "agent", "wallMs"] as const;
const BYTES = ["id", "hash", "body"] as const;

const flipNumber: Edit = {
  name: "a bit in a number",
  apply(database, random) {
    const { n } = pick(rowsOf(database), random);
    const column = pick(NUMBERS, random);
    const bit = 2 ** Math.floor(random() * (column === "wallMs" ? 41 : 9));
    const sql = `UPDATE record SET ${column} = (${column} | ${bit}) - (${column} & ${bit}) WHERE n = ${n}`;
    database.exec(sql);
  },
};

const flipByte: Edit = {
  name: "a bit in an id, a hash or a body",
  apply(database, random) {
    const { n } = pick(rowsOf(database), random);
    const column = pick(BYTES, random);
    const bytes = database.prepare(`SELECT CAST(${column} AS BLOB) FROM record WHERE n = ?`).pluck().get(n) as Buffer;
    const at = Math.floor(random() * bytes.length);
    bytes[at] = (bytes[at] as number) ^ (1 << Math.floor(random() * 8));
    const as = column === "body" ? "CAST(? AS TEXT)" : "?";
    database.prepare(`UPDATE record SET ${column} = ${as} WHERE n = ?`).run(bytes, n);
  },
};

const retype: Edit = {
  name: "a value of another type",
  apply(database, random) {
    const { n } = pick(rowsOf(database), random);
    const column = pick([...NUMBERS.slice(1), ...BYTES], random);
    const value = pick(["'x'", "1.5", "CAST(body AS BLOB)", "x'00'", "-1", "9e18", "''"], random);
    database.exec(`UPDATE record SET ${column} = ${value} WHERE n = ${n}`);
  },
};

const remove: Edit = {
  name: "rows deleted",
  apply(database, random) {
    const { n } = pick(rowsOf(database), random);
    const many = Math.floor(random() ** 3 * 30);
    database.exec(`DELETE FROM record WHERE n >= ${n} AND n <= ${n + many}`);
  },
};

const removeStream: Edit = {
  name: "the rows of a stream deleted, all or to one end",
  apply(database, random) {
    const { epoch, stream, seq } = pick(rowsOf(database), random);
    const where = `epoch = ${epoch} AND stream = ${stream}`;
    const part = pick(["", ` AND seq >= ${seq}`, ` AND seq <= ${seq}`], random);
    database.exec(`DELETE FROM record WHERE ${where}${part}`);
  },
};

const removeEpoch: Edit = {
  name: "a whole start deleted",
  apply(database, random) {
    const { epoch } = pick(rowsOf(database), random);
    database.exec(`DELETE FROM record WHERE epoch = ${epoch}`);
    if (random() < 0.7) database.exec(`DELETE FROM epoch WHERE ordinal = ${epoch}`);
    if (random() < 0.2)
      database.exec(`DELETE FROM record WHERE epoch > ${epoch}; DELETE FROM epoch WHERE ordinal > ${epoch}`);
  },
};

const truncate: Edit = {
  name: "the end cut off",
  apply(database, random) {
    const { n } = pick(rowsOf(database), random);
    database.exec(`DELETE FROM record WHERE n >= ${n}`);
    if (random() < 0.5) database.exec("DELETE FROM epoch WHERE ordinal NOT IN (SELECT epoch FROM record)");
  },
};

const swap: Edit = {
  name: "two rows exchanged",
  apply(database, random) {
    const rows = rowsOf(database);
    const a = pick(rows, random);
    const near = rows.filter((row) => row.n !== a.n && Math.abs(row.n - a.n) < 12);
    const b = pick(random() < 0.6 && near.length > 0 ? near : rows, random);
    const columns = pick(
      [
        ["n"],
        ["seq"],
        ["epoch", "stream", "seq"],
        ["id", "kind", "agent", "wallMs", "body", "hash"],
        ["body", "hash"],
        ["hash"],
        ["wallMs"],
        ["agent"],
      ],
      random,
    );
    const read = database.prepare(`SELECT ${columns.join(", ")} FROM record WHERE n = ?`).raw();
    const [left, right] = [read.get(a.n) as unknown[], read.get(b.n) as unknown[]];
    const set = columns.map((name) => `${name} = ?`).join(", ");
    const put = database.prepare(`UPDATE record SET ${set} WHERE n = ?`);
    if (columns.includes("n")) {
      put.run(-1, a.n);
      put.run(a.n, b.n);
      put.run(b.n, -1);
      return;
    }
    if (columns.includes("seq")) database.exec(`UPDATE record SET seq = -1 WHERE n = ${a.n}`);
    put.run(...left, b.n);
    put.run(...right, a.n);
  },
};

const shift: Edit = {
  name: "a run of rows moved up",
  apply(database, random) {
    const { n, epoch, stream, seq } = pick(rowsOf(database), random);
    const by = 1 + Math.floor(random() * 3);
    const moves = [
      `UPDATE record SET n = -n - ${by} WHERE n >= ${n}; UPDATE record SET n = -n WHERE n < 0`,
      `UPDATE record SET seq = -seq - ${by} WHERE epoch = ${epoch} AND stream = ${stream} AND seq >= ${seq}; UPDATE record SET seq = -seq WHERE seq < 0`,
      `UPDATE record SET wallMs = wallMs + ${by} WHERE n >= ${n}`,
      `UPDATE record SET epoch = epoch + ${by} WHERE n >= ${n}`,
    ];
    database.exec(pick(moves, random));
  },
};

const insert: Edit = {
  name: "a row put in",
  apply(database, random) {
    const row = pick(rowsOf(database), random);
    const at = pick(rowsOf(database), random);
    const body = random() < 0.5 ? row.body : row.body.replace(/\}$/, `,"more":${Math.floor(random() * 1000)}}`);
    const select = `epoch, stream, ?, id, kind, agent, wallMs, ?, ? FROM record WHERE n = ${row.n}`;
    const put = (n: number, seq: number): unknown =>
      database.prepare(`INSERT INTO record SELECT ${n}, ${select}`).run(seq, body, hashOf(body));
    const last = rowsOf(database).at(-1)?.n ?? 0;
    if (random() < 0.4) {
      const next = `SELECT max(seq) + 1 FROM record WHERE epoch = ${row.epoch} AND stream = ${row.stream}`;
      put(last + 1, database.prepare(next).pluck().get() as number);
      return;
    }
    const { n, epoch, stream, seq } = at;
    database.exec(`
      UPDATE record SET n = -n - 1 WHERE n >= ${n}; UPDATE record SET n = -n WHERE n < 0;
      UPDATE record SET seq = -seq - 1 WHERE epoch = ${epoch} AND stream = ${stream} AND seq >= ${seq};
      UPDATE record SET seq = -seq WHERE seq < 0`);
    database
      .prepare(
        `INSERT INTO record SELECT ${n}, ${epoch}, ${stream}, ${seq}, id, kind, agent, wallMs, ?, ? FROM record WHERE n = ?`,
      )
      .run(body, hashOf(body), row.n >= n ? row.n + 1 : row.n);
  },
};

const tables: Edit = {
  name: "the tables of starts and agents",
  apply(database, random) {
    const ordinal = pick(rowsOf(database), random).epoch;
    const sql = [
      `UPDATE epoch SET reason = 'recovered' WHERE ordinal = ${ordinal}`,
      `UPDATE epoch SET id = randomblob(8) WHERE ordinal = ${ordinal}`,
      `UPDATE epoch SET previous = randomblob(8) WHERE ordinal = ${ordinal}`,
      `UPDATE epoch SET startedWallMs = startedWallMs + 1 WHERE ordinal = ${ordinal}`,
      `UPDATE epoch SET fingerprint = 'other' WHERE ordinal = ${ordinal}`,
      `UPDATE epoch SET bootId = 'other' WHERE ordinal = ${ordinal}`,
      `DELETE FROM epoch WHERE ordinal = ${ordinal}`,
      `INSERT INTO epoch SELECT ordinal + 10, randomblob(8), id, bootId, fingerprint, startedWallMs, startedBootMs, reason FROM epoch WHERE ordinal = ${ordinal}`,
      `UPDATE agent SET name = name || 'x' WHERE number = ${1 + Math.floor(random() * 2)}`,
      "UPDATE agent SET number = 3 - number + 10",
      `DELETE FROM agent WHERE number = ${1 + Math.floor(random() * 2)}`,
    ];
    database.exec(pick(sql, random));
  },
};

/** What is done to rows and tables as they are. */
export const edits: readonly Edit[] = [
  flipNumber,
  flipByte,
  retype,
  remove,
  removeStream,
  removeEpoch,
  truncate,
  swap,
  shift,
  insert,
  tables,
];
