import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type Sqlite from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { keyringOfFiles } from "../../../daemon/store/keyring.ts";
import { verifyLog } from "../../../daemon/store/verify.ts";
import { aheadClock, makeTamperLog, openLog, someMinutes } from "../../../scripts/trial/tamper/log.ts";
import { rechain } from "../../../scripts/trial/tamper/rechain.ts";
import { hashOf, rewrite, stranger, strangersKey } from "../../../scripts/trial/tamper/tools.ts";
import { trial } from "../../../scripts/trial/tamper.ts";
import { inside, temporaryDirectory } from "./support.ts";

const folder = temporaryDirectory();
let original = "";

beforeAll(async () => {
  original = await makeTamperLog(folder);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function copyOf(directory = original): string {
  const copy = temporaryDirectory();
  cpSync(directory, copy, { recursive: true });
  return copy;
}

function changed(change: (database: Sqlite.Database) => void, directory = copyOf()): string {
  inside(directory, change, false);
  return directory;
}

/** The same log after one more start. */
async function oneStartLater(): Promise<string> {
  const directory = copyOf();
  const clock = aheadClock();
  clock.aheadMs = 30 * 86_400_000;
  const store = await openLog(directory, clock);
  await someMinutes(store, clock, 1);
  await store.stop();
  return directory;
}

const rowAt = (database: Sqlite.Database, where: string): { n: number; body: string; epoch: number; seq: number } =>
  database.prepare(`SELECT n, body, epoch, seq FROM record WHERE ${where} LIMIT 1`).get() as ReturnType<typeof rowAt>;

test("finds random edits of rows, tables, signatures and bytes, and names a place at or before the first", async () => {
  const { failures, figures } = await trial({ rounds: 2000, bus: undefined, keep: false, say: () => {} });
  expect(failures).toEqual([]);
  expect(figures["edits, of them that change a record, found"]).toMatch(/^2000, (1[78]\d\d), \1$/);
});

describe("without the gateway's key", () => {
  test("a head with another signature is forged", () => {
    const directory = changed((database) => {
      const { n, body } = rowAt(database, "kind = 13 AND epoch = 4 ORDER BY n DESC");
      const other = body.replace(/"signature":"(.)/, (_, first) => `"signature":"${first === "A" ? "B" : "A"}`);
      rewrite(database, n, other);
    });
    const { bad } = verifyLog({ directory });
    expect(bad).toMatchObject({ what: "forged", epoch: 4, stream: 0 });
    expect(bad?.detail).toContain("its signature is not one of key");
  });

  test("a log that fits itself from an edited row on is forged at the first head after it", () => {
    const directory = changed((database) => {
      const { n, body } = rowAt(database, "epoch = 3 AND stream = 1 ORDER BY n");
      rewrite(database, n, body.replace('"x":', '"y":'));
      rechain(database, "keep", 3);
    });
    const { bad } = verifyLog({ directory });
    expect(bad).toMatchObject({ what: "forged", epoch: 3, stream: 0 });
    expect(bad?.afterN).toBeLessThan(bad?.n ?? 0);
  });

  test("taking all signatures away is noticed, also where no record has one any more", () => {
    for (const from of [1, 4]) {
      const directory = changed((database) => rechain(database, "strip", from));
      expect(verifyLog({ directory }).bad).toMatchObject({ what: "forged", stream: 0 });
    }
  });

  test("another key in the place of the gateway's is told by the one that is kept elsewhere", () => {
    const elsewhere = join(temporaryDirectory(), "gateway.pub");
    cpSync(join(original, "gateway.pub"), elsewhere);
    const directory = changed((database) => rechain(database, "stranger"));
    writeFileSync(join(directory, "gateway.pub"), strangersKey.export({ type: "spki", format: "pem" }));
    rmSync(join(directory, "position.json"));
    const own = verifyLog({ directory });
    expect(own.signatures.signed.map((part) => part.key)).toEqual([stranger.key]);
    const result = verifyLog({ directory, keyring: keyringOfFiles([elsewhere]) });
    expect(result.bad).toMatchObject({ what: "forged", epoch: 1, seq: 1 });
  });

  test("an end that was cut off is noticed by position.json, and position.json can not be rewritten", () => {
    const cut = (database: Sqlite.Database): void => void database.exec("DELETE FROM record WHERE n > 170");
    expect(verifyLog({ directory: changed(cut) }).bad).toMatchObject({ what: "truncated", epoch: 4 });
    const directory = changed(cut);
    const path = join(directory, "position.json");
    const said = JSON.parse(readFileSync(path, "utf8")) as { n: number };
    writeFileSync(path, JSON.stringify({ ...said, n: 170, heads: [] }));
    expect(verifyLog({ directory }).bad).toMatchObject({ what: "forged" });
  });

  test("an older state of the log is noticed by what stands beside it", async () => {
    const directory = await oneStartLater();
    cpSync(join(original, "records.db"), join(directory, "records.db"));
    const { bad } = verifyLog({ directory });
    expect(bad).toMatchObject({ what: "truncated", epoch: 4 });
    expect(bad?.detail).toContain("has started 5 times");
    rmSync(join(directory, "position.json"));
    expect(verifyLog({ directory }).bad).toMatchObject({ what: "truncated" });
  });
});

describe("what no record can tell", () => {
  test("everything put back to an older state, with position.json and control.db", async () => {
    const directory = await oneStartLater();
    for (const file of ["records.db", "position.json", "control.db"])
      cpSync(join(original, file), join(directory, file));
    expect(verifyLog({ directory })).toMatchObject({ ok: true, epochs: 4 });
  });

  test("the rows after the last head of a start that a crash ended, and those are told as not covered", async () => {
    const directory = temporaryDirectory();
    const crashed = temporaryDirectory();
    const clock = aheadClock();
    const store = await openLog(directory, clock);
    await someMinutes(store, clock, 2);
    store.append({ ...decisionAt(clock.wallMs()), stream: 1, kind: "decision", agent: 0, wallMs: clock.wallMs() });
    await store.flush();
    cpSync(directory, crashed, { recursive: true, filter: (path) => !path.endsWith("-shm") });
    await store.stop();
    expect(verifyLog({ directory: crashed })).toMatchObject({ ok: true, unattested: 1 });
    changed((database) => database.exec("DELETE FROM record WHERE n = (SELECT max(n) FROM record)"), crashed);
    expect(verifyLog({ directory: crashed })).toMatchObject({ ok: true, unattested: 0 });
  });

  test("an end that was cut off behind a head, with position.json gone and control.db of that start", () => {
    const directory = changed((database) => {
      const { n } = rowAt(database, "kind = 13 AND epoch = 4 ORDER BY n DESC");
      database.exec(`DELETE FROM record WHERE n > ${n}`);
    });
    rmSync(join(directory, "position.json"));
    expect(verifyLog({ directory })).toMatchObject({ ok: true, unattested: 1 });
  });
});

function decisionAt(wallMs: number): { id: string; body: string } {
  const hex = Math.floor(wallMs).toString(16).padStart(12, "0");
  const id = `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-${hashOf(hex).toString("hex", 0, 6)}`;
  return { id, body: JSON.stringify({ v: 1, kind: "decision", id, at: wallMs }) };
}
