import { join } from "node:path";
import { type Decision, readDecision } from "../sync/records.ts";
import { DaemonError } from "./errors.ts";
import { isReadable, type LogPages, openLogPages } from "./log-pages.ts";
import { digestFinder } from "./model-digests.ts";
import type { RecordFilter, StoredRow } from "./store/queries.ts";

/** A decision with its place in the log. */
export interface PlacedDecision {
  readonly n: number;
  readonly epoch: number;
  readonly stream: number;
  readonly seq: number;
  readonly decision: Decision;
}

export type DecisionFilter = Omit<RecordFilter, "kinds" | "limit" | "newestFirst">;

const PAGE_ROWS = 500;

/** The decisions of a data directory, read in pages, so that nothing holds the database's WAL for long. */
export class LogReader {
  readonly #pages: LogPages;
  readonly #whole: (decision: Decision) => Decision;

  /** Reads the file itself, whether the daemon runs or not; without the right to, asks the daemon. */
  constructor(dataDirectory: string) {
    this.#whole = isReadable(join(dataDirectory, "control.db")) ? digestFinder(dataDirectory) : (decision) => decision;
    this.#pages = openLogPages(dataDirectory);
  }

  /** The newest `limit` decisions, oldest of them first. */
  async newest(filter: DecisionFilter, limit: number): Promise<PlacedDecision[]> {
    const found: PlacedDecision[] = [];
    let beforeN = filter.beforeN;
    for (;;) {
      const wanted = Math.min(PAGE_ROWS, limit - found.length);
      const page = await this.#pages.page({
        ...filter,
        kinds: ["decision"],
        beforeN,
        limit: wanted,
        newestFirst: true,
      });
      found.push(...page.rows.map((row) => this.#placed(row)));
      if (page.next === undefined || found.length >= limit) return found.reverse();
      beforeN = page.next;
    }
  }

  /** All decisions from `afterN` on, a page at a time; may be left at any time. */
  async *pages(filter: DecisionFilter): AsyncGenerator<PlacedDecision[]> {
    let afterN = filter.afterN;
    for (;;) {
      const page = await this.#pages.page({
        ...filter,
        kinds: ["decision"],
        afterN,
        limit: PAGE_ROWS,
        newestFirst: false,
      });
      if (page.rows.length > 0) yield page.rows.map((row) => this.#placed(row));
      if (page.next === undefined) return;
      afterN = page.next;
    }
  }

  async byId(id: string): Promise<PlacedDecision> {
    const row = await this.#pages.byId(id);
    if (row?.body.includes('"kind":"decision"')) return this.#placed(row);
    throw new DaemonError("NO_SUCH_DECISION", { id }, { hint: "holdfast decisions lists them with their ids." });
  }

  close(): void {
    this.#pages.close();
  }

  #placed(row: StoredRow): PlacedDecision {
    const { n, epoch, stream, seq } = row;
    return { n, epoch, stream, seq, decision: this.#whole(readDecision(row.body)) };
  }
}
