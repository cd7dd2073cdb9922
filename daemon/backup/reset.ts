import { existsSync, lstatSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { LatchNote } from "../latch-note.ts";
import { storeFiles } from "../store/files.ts";
import { recordsSchema } from "../store/schema.ts";
import { openForReading } from "../store/sqlite-reader.ts";
import { outboxIn } from "../store/uplink-queries.ts";
import { BackupError } from "./errors.ts";
import { latchIn, releaseByFile, secureLatch } from "./latch.ts";
import { isIdentity, isOurs } from "./names.ts";
import { asideName, swap, takeDirectory } from "./swap.ts";

/** What a reset takes away. */
export interface Loss {
  /** Null where the database can not be read. */
  readonly decisions: number | null;
  readonly records: number | null;
  /** Of a gateway of a fleet: records that the fleet has not stored; null where that can not be told. */
  readonly unsent: number | null;
  readonly bytes: number;
  readonly names: readonly string[];
  /** What is in the directory and is not Holdfast's: it stays. */
  readonly others: readonly string[];
  readonly latch: LatchNote | undefined;
}

export interface ResetOptions {
  readonly dataDirectory: string;
  readonly keepIdentity: boolean;
  readonly releaseLatch: boolean;
  readonly discardUnsent: boolean;
  /** The configuration names a fleet. */
  readonly hasFleet: boolean;
  readonly wallMs: number;
  /** Asked when it is known what would be lost, and nothing is changed yet. */
  readonly confirm: (loss: Loss) => Promise<boolean>;
}

/** Takes everything out of a data directory but the latch, and what lies there that is not Holdfast's. */
export async function resetData(options: ResetOptions): Promise<Loss> {
  const { dataDirectory, wallMs } = options;
  const lock = takeDirectory(dataDirectory);
  try {
    const loss = lossOf(options);
    // Where it can not be told, some of it may be.
    if (loss.unsent !== 0 && !options.discardUnsent) {
      const hint =
        "Let them be sent first (holdfast outbox), carry them there (holdfast outbox export), or say --discard-unsent.";
      throw new BackupError("RESET_UNSENT", { records: loss.unsent }, { hint });
    }
    if (!(await options.confirm(loss))) throw new BackupError("RESTORE_UNCONFIRMED", { changed: "nothing" });
    // A full disk is a reason for a reset: what only takes room goes first, and makes it for the note.
    rmSync(storeFiles(dataDirectory).ballast, { force: true });
    secureLatch(dataDirectory, undefined, wallMs);
    const aside = asideName(dataDirectory, "factory-reset", wallMs);
    swap(dataDirectory, { aside, out: loss.names, in: [], drops: true });
    if (options.releaseLatch) releaseByFile(dataDirectory, wallMs);
    return loss;
  } finally {
    lock.close();
  }
}

function lossOf({ dataDirectory, keepIdentity, hasFleet, wallMs }: ResetOptions): Loss {
  const isMember = hasFleet || existsSync(join(dataDirectory, "fleet", "gateway.pem"));
  // Before the names are listed: to read a database makes files beside it.
  const counts = counted(dataDirectory, isMember);
  const all = readdirSync(dataDirectory);
  // With the identity stays how far the log had come: to the fleet it is the same gateway, with a break in its log.
  const stays = (name: string): boolean => keepIdentity && (isIdentity(name) || name === "position.json");
  const names = all.filter((name) => isOurs(name) && !stays(name));
  const known = ["latch", "latch.ack", "lock.db", "lock.db-journal", "lock.pid", "control.sock"];
  const others = all.filter((name) => !isOurs(name) && !known.includes(name));
  const bytes = names.reduce((sum, name) => sum + sizeIn(join(dataDirectory, name)), 0);
  return { ...counts, bytes, names, others, latch: latchIn(dataDirectory, wallMs) };
}

function counted(directory: string, isMember: boolean): Pick<Loss, "decisions" | "records" | "unsent"> {
  const { records } = storeFiles(directory);
  if (!existsSync(records)) return { decisions: 0, records: 0, unsent: 0 };
  try {
    const database = openForReading(records, recordsSchema);
    try {
      const count = (where: string): number =>
        database.prepare(`SELECT count(*) FROM record ${where}`).pluck().get() as number;
      const waiting = outboxIn(database);
      // A gateway that left its fleet has sent something once.
      const isKnown = isMember || waiting.some(({ acknowledged }) => acknowledged !== undefined);
      const unsent = isKnown ? waiting.reduce((sum, one) => sum + one.records, 0) : 0;
      return { decisions: count("WHERE kind = 1"), records: count(""), unsent };
    } finally {
      database.close();
    }
  } catch {
    // Damaged, of a newer version, or on a full disk: a reset is a way out of that too.
    return { decisions: null, records: null, unsent: isMember ? null : 0 };
  }
}

function sizeIn(path: string): number {
  const stat = lstatSync(path);
  if (!stat.isDirectory()) return stat.isFile() ? stat.size : 0;
  return readdirSync(path, { recursive: true, encoding: "utf8" }).reduce((sum, name) => {
    const full = join(path, name);
    const one = lstatSync(full, { throwIfNoEntry: false });
    return sum + (one?.isFile() === true ? statSync(full).size : 0);
  }, 0);
}
