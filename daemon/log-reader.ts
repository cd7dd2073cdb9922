import { accessSync, constants, existsSync } from "node:fs";
import { join } from "node:path";
import { type Decision, type RecordKind, readDecision } from "../sync/records.ts";
import { callDaemon } from "./api/control-client.ts";
import { DaemonError } from "./errors.ts";
import { digestFinder } from "./model-digests.ts";
import { type Page, type RecordFilter, recordById, recordPage, type StoredRow } from "./store/queries.ts";
import { recordsSchema } from "./store/schema.ts";
import { openForReading } from "./store/sqlite-reader.ts";

/** A decision with its place in the log. */
export interface PlacedDecision {
  readonly n: number;
  readonly epoch: number;
  readonly stream: number;
  readonly seq: number;
  readonly decision: Decision;
}

export type DecisionFilter = Omit<RecordFilter, "kinds" | "limit" | "newestFirst">;

/** Where pages of the log come from. */
interface LogPages {
  page(filter: RecordFilter): Promise<Page>;
  byId(id: string): Promise<StoredRow | undefined>;
  close(): void;
}

const PAGE_ROWS = 500;

/** The decisions of a data directory, read in pages, so that nothing holds the database's WAL for long. */
export class LogReader {
  readonly #pages: LogPages;
  readonly #whole: (decision: Decision) => Decision;

  /** Reads the file itself, whether the daemon runs or not; without the right to, asks the daemon. */
  constructor(dataDirectory: string) {
    const path = join(dataDirectory, "records.db");
    this.#whole = isReadable(join(dataDirectory, "control.db")) ? digestFinder(dataDirectory) : (decision) => decision;
    if (isReadable(path)) this.#pages = filePages(path);
    else if (existsSync(dataDirectory) && !isReadable(dataDirectory)) this.#pages = daemonPages(dataDirectory);
    else if (existsSync(path)) this.#pages = daemonPages(dataDirectory);
    else {
      const hint = "Name the data directory with --data, or its configuration with --config.";
      throw new DaemonError("NO_DATA", { path }, { hint });
    }
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

function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

function filePages(path: string): LogPages {
  const database = openForReading(path, recordsSchema);
  return {
    page: async (filter) => recordPage(database, filter),
    byId: async (id) => recordById(database, id),
    close: () => database.close(),
  };
}

/** By the control socket: for people who may talk to the daemon and not read its files. */
function daemonPages(dataDirectory: string): LogPages {
  return {
    page: async (filter) => (await callDaemon({ dataDirectory, verb: "page", parameters: { ...filter } })) as Page,
    byId: async (id) =>
      ((await callDaemon({ dataDirectory, verb: "record", parameters: { id } })) as StoredRow | null) ?? undefined,
    close: () => undefined,
  };
}
