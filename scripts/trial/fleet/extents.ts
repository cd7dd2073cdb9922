import { join } from "node:path";
import { recordsSchema } from "../../../daemon/store/schema.ts";
import { openForReading } from "../../../daemon/store/sqlite-reader.ts";
import type { SeqRange } from "../../../sync/messages.ts";

/** How far each stream of a start went, and which of its rows are in the file; by "epoch/stream". */
export interface Extent {
  readonly hi: number;
  readonly rows: ReadonlyMap<number, string>;
  /** What the gateway believes that the fleet has. */
  readonly acknowledged: readonly SeqRange[];
}

/** What the log in a data directory has; while no daemon runs. */
export function extentsIn(data: string): Map<string, Extent> {
  const database = openForReading(join(data, "records.db"), recordsSchema);
  try {
    const found = new Map<string, { hi: number; rows: Map<number, string>; acknowledged: SeqRange[] }>();
    const at = (name: string) => {
      const known = found.get(name) ?? { hi: 0, rows: new Map<number, string>(), acknowledged: [] };
      found.set(name, known);
      return known;
    };
    const rows = database.prepare(
      "SELECT lower(hex(epoch.id)) AS epoch, stream, seq, lower(hex(hash)) AS hash FROM record JOIN epoch ON ordinal = record.epoch",
    );
    for (const row of rows.iterate() as Iterable<{ epoch: string; stream: number; seq: number; hash: string }>) {
      const one = at(`${row.epoch}/${row.stream}`);
      one.rows.set(row.seq, row.hash);
      one.hi = Math.max(one.hi, row.seq);
    }
    const gone = database.prepare(
      "SELECT lower(hex(epoch.id)) AS epoch, stream, toSeq FROM dropped JOIN epoch ON ordinal = dropped.epoch",
    );
    for (const row of gone.all() as { epoch: string; stream: number; toSeq: number }[]) {
      const one = at(`${row.epoch}/${row.stream}`);
      one.hi = Math.max(one.hi, row.toSeq);
    }
    const told = database.prepare(
      "SELECT lower(hex(epoch.id)) AS epoch, stream, contiguous, ranges FROM acknowledged JOIN epoch ON ordinal = acknowledged.epoch",
    );
    for (const row of told.all() as { epoch: string; stream: number; contiguous: number; ranges: string }[])
      at(`${row.epoch}/${row.stream}`).acknowledged.push(
        [1, row.contiguous],
        ...(JSON.parse(row.ranges) as SeqRange[]),
      );
    return found;
  } finally {
    database.close();
  }
}
