import { copyFileSync, existsSync, renameSync, rmSync, statSync } from "node:fs";
import { crashpoint } from "../crashpoint.ts";
import { fsyncFile } from "./ballast.ts";
import type { StoreFiles } from "./files.ts";
import type { ControlChange, ControlState } from "./messages.ts";
import { isFresh, migrate } from "./migrations.ts";
import { controlSchema } from "./schema.ts";
import { type Database, openForWriting } from "./sqlite-writer.ts";

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
    const temporary = `${this.#files.controlCopy}.tmp`;
    try {
      // Nobody writes in between: this thread is the only writer, and the journal is empty after a commit.
      copyFileSync(this.#files.control, temporary);
      fsyncFile(temporary);
      renameSync(temporary, this.#files.controlCopy);
    } catch (error) {
      // The change itself is safe; without room for the copy the older copy stays.
      this.notes.push(`control.db was not copied: ${String(error)}`);
      rmSync(temporary, { force: true });
    }
    crashpoint("control.copy.after");
  }

  /** The database, or else its copy, or else a new one. What can not be used is kept beside it. */
  #open(wallMs: number): Database {
    const { control, controlCopy } = this.#files;
    const hadFile = existsSync(control) && statSync(control).size > 0;
    const opened = hadFile ? tryOpen(control) : undefined;
    if (opened !== undefined && !(isEmptied(opened) && existsSync(controlCopy))) return settle(opened);
    opened?.close();
    if (hadFile) {
      renameSync(control, `${control}.corrupt-${wallMs}`);
      this.notes.push(`control.db could not be read and was set aside as control.db.corrupt-${wallMs}`);
    }
    if (existsSync(controlCopy)) {
      copyFileSync(controlCopy, control);
      const copy = tryOpen(control);
      if (copy !== undefined) {
        this.notes.push("control.db was restored from its copy");
        return settle(copy);
      }
      rmSync(control, { force: true });
    }
    return settle(openForWriting(control));
  }
}

function settle(database: Database): Database {
  database.pragma("journal_mode = DELETE");
  database.pragma("synchronous = EXTRA");
  migrate(database, controlSchema);
  return database;
}

function isEmptied(database: Database): boolean {
  return isFresh(database);
}

function tryOpen(path: string): Database | undefined {
  const database = openForWriting(path);
  try {
    if (database.pragma("quick_check", { simple: true }) === "ok") return database;
  } catch {
    // Not a database, or damaged: the copy is tried next.
  }
  database.close();
  return undefined;
}
