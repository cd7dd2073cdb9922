import type { LogPages } from "../log-pages.ts";
import type { RecordFilter, StoredRow } from "../store/queries.ts";
import {
  type ActionFacts,
  actionOf,
  type Entry,
  type EntryFilter,
  entryOf,
  factsOf,
  fits,
  toldBody,
  toldKinds,
} from "./timeline.ts";

const PAGE_ROWS = 500;
const REMEMBERED_ACTIONS = 20_000;

export interface StoryFilter extends EntryFilter {
  readonly sinceMs?: number | undefined;
  readonly untilMs?: number | undefined;
}

/** Records of what was done, with the action that each is about. */
export class Story {
  readonly #pages: Pick<LogPages, "page">;
  readonly #filter: StoryFilter;
  readonly #asked: Pick<RecordFilter, "kinds" | "sinceMs" | "untilMs">;
  readonly #actions = new Map<string, ActionFacts | undefined>();

  constructor(pages: Pick<LogPages, "page">, filter: StoryFilter) {
    this.#pages = pages;
    this.#filter = filter;
    this.#asked = { kinds: toldKinds, sinceMs: filter.sinceMs, untilMs: filter.untilMs };
  }

  /** All of them, oldest first, a page at a time. */
  async *all(): AsyncGenerator<Entry[]> {
    for await (const rows of this.#rows(this.#asked, false)) {
      for (const row of rows) this.#learn(row);
      yield await this.#told(rows);
    }
  }

  /** The newest `limit`, oldest of them first. */
  async newest(limit: number): Promise<Entry[]> {
    const found: Entry[] = [];
    for await (const rows of this.#rows(this.#asked, true)) {
      // What follows from an action is read before it: facts of a whole page are gathered first.
      for (const row of rows) this.#learn(row);
      found.push(...(await this.#told(rows)));
      if (found.length >= limit) break;
    }
    return found.slice(0, limit).reverse();
  }

  async *#rows(
    asked: Pick<RecordFilter, "kinds" | "sinceMs" | "untilMs">,
    newestFirst: boolean,
  ): AsyncGenerator<readonly StoredRow[]> {
    let next: number | undefined;
    do {
      const from = newestFirst ? { beforeN: next } : { afterN: next };
      const page = await this.#pages.page({ ...asked, ...from, limit: PAGE_ROWS, newestFirst });
      if (page.rows.length > 0) yield page.rows;
      next = page.next;
    } while (next !== undefined);
  }

  #learn(row: StoredRow): void {
    const body = toldBody(row);
    const action = body === undefined ? undefined : actionOf(body);
    const facts = body === undefined ? undefined : factsOf(body);
    if (action !== undefined && facts !== undefined) this.#remember(action, facts);
  }

  async #told(rows: readonly StoredRow[]): Promise<Entry[]> {
    const entries: Entry[] = [];
    for (const row of rows) {
      const body = toldBody(row);
      if (body === undefined) continue;
      const action = actionOf(body);
      const entry = entryOf(row, body, action === undefined ? undefined : await this.#factsOf(action));
      if (fits(entry, this.#filter)) entries.push(entry);
    }
    return entries;
  }

  /** Of an action that was told on another page: looked for once. */
  async #factsOf(action: string): Promise<ActionFacts | undefined> {
    if (this.#actions.has(action)) return this.#actions.get(action);
    // An id begins with the millisecond of its row (RFC 9562, 5.7), so only rows of that moment have to be read.
    const atMs = Number.parseInt(action.replaceAll("-", "").slice(0, 12), 16);
    const moment = { kinds: ["proposal", "intent"], sinceMs: atMs, untilMs: atMs } as const;
    for await (const rows of this.#rows(moment, false)) for (const row of rows) this.#learn(row);
    if (!this.#actions.has(action)) this.#remember(action, undefined);
    return this.#actions.get(action);
  }

  #remember(action: string, facts: ActionFacts | undefined): void {
    const [oldest] = this.#actions.keys();
    if (this.#actions.size >= REMEMBERED_ACTIONS && oldest !== undefined) this.#actions.delete(oldest);
    this.#actions.set(action, facts);
  }
}
