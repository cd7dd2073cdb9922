import { join } from "node:path";
import { type Decision, type RecordKind, readDecision } from "../sync/records.ts";
import { type ActionLine, actionLine } from "./act/action-line.ts";
import { DaemonError } from "./errors.ts";
import { isReadable, type LogPages, openLogPages } from "./log-pages.ts";
import { digestFinder } from "./model-digests.ts";
import type { RecordFilter, StoredRow } from "./store/queries.ts";
import type { ActionFilter } from "./store/tables/action.ts";

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

  /** All records of these kinds, oldest first, a page at a time. */
  async *records(filter: DecisionFilter, kinds: readonly RecordKind[]): AsyncGenerator<readonly StoredRow[]> {
    let afterN = filter.afterN;
    for (;;) {
      const page = await this.#pages.page({ ...filter, kinds, afterN, limit: PAGE_ROWS, newestFirst: false });
      if (page.rows.length > 0) yield page.rows;
      if (page.next === undefined) return;
      afterN = page.next;
    }
  }

  /** A decision by its own id, or by that of an action which it proposed. */
  async byId(id: string): Promise<PlacedDecision> {
    const row = await this.#pages.byId(id);
    if (row?.body.includes('"kind":"decision"')) return this.#placed(row);
    const { decision } = row === undefined ? {} : (JSON.parse(row.body) as { readonly decision?: string });
    const behind = decision === undefined ? undefined : await this.#pages.byId(decision);
    if (behind !== undefined) return this.#placed(behind);
    throw new DaemonError("NO_SUCH_DECISION", { id }, { hint: "holdfast decisions lists them with their ids." });
  }

  /** Actions of decisions that lie near each other in time, by decision. */
  async actionsOf(decisions: readonly string[]): Promise<ReadonlyMap<string, readonly ActionLine[]>> {
    const lines = (await this.#pages.actionsOf(decisions)).map(actionLine);
    const by = new Map<string, ActionLine[]>();
    for (const line of lines) by.set(line.decision ?? "", [...(by.get(line.decision ?? "") ?? []), line]);
    return by;
  }

  /** The newest `limit` actions, oldest of them first. */
  async newestActions(
    filter: Omit<ActionFilter, "limit" | "newestFirst" | "after">,
    limit: number,
  ): Promise<ActionLine[]> {
    const found: ActionLine[] = [];
    for (let after: string | undefined; found.length < limit; ) {
      const wanted = Math.min(PAGE_ROWS, limit - found.length);
      const page = await this.#pages.actions({ ...filter, after, limit: wanted, newestFirst: true });
      found.push(...page.map(actionLine));
      after = found.at(-1)?.intent;
      if (page.length < wanted) break;
    }
    return found.reverse();
  }

  /** All actions in the order in which they were proposed, a page at a time. */
  async *actionPages(filter: Omit<ActionFilter, "limit" | "newestFirst">): AsyncGenerator<ActionLine[]> {
    for (let after = filter.after; ; ) {
      const page = await this.#pages.actions({ ...filter, after, limit: PAGE_ROWS, newestFirst: false });
      const lines = page.map(actionLine);
      if (lines.length > 0) yield lines;
      if (lines.length < PAGE_ROWS) return;
      after = lines.at(-1)?.intent;
    }
  }

  close(): void {
    this.#pages.close();
  }

  #placed(row: StoredRow): PlacedDecision {
    const { n, epoch, stream, seq } = row;
    return { n, epoch, stream, seq, decision: this.#whole(readDecision(row.body)) };
  }
}
