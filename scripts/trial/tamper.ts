import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import { databaseSource } from "../../daemon/store/database-source.ts";
import { StoreError } from "../../daemon/store/errors.ts";
import { storeFiles } from "../../daemon/store/files.ts";
import { type Keyring, keyringIn, type SignatureVerdict } from "../../daemon/store/keyring.ts";
import { readTestimony } from "../../daemon/store/position.ts";
import { translate } from "../../daemon/store/sqlite-reader.ts";
import { type Beside, type VerifyResult, verifySource } from "../../daemon/store/verify.ts";
import { Claims } from "./claims.ts";
import { temporaryFolder } from "./daemon.ts";
import { createRandom } from "./random.ts";
import { edits } from "./tamper/edits.ts";
import { forgeries } from "./tamper/forgeries.ts";
import { imageOf, makeTamperLog } from "./tamper/log.ts";
import { differenceOf, type Snapshot, snapshotOf } from "./tamper/rows.ts";
import { type Edit, pick, type Random } from "./tamper/tools.ts";
import type { Trial } from "./trial.ts";

const ALL = [...edits, ...forgeries];
const EDITS = 10_000;
/** Of a hundred edits, so many are bytes of the file itself. */
const RAW_SHARE = 0.15;
const SEED = 4;
const MOST_TOLD = 10;

interface Tally {
  tried: number;
  changed: number;
  found: number;
}

/** Random edits of a log: each that changes a record has to be found, with a place at or before the first such record. */
export const trial: Trial = async (options) => {
  const claims = new Claims(options.say);
  const folder = temporaryFolder("tamper");
  mkdirSync(folder, { recursive: true });
  try {
    const directory = await makeTamperLog(folder);
    new Tampering(directory, claims, createRandom(SEED)).run(options.rounds ?? EDITS);
  } finally {
    if (!options.keep) rmSync(folder, { recursive: true, force: true });
  }
  return claims.result();
};

class Tampering {
  readonly #image: Buffer;
  readonly #database: Sqlite.Database;
  readonly #before: Snapshot;
  readonly #beside: Beside;
  readonly #claims: Claims;
  readonly #random: Random;
  readonly #tallies = new Map<string, Tally>();
  readonly #answers = new Map<string, number>();
  #told = 0;
  #unsure = 0;

  constructor(directory: string, claims: Claims, random: Random) {
    const files = storeFiles(directory);
    this.#image = imageOf(join(directory, "records.db"));
    this.#database = new Sqlite(this.#image);
    this.#before = snapshotOf(this.#database);
    this.#beside = { keyring: remembering(keyringIn(files)), testimony: readTestimony(files.position) };
    this.#claims = claims;
    this.#random = random;
    const { rows, epochs, droppedRows, ok } = verifySource(databaseSource(this.#database), this.#beside);
    claims.figure("rows, starts, rows dropped before", `${rows}, ${epochs}, ${droppedRows}`);
    claims.holds(ok, "the log does not verify before anybody touched it");
  }

  run(rounds: number): void {
    const startedMs = performance.now();
    for (let round = 0; round < rounds; round++) {
      if (this.#random() < RAW_SHARE) this.#raw();
      else this.#edit(pick(ALL, this.#random));
    }
    const seconds = (performance.now() - startedMs) / 1000;
    this.#figures(rounds, seconds);
  }

  #edit(edit: Edit): void {
    const database = this.#database;
    database.exec("BEGIN");
    try {
      applied(edit, database, this.#random);
      this.#judge(edit.name, database);
    } finally {
      database.exec("ROLLBACK");
    }
  }

  #raw(): void {
    const image = Buffer.from(this.#image);
    const many = 1 + Math.floor(this.#random() ** 4 * 64);
    // Behind the header's first fields: without them it is no database at all, and no command would open it.
    const at = 24 + Math.floor(this.#random() * (image.length - 24 - many));
    for (let more = 0; more < many; more++)
      image[at + more] = (image[at + more] as number) ^ (1 << Math.floor(this.#random() * 8));
    let database: Sqlite.Database | undefined;
    try {
      database = new Sqlite(image);
      this.#judge("bytes of the file", database);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      this.#count("bytes of the file", true, true, "not opened");
    } finally {
      database?.close();
    }
  }

  #judge(name: string, database: Sqlite.Database): void {
    const after = snapshotOf(database);
    const difference = differenceOf(this.#before, after);
    const result = verdictOf(database, this.#beside);
    const isFound = typeof result === "string" || !result.ok;
    const answer = typeof result === "string" ? result : (result.bad?.what ?? "ok");
    // Every row is as it was, and lies elsewhere in a minute of which rows had been dropped: heads can not tell that.
    const isUnsure = !isFound && difference?.isOrderOnly === true;
    if (isUnsure) this.#unsure += 1;
    this.#count(name, difference !== undefined && !isUnsure, isFound, answer);
    if (difference === undefined || isUnsure) return;
    if (!isFound) this.#fail(`${name}: not found, though row n ${difference.firstN} is another`);
    else if (typeof result !== "string" && this.#placeOf(result, after) > difference.firstN)
      this.#fail(`${name}: the first change is at n ${difference.firstN}, told was ${JSON.stringify(result.bad)}`);
  }

  #placeOf(result: VerifyResult, after: Snapshot): number {
    const { bad } = result;
    if (bad === undefined) return Number.POSITIVE_INFINITY;
    const place = `${bad.epoch}/${bad.stream}/${bad.seq}`;
    const called = this.#before.places.get(place);
    const next = bad.afterN === undefined ? undefined : bad.afterN + 1;
    const places = [bad.n, next, called].filter((n) => n !== undefined);
    return places.length === 0 ? after.lastN + 1 : Math.min(...places);
  }

  #count(name: string, changed: boolean, found: boolean, answer: string): void {
    const tally = this.#tallies.get(name) ?? { tried: 0, changed: 0, found: 0 };
    this.#tallies.set(name, tally);
    tally.tried += 1;
    if (!changed) return;
    tally.changed += 1;
    if (found) tally.found += 1;
    this.#answers.set(answer, (this.#answers.get(answer) ?? 0) + 1);
  }

  #fail(sentence: string): void {
    this.#told += 1;
    if (this.#told <= MOST_TOLD) this.#claims.holds(false, sentence);
  }

  #figures(rounds: number, seconds: number): void {
    const all = [...this.#tallies.values()];
    const sum = (of: (tally: Tally) => number): number => all.reduce((total, tally) => total + of(tally), 0);
    this.#claims.figure(
      "edits, of them that change a record, found",
      [rounds, sum((one) => one.changed), sum((one) => one.found)].join(", "),
    );
    this.#claims.figure("besides: only the order among streams, near dropped rows, not found", this.#unsure);
    for (const [name, tally] of this.#tallies)
      this.#claims.figure(`  ${name}: edits, changed, found`, `${tally.tried}, ${tally.changed}, ${tally.found}`);
    this.#claims.figure("told as", Object.fromEntries(this.#answers));
    this.#claims.figure("seconds", Math.round(seconds));
    this.#claims.holds(this.#told <= MOST_TOLD, `${this.#told} failures in all`);
  }
}

/** A place or a number that is taken: what was done before that stands. */
function applied(edit: Edit, database: Sqlite.Database, random: Random): void {
  try {
    edit.apply(database, random);
  } catch (error) {
    if (!(error instanceof Sqlite.SqliteError && error.code.startsWith("SQLITE_CONSTRAINT"))) throw error;
  }
}

/** What `audit verify` says: a result, or the refusal to read the file. */
function verdictOf(database: Sqlite.Database, beside: Beside): VerifyResult | string {
  try {
    return verifySource(databaseSource(database), beside);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return "refused";
  }
}

function isRefusal(error: unknown): boolean {
  return translate(error, "") instanceof StoreError;
}

/** The same few signatures are asked for in each round. */
function remembering(ring: Keyring): Keyring {
  const known = new Map<string, SignatureVerdict>();
  return {
    keys: ring.keys,
    check(signed) {
      const name = `${signed.key} ${signed.signature} ${signed.text}`;
      const verdict = known.get(name) ?? ring.check(signed);
      known.set(name, verdict);
      return verdict;
    },
  };
}
