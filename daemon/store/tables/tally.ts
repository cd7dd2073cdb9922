import type { TallyDelta } from "../messages.ts";
import type { Database, Statement } from "../sqlite-writer.ts";

const MINUTE_MS = 60_000;

interface OpenMinute {
  minute: number;
  firstN: number;
  lastN: number;
  counters: Map<string, number>;
  changed: boolean;
}

/** A minute of one agent that is over: what its roll-up record says. */
export interface EndedMinute {
  readonly agent: number;
  readonly minute: number;
  readonly firstN: number;
  readonly lastN: number;
  readonly counters: Record<string, number>;
}

/**
 * The counters of the minute that is not over yet, one small row an agent, written in the transaction of what they
 * count; and the sums of all minutes that are over.
 */
export class TallyTable {
  readonly #database: Database;
  readonly #put: Statement;
  readonly #remove: Statement;
  readonly #total: Statement;
  readonly #putTotal: Statement;
  readonly #open = new Map<number, OpenMinute>();
  #isDirty = false;

  constructor(database: Database) {
    this.#database = database;
    this.#put = database.prepare("INSERT OR REPLACE INTO tally VALUES (?, ?, ?, ?, ?)");
    this.#remove = database.prepare("DELETE FROM tally WHERE agent = ?");
    this.#total = database.prepare("SELECT counters FROM total WHERE agent = ?").pluck();
    this.#putTotal = database.prepare("INSERT OR REPLACE INTO total VALUES (?, ?)");
    this.reload();
  }

  /** From the table again: at start, and after a transaction that was rolled back. */
  reload(): void {
    this.#open.clear();
    this.#isDirty = false;
    const rows = this.#database.prepare("SELECT agent, minute, firstN, lastN, counters FROM tally").all();
    for (const row of rows as { agent: number; minute: number; firstN: number; lastN: number; counters: string }[]) {
      const counters = new Map(Object.entries(JSON.parse(row.counters) as Record<string, number>));
      this.#open.set(row.agent, { minute: row.minute, firstN: row.firstN, lastN: row.lastN, counters, changed: false });
    }
  }

  /** Adds what a batch counted. Minutes that thereby are over are given back, folded into the totals. */
  add(delta: TallyDelta): EndedMinute[] {
    const ended: EndedMinute[] = [];
    for (const [agent, counters] of delta.agents) {
      let open = this.#open.get(agent);
      if (open !== undefined && isOver(open.minute, delta.minute)) {
        ended.push(this.#end(agent, open));
        open = undefined;
      }
      open ??= this.#begin(agent, delta.minute);
      open.changed = true;
      this.#isDirty = true;
      for (const [counter, n] of counters) open.counters.set(counter, (open.counters.get(counter) ?? 0) + n);
    }
    return ended;
  }

  /** A record of this agent is from a later minute than the open one: that one is over. */
  endIfOver(agent: number, wallMs: number): EndedMinute | undefined {
    const open = this.#open.get(agent);
    if (open === undefined || (wallMs >= open.minute && wallMs < open.minute + MINUTE_MS)) return undefined;
    return isOver(open.minute, minuteOf(wallMs)) ? this.#end(agent, open) : undefined;
  }

  /** A record of this agent got number n: the roll-up names the first and the last of its minute. */
  place(agent: number, n: number, wallMs: number): void {
    let open = this.#open.get(agent);
    open ??= this.#begin(agent, minuteOf(wallMs));
    if (open.firstN === 0) open.firstN = n;
    open.lastN = n;
    open.changed = true;
    this.#isDirty = true;
  }

  /** Ends every minute before this one, or every minute that is open. */
  endBefore(minute: number): EndedMinute[] {
    const ended: EndedMinute[] = [];
    for (const [agent, open] of this.#open) if (isOver(open.minute, minute)) ended.push(this.#end(agent, open));
    return ended;
  }

  endAll(): EndedMinute[] {
    return [...this.#open].map(([agent, open]) => this.#end(agent, open));
  }

  /** Writes the open minutes that changed; called once, at the end of each transaction. */
  write(): void {
    if (!this.#isDirty) return;
    this.#isDirty = false;
    for (const [agent, open] of this.#open) {
      if (!open.changed) continue;
      open.changed = false;
      this.#put.run(agent, open.minute, open.firstN, open.lastN, JSON.stringify(Object.fromEntries(open.counters)));
    }
  }

  #begin(agent: number, minute: number): OpenMinute {
    const open: OpenMinute = { minute, firstN: 0, lastN: 0, counters: new Map(), changed: true };
    this.#open.set(agent, open);
    return open;
  }

  #end(agent: number, open: OpenMinute): EndedMinute {
    const counters = Object.fromEntries(open.counters);
    const before = this.#total.get(agent) as string | undefined;
    const total = before === undefined ? {} : (JSON.parse(before) as Record<string, number>);
    for (const [counter, n] of open.counters) total[counter] = (total[counter] ?? 0) + n;
    this.#putTotal.run(agent, JSON.stringify(total));
    this.#remove.run(agent);
    this.#open.delete(agent);
    return { agent, minute: open.minute, firstN: open.firstN, lastN: open.lastN, counters };
  }
}

/** A clock that is set back a little does not end the minute: what it counts goes into the open one. */
function isOver(openMinute: number, minute: number): boolean {
  return minute > openMinute || minute < openMinute - MINUTE_MS;
}

function minuteOf(wallMs: number): number {
  return Math.floor(wallMs / MINUTE_MS) * MINUTE_MS;
}
