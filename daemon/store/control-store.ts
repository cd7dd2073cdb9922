import { copyFileSync, existsSync, renameSync, rmSync, statSync } from "node:fs";
import { basename } from "node:path";
import { crashpoint } from "../crashpoint.ts";
import { syncFolder } from "../durable-file.ts";
import { fsyncFile } from "./ballast.ts";
import type { StoreFiles } from "./files.ts";
import type { ControlChange, ControlState } from "./messages.ts";
import { isFresh, migrate } from "./migrations.ts";
import { controlSchema } from "./schema.ts";
import { type Database, isDamage, openForWriting } from "./sqlite-writer.ts";

/** control.db: small, in a rollback journal so that it is one file, and copied at each change. */
export class ControlStore {
  readonly #database: Database;
  readonly #files: StoreFiles;
  readonly notes: string[] = [];

  constructor(files: StoreFiles, wallMs: number) {
    this.#files = files;
    this.#database = this.#open(wallMs);
  }

  state(): ControlState {
    const generations = this.#database.prepare("SELECT id, origin, createdAt FROM generation ORDER BY createdAt").all();
    const modes = this.#database.prepare("SELECT scope, mode FROM mode").raw().all() as [string, string][];
    const meta = this.#database.prepare("SELECT name, value FROM meta").raw().all() as [string, string][];
    const named = Object.fromEntries(meta);
    return {
      generations: generations as ControlState["generations"][number][],
      pointer: named.pointer,
      modes: Object.fromEntries(modes),
      meta: named,
      inbox: this.#database.prepare("SELECT id FROM inbox ORDER BY n").pluck().all() as string[],
    };
  }

  change(change: ControlChange): void {
    switch (change.kind) {
      case "generation": {
        const { id, origin, createdAt, files } = change.generation;
        const put = this.#database.prepare("INSERT OR REPLACE INTO generation VALUES (?, ?, ?, ?)");
        put.run(id, origin, createdAt, JSON.stringify(files));
        break;
      }
      case "pointer":
        this.#meta("pointer", change.id);
        break;
      case "mode":
        this.#database.prepare("INSERT OR REPLACE INTO mode VALUES (?, ?)").run(change.scope, change.mode);
        break;
      case "inbox":
        this.#database
          .prepare("INSERT OR IGNORE INTO inbox (id, expiresAt) VALUES (?, ?)")
          .run(change.id, change.expiresAt);
        this.#database.prepare("DELETE FROM inbox WHERE n <= (SELECT max(n) FROM inbox) - ?").run(change.most);
        break;
      case "meta":
        this.#meta(change.name, change.value);
    }
    this.#copy();
  }

  close(): void {
    this.#database.close();
  }

  #meta(name: string, value: string): void {
    this.#database.prepare("INSERT OR REPLACE INTO meta VALUES (?, ?)").run(name, value);
  }

  #copy(): void {
    crashpoint("control.copy.before");
    try {
      // Nobody writes in between: this thread is the only writer, and the journal is empty after a commit.
      copyControl(this.#files.control, this.#files);
    } catch (error) {
      // The change itself is safe; without room for the copy the older copy stays.
      this.notes.push(`control.db was not copied: ${String(error)}`);
      rmSync(`${this.#files.controlCopy}.tmp`, { force: true });
    }
    crashpoint("control.copy.after");
  }

  /** The database, or else its copy, or else a new one. What can not be used is kept beside it. */
  #open(wallMs: number): Database {
    const { control, controlCopy } = this.#files;
    const aside = `${control}.corrupt-${wallMs}`;
    const hadFile = hasBytes(control);
    const hadJournal = hasBytes(`${control}-journal`);
    // To open it plays the journal back, right or wrong: what was there is kept until that has come out well.
    if (hadJournal) copyParts(control, aside);
    const opened = hadFile ? tryOpen(control) : undefined;
    if (opened !== undefined && !(isFresh(opened) && existsSync(controlCopy))) {
      if (hadJournal) removeParts(aside);
      return settle(opened);
    }
    opened?.close();
    if (hadFile) this.notes.push(`control.db could not be read and was set aside as ${basename(aside)}`);
    else if (hadJournal)
      this.notes.push(`control.db was lost; its journal was set aside as ${basename(aside)}-journal`);
    if (hadFile && !hadJournal) renameSync(control, aside);
    else removeParts(control);
    return settle(this.#restored(wallMs) ?? openForWriting(control));
  }

  #restored(wallMs: number): Database | undefined {
    const { control, controlCopy } = this.#files;
    if (!existsSync(controlCopy)) return undefined;
    copyFileSync(controlCopy, control);
    const copy = tryOpen(control);
    if (copy !== undefined) {
      this.notes.push("control.db was restored from its copy");
      return copy;
    }
    rmSync(control, { force: true });
    const aside = `${controlCopy}.corrupt-${wallMs}`;
    renameSync(controlCopy, aside);
    this.notes.push(`its copy could not be read either and was set aside as ${basename(aside)}`);
    return undefined;
  }
}

/** Puts a file that nobody writes to in the place of control.db's copy. */
export function copyControl(from: string, { directory, controlCopy }: StoreFiles): void {
  const temporary = `${controlCopy}.tmp`;
  copyFileSync(from, temporary);
  fsyncFile(temporary);
  renameSync(temporary, controlCopy);
  syncFolder(directory);
}

const PARTS = ["", "-journal"] as const;

function hasBytes(path: string): boolean {
  return (statSync(path, { throwIfNoEntry: false })?.size ?? 0) > 0;
}

function copyParts(from: string, to: string): void {
  for (const part of PARTS) {
    if (!hasBytes(from + part)) continue;
    copyFileSync(from + part, to + part);
    fsyncFile(to + part);
  }
}

/** The file first: half written and without its journal it could be taken for whole. */
function removeParts(path: string): void {
  for (const part of PARTS) rmSync(path + part, { force: true });
}

function settle(database: Database): Database {
  database.pragma("journal_mode = DELETE");
  database.pragma("synchronous = EXTRA");
  migrate(database, controlSchema);
  return database;
}

function tryOpen(path: string): Database | undefined {
  const database = openForWriting(path);
  try {
    if (database.pragma("quick_check", { simple: true }) === "ok") return database;
  } catch (error) {
    // A disk that can not be read or written just now is no damage.
    if (!isDamage(error)) {
      database.close();
      throw error;
    }
  }
  database.close();
  return undefined;
}
