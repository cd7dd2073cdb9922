import { expect, test } from "vitest";
import { Ledger } from "../../daemon/ledger.ts";
import type { Restored } from "../../daemon/store/messages.ts";
import type { Projection } from "../../daemon/store/open-batch.ts";
import { WindowKeeper } from "../../daemon/window-keeper.ts";
import { createWindows, type Windows } from "../../models/windows.ts";

const T0 = 1_700_000_000_000;
const SECOND = 1000;

/** What a start writes when it finds a journal that reaches back for so many seconds. */
function projectedAtStart(seconds: number): { kinds: string[]; count: number } {
  const windows = createWindows({
    spanMs: 30 * SECOND,
    lateMs: 0,
    minimumCoverage: 0,
    maxKeys: 10,
    maxReadings: 10_000,
    futureMs: 0,
    fields: [{ name: "a", missing: "reject" }],
    features: [{ fn: "count", field: "a", argument: undefined }],
  });
  const projected: Projection[] = [];
  const keeper = new WindowKeeper(
    {
      windows,
      store: { project: (change) => void projected.push(change), room: () => 100 },
      clock: { wallMs: () => T0, bootMs: () => 0, bootId: "b", trust: () => "synced" },
      ledger: new Ledger("a", { count: () => undefined }),
    },
    {
      agent: 1,
      journaled: true,
      everyMs: 60 * SECOND,
      reachMs: 30 * SECOND,
      fields: [{ name: "a", source: 0 }] as never,
    },
  );
  const keys = Array.from({ length: seconds }, () => "k");
  const numbers = keys.flatMap((_, at) => [T0 + at * SECOND, T0 + at * SECOND, 1]);
  const readings = [{ agent: 1, width: 1, keys, numbers, others: [] }];
  keeper.restore({ checkpoints: [], readings, meta: {} } as unknown as Restored);
  const row = windows.row("k");
  return { kinds: projected.map((one) => one.kind), count: row.ok ? row.count : 0 };
}

test("a start cuts a journal that has grown over many short lives, and keeps the window whole", () => {
  expect(projectedAtStart(400)).toEqual({ kinds: ["meta", "pruneReadings"], count: 30 });
});

test("a start after a usual life leaves the journal as it is", () => {
  expect(projectedAtStart(80)).toEqual({ kinds: [], count: 30 });
});

test("checkpoints are written in rounds, each of which says whether there is more", () => {
  const changed = ["a", "b", "c"];
  const written: string[] = [];
  const windows = { dirtyKeys: () => changed.splice(0), dump: () => new Uint8Array(600_000) } as unknown as Windows;
  const project = (change: Projection): void => {
    if (change.kind === "windowCheckpoint") written.push(change.key);
  };
  const keeper = new WindowKeeper(
    { windows, store: { project, room: () => 1 }, clock: {} as never, ledger: {} as never },
    { agent: 1, journaled: false, everyMs: 1, reachMs: 1, fields: [] },
  );
  expect([keeper.checkpoint(), written]).toEqual([true, ["a", "b"]]);
  expect([keeper.checkpoint(), written]).toEqual([false, ["a", "b", "c"]]);
});
