import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Database } from "../../fleet/database.ts";
import { incoming } from "../../fleet/incoming.ts";
import { openPglite } from "../../fleet/pglite.ts";
import { positionsOf } from "../../fleet/positions.ts";
import { openPostgres } from "../../fleet/postgres.ts";
import { migrate } from "../../fleet/schema.ts";
import { storeBatches } from "../../fleet/storing.ts";
import { type OwnPostgres, startPostgres } from "../../scripts/trial/fleet/postgres.ts";
import { decodeBatch, encodeBatch } from "../../sync/batch.ts";
import { describeWithPostgres } from "../support/postgres.ts";

const EPOCH = "90ab12cd34ef5678";
const ID = "01993a0e-5b1c-7a54-9d5e-0f3c2b1a4d5e";

function batch(gateway: string, stream: number, lo: number, bodies: readonly (string | object)[], epoch = EPOCH) {
  const lines = bodies.map((body) => (typeof body === "string" ? body : JSON.stringify(body)));
  const header = {
    ...{ v: 1 as const, kind: "batch" as const, session: "0011223344556677", epoch, ordinal: 2, stream, lo },
    ...{ hi: lo + lines.length - 1, dropped: [], clock: { bootId: "b", bootMs: 1, wallMs: 2, trust: "synced" } },
  };
  return incoming(gateway, decodeBatch(encodeBatch(header, lines)));
}

const quiet = (n: number): object => ({
  v: 1,
  kind: "decision",
  id: ID,
  agent: "a",
  decidedAt: 1000 + n,
  bootMs: n,
  n,
});

const drop = (stream: number, from: number, to: number): object => ({
  ...{ v: 1, kind: "drop", id: ID, epoch: 2, epochId: EPOCH, stream, from, to, rows: to - from + 1, bytes: 9 },
  ...{ chainBefore: null, chainAfter: null, reason: "size", at: 5 },
});

/** The same for both kinds of database. */
function suite(open: () => Promise<Database>): void {
  let database: Database;
  beforeAll(async () => {
    database = await open();
    await migrate(database);
  });
  afterAll(async () => await database.close());

  const position = async (gateway: string, stream: number) =>
    (await positionsOf(database, gateway, [{ epoch: EPOCH, stream }]))[0];

  test("stores each record once, whatever comes again and in which order", async () => {
    let round = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ lo: fc.integer({ min: 1, max: 30 }), length: fc.integer({ min: 1, max: 8 }) }), {
          minLength: 1,
          maxLength: 12,
        }),
        async (cuts) => {
          round += 1;
          const gateway = `order-${round}`;
          const batches = cuts.map(({ lo, length }) =>
            batch(
              gateway,
              1,
              lo,
              Array.from({ length }, (_, at) => quiet(lo + at)),
            ),
          );
          const middle = batches.length >> 1;
          await storeBatches(database, batches.slice(0, middle));
          await storeBatches(database, batches.slice(middle));
          const seqs = [...new Set(cuts.flatMap(({ lo, length }) => Array.from({ length }, (_, at) => lo + at)))].sort(
            (a, b) => a - b,
          );
          const rows = await database.query<{ seq: number; body: string }>(
            "SELECT seq, body FROM record r JOIN gateway g ON g.id = r.gateway WHERE g.name = $1 ORDER BY seq",
            [gateway],
          );
          expect(rows).toEqual(seqs.map((seq) => ({ seq, body: JSON.stringify(quiet(seq)) })));
          const known = await position(gateway, 1);
          const listed = (known?.beyond ?? []).flatMap(([a, b]) =>
            Array.from({ length: b - a + 1 }, (_, at) => a + at),
          );
          const head = Array.from({ length: known?.contiguous ?? 0 }, (_, at) => at + 1);
          expect([...head, ...listed]).toEqual(seqs);
        },
      ),
      { numRuns: 20 },
    );
  });

  test("keeps another record at the same place aside, and says so", async () => {
    await storeBatches(database, [batch("twice", 1, 1, [quiet(1), quiet(2)])]);
    const stored = await storeBatches(database, [batch("twice", 1, 2, [quiet(99), quiet(3)])]);
    expect(stored).toMatchObject({ inserted: 1, duplicates: 0, conflicts: 1 });
    expect(stored.positions[0]).toMatchObject({ contiguous: 3, refused: [{ from: 2, to: 2, reason: "conflict" }] });
    const [kept] = await database.query<{ body: string }>(
      "SELECT c.body FROM conflict c JOIN gateway g ON g.id = c.gateway WHERE g.name = 'twice'",
    );
    expect(JSON.parse(kept?.body ?? "{}")).toEqual(quiet(99));
  });

  test("keeps lines that are no records, and refuses them alone", async () => {
    const lines = [quiet(1), "no json", "[]", '{"v":1}', '{"kind":"x y"}', quiet(6)];
    const stored = await storeBatches(database, [batch("dead", 2, 1, lines)]);
    expect(stored).toMatchObject({ inserted: 2, dead: 4 });
    expect(stored.positions[0]).toMatchObject({ contiguous: 6 });
    expect(stored.positions[0]?.refused.map((one) => one.from)).toEqual([2, 3, 4, 5]);
    const again = await storeBatches(database, [batch("dead", 2, 1, lines)]);
    expect(again).toMatchObject({ inserted: 0, duplicates: 2, dead: 4 });
  });

  test("counts what a drop record tells of as accounted for, and misses the rest", async () => {
    await storeBatches(database, [batch("holes", 1, 1, [quiet(1), quiet(2)]), batch("holes", 1, 9, [quiet(9)])]);
    expect(await position("holes", 1)).toMatchObject({ contiguous: 2, beyond: [[9, 9]] });
    const heads = [{ stream: 1, seq: 12, chain: null }];
    await storeBatches(database, [
      batch("holes", 0, 1, [drop(1, 3, 6), { v: 1, kind: "chainHead", id: ID, ordinal: 2, heads, at: 1 }]),
    ]);
    expect(await position("holes", 1)).toMatchObject({ contiguous: 6, beyond: [[9, 9]] });
    const gaps = await database.query(
      "SELECT from_seq, to_seq FROM gaps WHERE gateway = 'holes' AND stream = 1 ORDER BY 1",
    );
    expect(gaps).toEqual([{ from_seq: 7, to_seq: 8 }]);
    // Once another start follows, what a chain head told of is missing too.
    const start = {
      v: 1,
      kind: "epochStart",
      id: ID,
      previousHeads: [],
      bootId: "b",
      fingerprint: "f",
      startedAt: 5,
      startedBootMs: 1,
      reason: "clean",
      notes: [],
    };
    const LATER = "aaaaaaaaaaaaaaaa";
    await storeBatches(database, [
      batch("holes", 0, 3, [{ ...start, epoch: EPOCH, ordinal: 2 }]),
      batch("holes", 0, 1, [{ ...start, epoch: LATER, ordinal: 3, previous: EPOCH }], LATER),
    ]);
    const all = await database.query(
      "SELECT from_seq, to_seq FROM gaps WHERE gateway = 'holes' AND stream = 1 ORDER BY 1",
    );
    expect(all).toEqual([
      { from_seq: 7, to_seq: 8 },
      { from_seq: 10, to_seq: 12 },
    ]);
  });

  test("corrects the times of a boot by what was heard of another clock, also of those before", async () => {
    const start = {
      ...{ v: 1, kind: "epochStart", id: ID, epoch: EPOCH, ordinal: 2, previousHeads: [], bootId: "boot-1" },
      ...{ fingerprint: "f", startedAt: 5, startedBootMs: 1, reason: "first", notes: [] },
    };
    const sync = {
      v: 1,
      kind: "clockSync",
      id: ID,
      bootId: "boot-1",
      bootMs: 10_000,
      wallMs: 1_795_843_906_000,
      source: "fleet",
      uncertaintyMs: 5,
      at: 5,
    };
    await storeBatches(database, [batch("clock", 1, 1, [{ ...quiet(1), bootMs: 4000 }])]);
    const time = async (): Promise<unknown> =>
      (
        await database.query(
          "SELECT extract(epoch FROM corrected_time)::float8 AS at, quality FROM decisions WHERE gateway = 'clock'",
        )
      )[0];
    expect(await time()).toEqual({ at: 1.001, quality: "raw" });
    await storeBatches(database, [batch("clock", 0, 1, [start, sync])]);
    expect(await time()).toEqual({ at: 1_795_843_900, quality: "corrected" });
  });
}

describe("PGlite", () => {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-fleet-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  suite(() => openPglite(join(folder, "database")));
});

describeWithPostgres("PostgreSQL", () => {
  let server: OwnPostgres;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(async () => await server.stop());
  suite(async () => openPostgres(server.url, undefined));
});
