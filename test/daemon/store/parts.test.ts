import { existsSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Ballast } from "../../../daemon/store/ballast.ts";
import { type StartFacts, startReason } from "../../../daemon/store/discontinuity.ts";
import { machineFingerprint } from "../../../daemon/store/fingerprint.ts";
import { bodyHash, firstChain, Heads, nextChain } from "../../../daemon/store/heads.ts";
import { isFresh, migrate, type Schema } from "../../../daemon/store/migrations.ts";
import { OpenBatch } from "../../../daemon/store/open-batch.ts";
import { readPosition, writePosition } from "../../../daemon/store/position.ts";
import { recordsSchema } from "../../../daemon/store/schema.ts";
import { eachReading, packReadings, unpackReadings } from "../../../daemon/store/tables/reading.ts";
import { TallyTable } from "../../../daemon/store/tables/tally.ts";
import { temporaryDirectory } from "./support.ts";

describe("the chain", () => {
  test("as it is kept in memory is the one that is computed row by row", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat({ max: 3 }), fc.string({ unit: "binary" }))), (rows) => {
        const heads = new Heads();
        const plain = [0, 1, 2, 3].map(() => ({ seq: 0, chain: firstChain() as Buffer }));
        const hash = Buffer.alloc(16);
        for (const [stream, body] of rows) {
          const one = plain[stream] as { seq: number; chain: Buffer };
          one.seq += 1;
          one.chain = nextChain(one.chain, bodyHash(body));
          expect(heads.add(stream, body, hash)).toBe(one.seq);
          expect(hash.equals(bodyHash(body))).toBe(true);
        }
        for (const stream of [0, 1, 2, 3])
          expect(heads.chain(stream).equals(plain[stream]?.chain ?? Buffer.alloc(0))).toBe(true);
      }),
    );
  });

  test("goes back to where it was when a transaction is rolled back", () => {
    const heads = new Heads();
    const hash = Buffer.alloc(16);
    heads.add(1, "a", hash);
    heads.save();
    const before = heads.list();
    heads.add(1, "b", hash);
    heads.add(2, "c", hash);
    heads.restore();
    expect(heads.list()).toEqual(before);
    expect(heads.add(1, "b", hash)).toBe(2);
  });
});

describe("the reading journal", () => {
  const value = fc.oneof(fc.double({ noNaN: true }), fc.string(), fc.boolean(), fc.constant(null));
  const reading = fc.record({
    key: fc.string(),
    timeMs: fc.integer(),
    arrivalMs: fc.integer(),
    values: fc.array(value, { minLength: 3, maxLength: 3 }),
  });

  test("gives back what was put in, whatever the values", () => {
    fc.assert(
      fc.property(fc.array(reading, { minLength: 1 }), (readings) => {
        const open = new OpenBatch(1);
        for (const one of readings) open.project({ kind: "reading", agent: 7, ...one });
        const [block] = open.batch.readings;
        if (block === undefined) throw new Error("no block");
        const back: unknown[] = [];
        eachReading([unpackReadings(7, packReadings(block))], 7, (key, timeMs, arrivalMs, values) =>
          back.push({ key, timeMs, arrivalMs, values }),
        );
        expect(back).toEqual(readings);
      }),
    );
  });

  test("takes some 40 bytes a reading", () => {
    const open = new OpenBatch(1);
    for (let at = 0; at < 64; at++) {
      open.project({ kind: "reading", agent: 1, key: `pump-${at % 8}`, timeMs: at, arrivalMs: at, values: [at] });
    }
    const [block] = open.batch.readings;
    expect(packReadings(block as NonNullable<typeof block>).length / 64).toBeLessThan(40);
  });
});

describe("the tally", () => {
  const minute = 60_000;
  const at = (n: number, counters: Record<string, number>) => ({
    minute: n * minute,
    agents: new Map([[1, new Map(Object.entries(counters))]]),
  });

  function table(): { database: Sqlite.Database; tally: TallyTable } {
    const database = new Sqlite(":memory:");
    migrate(database, recordsSchema);
    return { database, tally: new TallyTable(database) };
  }

  test("sums to what was counted, however minutes follow each other and whenever it is read again", () => {
    const step = fc.record({ minute: fc.nat({ max: 5 }), n: fc.nat({ max: 9 }), reload: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const { database, tally } = table();
        let rolled = 0;
        for (const one of steps) {
          for (const ended of tally.add(at(one.minute, { c: one.n }))) rolled += ended.counters.c ?? 0;
          tally.write();
          if (one.reload) tally.reload();
        }
        for (const ended of tally.endAll()) rolled += ended.counters.c ?? 0;
        const sum = steps.reduce((all, one) => all + one.n, 0);
        expect(rolled).toBe(sum);
        const total = database.prepare("SELECT counters FROM total").pluck().get() as string | undefined;
        expect(total === undefined ? 0 : JSON.parse(total).c).toBe(sum);
        expect(database.prepare("SELECT count(*) FROM tally").pluck().get()).toBe(0);
      }),
    );
  });

  test("a clock that goes back a little does not end the minute, one that goes back far does", () => {
    const { tally } = table();
    expect(tally.add(at(10, { c: 1 }))).toEqual([]);
    expect(tally.add(at(9, { c: 1 }))).toEqual([]);
    expect(tally.add(at(2, { c: 1 }))).toMatchObject([{ minute: 10 * minute, counters: { c: 2 } }]);
  });
});

describe("the reason of a start", () => {
  const previous = { ordinal: 4, closed: true, bootId: "b", fingerprint: "f" };
  const facts: StartFacts = {
    previous,
    lastN: 90,
    known: { ordinal: 4, n: 90 },
    quarantined: false,
    wentBack: false,
    bootId: "b",
    fingerprint: "f",
  };

  test.each<[string, Partial<StartFacts>]>([
    ["clean", {}],
    ["crash", { previous: { ...previous, closed: false } }],
    ["bootChanged", { previous: { ...previous, closed: false }, bootId: "c" }],
    ["clean", { bootId: "c" }],
    ["moved", { fingerprint: "g" }],
    ["moved", { fingerprint: "g", known: { ordinal: 9, n: 1 } }],
    ["restored", { known: { ordinal: 5, n: 100 } }],
    ["restored", { wentBack: true }],
    ["truncated", { known: { ordinal: 4, n: 91 } }],
    ["recovered", { quarantined: true }],
    ["recovered", { previous: undefined, lastN: 0 }],
    ["first", { previous: undefined, lastN: 0, known: undefined }],
  ])("is %s for %o", (reason, change) => {
    expect(startReason({ ...facts, ...change })).toBe(reason);
  });
});

describe("migrations", () => {
  const one: Schema = { applicationId: 77, migrations: [{ to: 1, sql: "CREATE TABLE a (x)" }] };
  const two: Schema = {
    applicationId: 77,
    migrations: [...one.migrations, { to: 2, sql: "ALTER TABLE a ADD COLUMN y; CREATE TABLE b (z)" }],
  };
  const broken: Schema = {
    applicationId: 77,
    migrations: [...one.migrations, { to: 2, sql: "CREATE TABLE b (z); CREATE TABLE a (x)" }],
  };

  test("go forward step by step, and a second time do nothing", () => {
    const database = new Sqlite(":memory:");
    expect(isFresh(database)).toBe(true);
    migrate(database, one);
    migrate(database, two);
    migrate(database, two);
    expect(database.pragma("user_version", { simple: true })).toBe(2);
    expect(database.prepare("SELECT name FROM sqlite_schema ORDER BY name").pluck().all()).toEqual(["a", "b"]);
  });

  test("leave everything as it was when a step fails", () => {
    const database = new Sqlite(":memory:");
    migrate(database, one);
    expect(() => migrate(database, broken)).toThrow(/already exists/);
    expect(database.pragma("user_version", { simple: true })).toBe(1);
    expect(database.prepare("SELECT name FROM sqlite_schema").pluck().all()).toEqual(["a"]);
  });

  test("refuse what is newer, and what is not ours", () => {
    const database = new Sqlite(":memory:");
    migrate(database, two);
    expect(() => migrate(database, one)).toThrow(expect.objectContaining({ code: "STORE_NEWER" }));
    expect(() => migrate(database, { ...two, applicationId: 78 })).toThrow(
      expect.objectContaining({ code: "STORE_FOREIGN" }),
    );
  });
});

describe("small files", () => {
  test("a position that was written is read, a damaged one is none", () => {
    const path = join(temporaryDirectory(), "position.json");
    expect(readPosition(path)).toBeUndefined();
    const position = { ordinal: 3, epoch: "00ff", n: 12, wallMs: 99 };
    writePosition(path, position);
    expect(readPosition(path)).toEqual(position);
    writeFileSync(path, '{"ordinal":');
    expect(readPosition(path)).toBeUndefined();
  });

  test("the ballast takes its room for real, and gives it back", () => {
    const directory = temporaryDirectory();
    mkdirSync(directory, { recursive: true });
    const ballast = new Ballast(join(directory, "ballast"), 300_000);
    expect(ballast.take()).toBe(true);
    expect(statSync(join(directory, "ballast")).blocks * 512).toBeGreaterThanOrEqual(300_000);
    expect(ballast.release()).toBe(true);
    expect(existsSync(join(directory, "ballast"))).toBe(false);
    expect(ballast.release()).toBe(false);
  });

  test("this machine is the same machine when asked again", () => {
    expect(machineFingerprint()).toMatch(/^[0-9a-f]{32}$/);
    expect(machineFingerprint()).toBe(machineFingerprint());
  });
});
