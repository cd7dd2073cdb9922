import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { ClockReading } from "../../sync/messages.ts";
import { MOST_BATCH_BYTES, MOST_BATCH_RECORDS, wireVersion } from "../../sync/messages.ts";
import type { Waiting } from "../../sync/outgoing.ts";
import { RangeSet } from "../../sync/range-set.ts";
import { streamNames } from "../../sync/records.ts";
import { writeDurably } from "../durable-file.ts";
import type { ReadDatabase } from "../store/sqlite-reader.ts";
import { batchIn, waitingIn } from "../store/uplink-queries.ts";

interface Options {
  readonly fleet: string;
  readonly gateway: string;
  readonly directory: string;
  readonly clock: ClockReading;
  /** True: leave off. */
  readonly isStopped: () => boolean;
  readonly progress: (done: number, total: number) => void;
}

export interface Exported {
  readonly files: number;
  readonly records: number;
  readonly bytes: number;
  /** Records that are more than the largest batch alone; they stay. */
  readonly tooLarge: number;
}

/**
 * Writes what waits for the fleet as the batches that would go over the link, each a file whose path is its topic. To be
 * carried to `holdfast-fleet import`; done again, or sent meanwhile, nothing comes twice.
 */
export function exportBatches(database: ReadDatabase, options: Options): Exported {
  const waiting = waitingIn(database).filter(({ lo, hi }) => lo <= hi);
  const total = waiting.reduce((sum, { lo, hi }) => sum + hi - lo + 1, 0);
  const session = randomBytes(8).toString("hex");
  const done = { files: 0, records: 0, bytes: 0, tooLarge: 0 };
  // Safety first, then as they were written: what is carried in part is carried in the best order.
  for (const one of [...waiting].sort((a, b) => a.stream - b.stream || a.ordinal - b.ordinal)) {
    const todo = new RangeSet([[one.lo, one.hi]]);
    for (const [from, to] of one.ranges) todo.remove(from, to);
    for (let range = todo.from(1); range !== undefined && !options.isStopped(); range = todo.from(1)) {
      const hi = exportOne(database, one, range[0], range[1], session, options, done);
      todo.remove(1, hi);
      options.progress(done.records, total);
    }
  }
  return done;
}

function exportOne(
  database: ReadDatabase,
  { epoch, ordinal, stream }: Waiting,
  from: number,
  to: number,
  session: string,
  { fleet, gateway, directory, clock }: Options,
  done: { files: number; records: number; bytes: number; tooLarge: number },
): number {
  const last = Math.min(to, from + MOST_BATCH_RECORDS - 1);
  const read = batchIn(database, {
    ...{ ordinal, from, to: last, mostBytes: MOST_BATCH_BYTES, largestBytes: MOST_BATCH_BYTES },
    header: { v: wireVersion, kind: "batch", session, epoch, ordinal, stream, clock, hist: true },
  });
  if (read.kind === "gone") return last;
  if (read.kind === "tooLarge") {
    done.tooLarge += 1;
    return read.seq;
  }
  const folder = join(directory, fleet, gateway, "up", streamNames[stream] ?? String(stream));
  mkdirSync(folder, { recursive: true });
  writeDurably(join(folder, `${epoch}-${read.lo}-${read.hi}.batch`), read.payload);
  done.files += 1;
  done.records += read.rows;
  done.bytes += read.payload.byteLength;
  return read.hi;
}
