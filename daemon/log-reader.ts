import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Decision } from "../sync/records.ts";
import { DaemonError } from "./errors.ts";
import { type RecordFilter, recordById, recordPage, type StoredRow } from "./store/queries.ts";
import { recordsSchema } from "./store/schema.ts";
import { openForReading, type ReadDatabase } from "./store/sqlite-reader.ts";

/** A decision with its place in the log. */
export interface PlacedDecision {
  readonly n: number;
  readonly epoch: number;
  readonly stream: number;
  readonly seq: number;
  readonly decision: Decision;
}

export type DecisionFilter = Omit<RecordFilter, "kinds" | "limit" | "newestFirst">;

/** The log of a data directory, read from outside, whether the daemon runs or not. */
export class LogReader {
  readonly #database: ReadDatabase;

  constructor(dataDirectory: string) {
    const path = join(dataDirectory, "records.db");
    if (!existsSync(path))
      throw new DaemonError(
        "NO_DATA",
        { path },
        { hint: "Name the data directory with --data, or its configuration with --config." },
      );
    this.#database = openForReading(path, recordsSchema);
  }

  /** The newest `limit` decisions, oldest of them first. */
  newest(filter: DecisionFilter, limit: number): PlacedDecision[] {
    const found: PlacedDecision[] = [];
    let beforeN = filter.beforeN;
    for (;;) {
      const page = recordPage(this.#database, {
        ...filter,
        kinds: ["decision"],
        beforeN,
        limit: Math.min(500, limit - found.length),
        newestFirst: true,
      });
      found.push(...page.rows.map(placed));
      if (page.next === undefined || found.length >= limit) return found.reverse();
      beforeN = page.next;
    }
  }

  /** All decisions from `afterN` on, in pages; the generator may be stopped at any time. */
  *all(filter: DecisionFilter): Generator<PlacedDecision> {
    let afterN = filter.afterN;
    for (;;) {
      const page = recordPage(this.#database, {
        ...filter,
        kinds: ["decision"],
        afterN,
        limit: 500,
        newestFirst: false,
      });
      for (const row of page.rows) yield placed(row);
      if (page.next === undefined) return;
      afterN = page.next;
    }
  }

  byId(id: string): PlacedDecision {
    const row = recordById(this.#database, id);
    if (row === undefined || !row.body.includes('"kind":"decision"'))
      throw new DaemonError("NO_SUCH_DECISION", { id }, { hint: "holdfast decisions lists them with their ids." });
    return placed(row);
  }

  close(): void {
    this.#database.close();
  }
}

function placed(row: StoredRow): PlacedDecision {
  const { n, epoch, stream, seq } = row;
  return { n, epoch, stream, seq, decision: JSON.parse(row.body) as Decision };
}
