import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import { afterEach } from "vitest";
import { childPath } from "../../../daemon/children.ts";
import type { Clock } from "../../../daemon/clock.ts";
import { createIds } from "../../../daemon/ids.ts";
import { Store, type StoreOptions } from "../../../daemon/store/store.ts";

const opened: { store: Store; directory: string }[] = [];

/** A clock that goes with the real one, and can be set ahead or back. */
export class MovableClock implements Clock {
  readonly bootId: string;
  aheadMs = 0;

  constructor(bootId = "boot-1") {
    this.bootId = bootId;
  }

  wallMs(): number {
    return Date.now() + this.aheadMs;
  }

  bootMs(): number {
    return performance.now() + this.aheadMs;
  }

  trust(): "synced" {
    return "synced";
  }
}

export interface OpenStore {
  readonly store: Store;
  readonly directory: string;
  readonly clock: MovableClock;
  readonly notes: { what: string; detail: Readonly<Record<string, unknown>> }[];
  readonly failures: Error[];
}

const made: string[] = [];
process.once("exit", () => {
  for (const directory of made) rmSync(directory, { recursive: true, force: true });
});

export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-store-"));
  made.push(directory);
  return directory;
}

export async function openTestStore(
  directory = temporaryDirectory(),
  options: Partial<StoreOptions> = {},
  clock = new MovableClock(),
): Promise<OpenStore> {
  const notes: OpenStore["notes"] = [];
  const failures: Error[] = [];
  const store = new Store(
    { clock, fail: (error) => failures.push(error), note: (what, detail) => notes.push({ what, detail }) },
    {
      directory,
      writerPath: childPath("daemon/store/writer-thread"),
      commitDelayMs: 5,
      maxBytes: 64 * 1024 * 1024,
      ballastBytes: 65_536,
      rememberIds: 1000,
      retention: { decisionsDays: 90, quietDays: 14, telemetryDays: 365 },
      fingerprint: "machine-1",
      ...options,
    },
  );
  await store.start(new AbortController().signal);
  opened.push({ store, directory });
  return { store, directory, clock, notes, failures };
}

afterEach(async () => {
  for (const { store } of opened) await store.stop();
  for (const { directory } of opened.splice(0)) rmSync(directory, { recursive: true, force: true });
});

const newId = createIds();

/** A decision's line, as short as it may be for the store, which looks only at its bytes. */
export function decision(
  agent: string,
  wallMs: number,
  more: Record<string, unknown> = {},
): { id: string; body: string } {
  const id = newId(wallMs);
  return { id, body: JSON.stringify({ v: 1, kind: "decision", id, agent, ...more }) };
}

export function put(
  store: Store,
  count: number,
  more: Record<string, unknown> = {},
  stream: 1 | 2 = 1,
  wallMs = Date.now(),
): string[] {
  const ids: string[] = [];
  const agent = store.agentNumber("pump");
  for (let at = 0; at < count; at++) {
    const { id, body } = decision("pump", wallMs, { key: `p${at % 4}`, at, ...more });
    store.append({ stream, kind: "decision", agent, id, wallMs, body });
    store.count("pump", "decided", 1, wallMs);
    ids.push(id);
  }
  return ids;
}

/** Looks into the database with a connection of its own. */
export function inside<T>(directory: string, look: (database: Sqlite.Database) => T, readonly = true): T {
  const database = new Sqlite(join(directory, "records.db"), { readonly });
  try {
    return look(database);
  } finally {
    database.close();
  }
}
