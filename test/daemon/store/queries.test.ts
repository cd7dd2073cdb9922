import { join } from "node:path";
import { expect, test } from "vitest";
import { childPath } from "../../../daemon/children.ts";
import {
  epochs,
  gaps,
  generationById,
  type RecordFilter,
  recordById,
  recordPage,
  totals,
} from "../../../daemon/store/queries.ts";
import { Reader } from "../../../daemon/store/reader.ts";
import { recordsSchema } from "../../../daemon/store/schema.ts";
import { openForReading } from "../../../daemon/store/sqlite-reader.ts";
import { decision, type OpenStore, openTestStore, put, temporaryDirectory } from "./support.ts";

const START_MS = Date.UTC(2026, 10, 1);

/** 5,000 decisions of two agents, one each second, in epochs of 2,500; the clock is set back an hour in between. */
async function filled(): Promise<OpenStore & { ids: string[] }> {
  const opened = await openTestStore();
  const { store } = opened;
  const ids: string[] = [];
  const names = ["pump", "valve"] as const;
  for (let at = 0; at < 5000; at++) {
    const wallMs = START_MS + at * 1000 - (at >= 2500 ? 3_600_000 : 0);
    const agent = names[at % 2] as string;
    const rules = [{ id: "hot", fired: at % 10 === 0, why: "" }];
    const { id, body } = decision(agent, wallMs, { key: `k${at % 7}`, at, rules });
    ids.push(id);
    store.append({ stream: 1, kind: "decision", agent: store.agentNumber(agent), id, wallMs, body });
    if (at % 500 === 499) await store.flush();
  }
  await store.flush();
  return { ...opened, ids };
}

function all(database: ReturnType<typeof openForReading>, filter: Partial<RecordFilter>): number[] {
  const found: number[] = [];
  let cursor: number | undefined;
  do {
    const newestFirst = filter.newestFirst ?? false;
    const from = cursor === undefined ? {} : newestFirst ? { beforeN: cursor } : { afterN: cursor };
    const page = recordPage(database, { kinds: ["decision"], limit: 100, newestFirst, ...filter, ...from });
    expect(page.rows.length).toBeLessThanOrEqual(100);
    found.push(...page.rows.map((row) => JSON.parse(row.body).at as number));
    cursor = page.next;
  } while (cursor !== undefined);
  return found;
}

test("pages through decisions by agent, key, rule, time and direction, like a plain filter over all", async () => {
  const { store, directory } = await filled();
  const database = openForReading(join(directory, "records.db"), recordsSchema);
  const everything = Array.from({ length: 5000 }, (_, at) => at);
  const timeOf = (at: number) => START_MS + at * 1000 - (at >= 2500 ? 3_600_000 : 0);
  expect(all(database, {})).toEqual(everything);
  expect(all(database, { newestFirst: true })).toEqual([...everything].reverse());
  expect(all(database, { agent: "valve" })).toEqual(everything.filter((at) => at % 2 === 1));
  expect(all(database, { agent: "unknown" })).toEqual([]);
  expect(all(database, { key: "k3", agent: "pump" })).toEqual(everything.filter((at) => at % 7 === 3 && at % 2 === 0));
  expect(all(database, { rule: "hot", newestFirst: true })).toEqual(everything.filter((at) => at % 10 === 0).reverse());
  const [sinceMs, untilMs] = [START_MS + 1_200_000, START_MS + 1_300_000];
  expect(all(database, { sinceMs, untilMs })).toEqual(
    everything.filter((at) => timeOf(at) >= sinceMs && timeOf(at) <= untilMs),
  );
  expect(totals(database)).toEqual({ pump: {}, valve: {} });
  expect(epochs(database)).toMatchObject([{ ordinal: 1, reason: "first" }]);
  expect(gaps(database)).toEqual([]);
  database.close();
  await store.stop();
});

test("finds a record by its id, wherever the clock stood", async () => {
  const { directory, ids } = await filled();
  const database = openForReading(join(directory, "records.db"), recordsSchema);
  for (const at of [0, 1234, 2499, 2500, 4999])
    expect(JSON.parse(recordById(database, ids[at] as string)?.body ?? "{}").at).toBe(at);
  expect(recordById(database, "0190b5a0-0000-7000-8000-000000000000")).toBeUndefined();
  expect(recordById(database, "no id")).toBeUndefined();
  database.close();
});

test("asks in a thread that starts with the first question and ends when nobody asks", async () => {
  const { store, directory } = await openTestStore();
  put(store, 600);
  await store.flush();
  const reader = new Reader({ directory, readerPath: childPath("daemon/store/reader-thread"), idleMs: 50 });
  expect(reader.isRunning).toBe(false);
  const page = await reader.page({ kinds: ["decision"], limit: 1000, newestFirst: true });
  expect(page.rows).toHaveLength(500);
  expect(await reader.counts()).toMatchObject({ rows: 601, lastN: 601 });
  expect((await reader.totals()).pump).toEqual({ decided: 600 });
  expect(reader.isRunning).toBe(true);
  await expect.poll(() => reader.isRunning).toBe(false);
  expect(await reader.gaps()).toEqual([]);
  await reader.stop();
  await expect(reader.epochs()).rejects.toMatchObject({ code: "STORE_STOPPED" });
});

test("gives a generation's source from the control database, also while the daemon is down", async () => {
  const { store, directory } = await openTestStore();
  const generation = {
    id: "00112233aabbccdd",
    origin: "local",
    createdAt: 5,
    files: [{ path: "g.yaml", sha256: "ff", source: "agents:" }],
  };
  await store.control.saveGeneration(generation);
  await store.stop();
  expect(generationById(join(directory, "control.db"), generation.id)).toEqual(generation);
  expect(generationById(join(directory, "control.db"), "other")).toBeUndefined();
});

test("says that there is no database yet", () => {
  expect(() => openForReading(join(temporaryDirectory(), "records.db"), recordsSchema)).toThrow(
    expect.objectContaining({ code: "STORE_MISSING" }),
  );
});
