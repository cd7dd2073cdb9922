import { cpSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import { childPath } from "../../../daemon/children.ts";
import type { Clock } from "../../../daemon/clock.ts";
import { createIds } from "../../../daemon/ids.ts";
import { Store } from "../../../daemon/store/store.ts";
import { becomes } from "../claims.ts";

const MINUTE_MS = 61_000;
const DAY_MS = 86_400_000;
/** What retention removes of the log that is made below. */
const OLD_ROWS = 43;
const WAIT_MS = 20_000;

/** A clock that is set ahead as the trial wants. */
export interface AheadClock extends Clock {
  aheadMs: number;
}

export function aheadClock(): AheadClock {
  const startMs = Date.now();
  return {
    aheadMs: 0,
    bootId: "boot-1",
    wallMs() {
      return startMs + this.aheadMs;
    },
    bootMs() {
      return 1000 + this.aheadMs;
    },
    trust: () => "synced",
  };
}

export async function openLog(directory: string, clock: Clock): Promise<Store> {
  const store = new Store(
    { clock, fail: (error) => console.error(error) },
    {
      directory,
      writerPath: childPath("daemon/store/writer-thread"),
      commitDelayMs: 5,
      maxBytes: 64 * 1024 * 1024,
      ballastBytes: 65_536,
      rememberIds: 1000,
      retention: { decisionsDays: 30, quietDays: 1, telemetryDays: 2 },
      fingerprint: "machine-1",
    },
  );
  await store.start(new AbortController().signal);
  return store;
}

const newId = createIds();

function put(store: Store, clock: Clock, agent: string, at: number): void {
  const wallMs = clock.wallMs();
  const id = newId(wallMs);
  const stream = at % 3 === 0 ? 2 : 1;
  const inputs = { x: at, weight: 31.25 };
  const body = JSON.stringify({
    v: 1,
    kind: "decision",
    id,
    agent,
    key: `p${at % 4}`,
    inputs,
    private: ["weight"],
    at,
  });
  store.append({ stream, kind: "decision", agent: store.agentNumber(agent), id, wallMs, body });
  store.count(agent, "decided", 1, wallMs);
}

function act(store: Store, clock: Clock, at: number): void {
  const wallMs = clock.wallMs();
  const id = newId(wallMs);
  const [kind, body] =
    at % 2 === 0
      ? (["latch", { latched: at % 4 === 0, why: `reason ${at}`, by: "jane", at: wallMs }] as const)
      : (["mode", { scope: "gateway", from: "observe", to: "auto", by: "joe", at: wallMs }] as const);
  store.append({ stream: 0, kind, agent: 0, id, wallMs, body: JSON.stringify({ v: 1, kind, id, ...body }) });
}

/** Some minutes with rows of all streams, in turns, each minute ended. */
export async function someMinutes(store: Store, clock: AheadClock, minutes: number, rows = 7): Promise<void> {
  for (let minute = 0; minute < minutes; minute++) {
    for (let at = 0; at < rows; at++) {
      put(store, clock, at % 2 === 0 ? "pump" : "fan", at);
      clock.aheadMs += 1;
      if (at % 3 === 1) act(store, clock, at);
    }
    await store.flush();
    clock.aheadMs += MINUTE_MS;
    store.minute();
    await store.flush();
  }
}

async function waitForDrops(store: Store, directory: string, rows: number): Promise<void> {
  const database = new Sqlite(join(directory, "records.db"), { readonly: true });
  const waiting = database.prepare("SELECT count(*) FROM dropped WHERE deletedSeq < toSeq").pluck();
  const isDone = async (): Promise<boolean> => (await store.figures()).droppedRows >= rows && waiting.get() === 0;
  if (!(await becomes(isDone, WAIT_MS))) throw new Error("retention did not remove the old rows");
  database.close();
}

/**
 * A log with several starts: one that was closed, one that a crash ended, one in which retention removed rows of three
 * streams, and one more. The data directory as it is after the last stop.
 */
export async function makeTamperLog(folder: string): Promise<string> {
  const clock = aheadClock();
  const [first, directory] = [join(folder, "first"), join(folder, "log")];
  mkdirSync(first);
  let store = await openLog(first, clock);
  await someMinutes(store, clock, 2);
  await store.stop();
  store = await openLog(first, clock);
  await someMinutes(store, clock, 2);
  put(store, clock, "pump", 1);
  await store.flush();
  // As kill -9 leaves it: copied while it is open.
  cpSync(first, directory, { recursive: true, filter: (path) => !path.endsWith("-shm") });
  await store.stop();
  store = await openLog(directory, clock);
  for (let day = 0; day < 5; day++) {
    await someMinutes(store, clock, 1);
    clock.aheadMs += DAY_MS;
  }
  await someMinutes(store, clock, 1);
  await waitForDrops(store, directory, OLD_ROWS);
  await someMinutes(store, clock, 1);
  await store.stop();
  store = await openLog(directory, clock);
  await someMinutes(store, clock, 2);
  await store.stop();
  return directory;
}

/** The file as one that can be opened from memory: there is no write-ahead log there. */
export function imageOf(path: string): Buffer {
  const image = readFileSync(path);
  // https://www.sqlite.org/fileformat.html, 1.3: the write and read versions; 2 says WAL, 1 says rollback journal.
  image[18] = 1;
  image[19] = 1;
  return image;
}
