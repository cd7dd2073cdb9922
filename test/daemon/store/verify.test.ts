import { createHash } from "node:crypto";
import { cpSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { verifyLog } from "../../../daemon/store/verify.ts";
import { inside, MovableClock, openTestStore, put, temporaryDirectory } from "./support.ts";

const original = temporaryDirectory();
const copies = temporaryDirectory();
let copied = 0;

interface Place {
  n: number;
  epoch: number;
  stream: number;
  seq: number;
}

let places: Place[] = [];

/** Three epochs: two that were closed, with minutes between; each stream has rows. */
beforeAll(async () => {
  const source = temporaryDirectory();
  const clock = new MovableClock();
  for (let epoch = 0; epoch < 3; epoch++) {
    const { store } = await openTestStore(source, {}, clock);
    for (let minute = 0; minute < 3; minute++) {
      put(store, 7, { epoch, minute }, 1, clock.wallMs());
      put(store, 4, { epoch, minute }, 2, clock.wallMs());
      await store.flush();
      clock.aheadMs += 61_000;
      store.minute();
    }
    await store.stop();
  }
  cpSync(source, original, { recursive: true });
  places = inside(original, (db) => db.prepare("SELECT n, epoch, stream, seq FROM record ORDER BY n").all()) as Place[];
});

afterAll(() => {
  for (const directory of [original, copies]) rmSync(directory, { recursive: true, force: true });
});

/** A copy of the log, changed by somebody with SQL, and what verification says of it. */
function changed(sql: (place: Place, db: Parameters<Parameters<typeof inside>[1]>[0]) => void, at: number) {
  copied += 1;
  const directory = join(copies, String(copied));
  mkdirSync(directory);
  for (const file of ["records.db", "position.json"]) cpSync(join(original, file), join(directory, file));
  const place = places[at % places.length] as Place;
  inside(directory, (db) => sql(place, db), false);
  const result = verifyLog({ directory });
  rmSync(directory, { recursive: true });
  return { place, result };
}

const anyRow = fc.nat({ max: 100_000 });

test("a log that nobody touched verifies", () => {
  const { result } = changed(() => {}, 0);
  expect(result).toMatchObject({ ok: true, epochs: 3, rows: places.length, bad: undefined });
});

test("finds any edited body and names its row", () => {
  fc.assert(
    fc.property(anyRow, fc.nat(), (at, byte) => {
      const { place, result } = changed((row, db) => {
        const body = db.prepare("SELECT body FROM record WHERE n = ?").pluck().get(row.n) as string;
        const where = byte % body.length;
        const other = body[where] === "7" ? "8" : "7";
        db.prepare("UPDATE record SET body = ? WHERE n = ?").run(
          body.slice(0, where) + other + body.slice(where + 1),
          row.n,
        );
      }, at);
      expect(result.bad).toMatchObject({ ...place, what: "edited" });
    }),
    { numRuns: 60 },
  );
});

test("finds a body that was rewritten together with its hash, between two chain heads", () => {
  fc.assert(
    fc.property(anyRow, (at) => {
      const { place, result } = changed((row, db) => {
        const body = (db.prepare("SELECT body FROM record WHERE n = ?").pluck().get(row.n) as string).replace(
          /\}$/,
          ',"forged":1}',
        );
        const hash = createHash("sha256").update(body).digest().subarray(0, 16);
        db.prepare("UPDATE record SET body = ?, hash = ? WHERE n = ?").run(body, hash, row.n);
      }, at);
      // Nothing vouches for the last row of all but its own hash: it is the one that closes the log.
      if (place.n === places.at(-1)?.n) return;
      expect(result.ok).toBe(false);
      expect(result.bad?.epoch).toBe(place.epoch);
      expect(result.bad?.stream).toBe(place.stream);
      expect(result.bad?.seq).toBeLessThanOrEqual(place.seq);
      expect(result.bad?.toSeq ?? place.seq).toBeGreaterThanOrEqual(place.seq);
    }),
    { numRuns: 60 },
  );
});

test("finds any deleted row", () => {
  for (let at = 0; at < places.length; at++) {
    const { place, result } = changed((row, db) => db.prepare("DELETE FROM record WHERE n = ?").run(row.n), at);
    expect(result.bad).toMatchObject({ epoch: place.epoch, stream: place.stream, seq: place.seq });
    expect(["missing", "truncated"]).toContain(result.bad?.what);
  }
});

test("finds a row that was put in after an epoch was closed", () => {
  for (const epoch of [1, 2, 3]) {
    for (const stream of [0, 1, 2, 3]) {
      const { result } = changed((_row, db) => {
        db.exec(`INSERT INTO record SELECT (SELECT max(n) + 1 FROM record), epoch, stream, seq + 1, id, kind, agent, wallMs, body, hash
                 FROM record WHERE epoch = ${epoch} AND stream = ${stream} ORDER BY seq DESC LIMIT 1`);
      }, 0);
      expect(result.bad).toMatchObject({ what: "inserted", epoch, stream });
    }
  }
});

test("finds a row that was put in between others, which moved up", () => {
  for (let at = 0; at < places.length; at++) {
    const { place, result } = changed((row, db) => {
      db.exec(`
        UPDATE record SET seq = -seq - 1 WHERE epoch = ${row.epoch} AND stream = ${row.stream} AND seq >= ${row.seq};
        UPDATE record SET seq = -seq WHERE seq < 0;
        UPDATE record SET n = -n - 1 WHERE n >= ${row.n};
        UPDATE record SET n = -n WHERE n < 0;
        INSERT INTO record SELECT ${row.n}, epoch, stream, ${row.seq}, id, kind, agent, wallMs, body, hash FROM record WHERE n = ${row.n} + 1;`);
    }, at);
    expect(result, `row ${place.n}`).toMatchObject({ ok: false, bad: { epoch: place.epoch } });
    expect(result.bad?.seq).toBeLessThanOrEqual(place.seq + 1);
  }
});

test("finds two rows that changed places, whether by their position or by their content", () => {
  const columns = ["seq", "id, kind, agent, wallMs, body, hash"];
  fc.assert(
    fc.property(anyRow, fc.constantFrom(...columns), (at, kind) => {
      const row = places[at % places.length] as Place;
      const next = places.find(
        (one) => one.epoch === row.epoch && one.stream === row.stream && one.seq === row.seq + 1,
      );
      if (next === undefined) return;
      const { result } = changed((_row, db) => {
        const names = kind.split(", ");
        const read = db.prepare(`SELECT ${kind} FROM record WHERE n = ?`).raw();
        const [a, b] = [read.get(row.n) as unknown[], read.get(next.n) as unknown[]];
        const write = db.prepare(`UPDATE record SET ${names.map((name) => `${name} = ?`).join(", ")} WHERE n = ?`);
        if (kind === "seq") write.run(-1, row.n);
        write.run(...a, next.n);
        write.run(...b, row.n);
      }, at);
      // The last two rows of the log are vouched for by nothing but themselves when their content is exchanged.
      if (kind !== "seq" && next.n === places.at(-1)?.n) return;
      expect(result.ok).toBe(false);
      expect(result.bad?.seq).toBeLessThanOrEqual(row.seq + 1);
    }),
    { numRuns: 60 },
  );
});

test("finds columns that were changed without their body", () => {
  for (const sql of ["id = randomblob(16)", "kind = 9", "agent = 2"]) {
    const at = places.findIndex((place) => place.stream === 1);
    const { place, result } = changed((row, db) => db.exec(`UPDATE record SET ${sql} WHERE n = ${row.n}`), at);
    expect(result.bad).toMatchObject({ ...place, what: "edited" });
  }
});

test("says how far it has come", () => {
  const seen: number[] = [];
  verifyLog({ directory: original, progress: (done) => seen.push(done) });
  expect(seen.at(-1)).toBe(places.length);
});

test("a log that is being written, and of which old rows go, verifies at any moment", async () => {
  const { store, directory, failures } = await openTestStore(undefined, { maxBytes: 1_200_000 });
  let rows = 0;
  for (let round = 0; round < 40; round++) {
    put(store, 150, { text: "x".repeat(300), round }, round % 2 === 0 ? 1 : 2);
    if (round % 3 === 0) store.minute();
    await store.flush();
    put(store, 50, { round });
    // The writer's thread goes on while this one verifies.
    const result = verifyLog({ directory });
    expect(result.bad, JSON.stringify(result.others)).toBeUndefined();
    rows = Math.max(rows, result.droppedRows);
  }
  expect(rows).toBeGreaterThan(500);
  expect(failures).toEqual([]);
  await store.stop();
});
