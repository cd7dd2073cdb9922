import { recordsSchema } from "../../../daemon/store/schema.ts";
import { openForReading, type ReadDatabase } from "../../../daemon/store/sqlite-reader.ts";
import { recordKinds } from "../../../sync/kinds.ts";
import type { Intent, Outcome, Proposal } from "../../../sync/records.ts";

/** Where a record lay: `isLost` once an older database was put in the place of its own. */
export interface Placed {
  readonly n: number;
  readonly epoch: number;
  isLost: boolean;
}

export interface IntentLine extends Placed {
  /** The action's id: of the proposal, where there was one. */
  readonly action: string;
  readonly intent: Intent;
  readonly token: string;
}

export interface OutcomeLine extends Placed {
  readonly outcome: Outcome;
}

export interface EpochLine {
  readonly ordinal: number;
  readonly reason: string;
  readonly startedBootMs: number;
}

interface Row {
  readonly n: number;
  readonly epoch: number;
  readonly kind: number;
  readonly body: string;
}

const { intent: INTENT, outcome: OUTCOME, proposal: PROPOSAL } = recordKinds;

/** All that the daemon ever wrote down of actions, also what a database had that was replaced by an older one. */
export class Gathered {
  readonly intents = new Map<string, IntentLine>();
  /** Of a tool and token, for effects that carry no idempotency key. */
  readonly byToken = new Map<string, IntentLine[]>();
  readonly outcomes = new Map<string, OutcomeLine[]>();
  readonly epochs = new Map<string, EpochLine>();
  /** By state and reason. */
  readonly refused = new Map<string, number>();
  proposals = 0;
  #lastN = 0;

  /** Reads what is new in a database that nobody writes just now. */
  take(path: string): void {
    const database = openForReading(path, recordsSchema);
    try {
      this.#epochs(database);
      const rows = database
        .prepare("SELECT n, epoch, kind, body FROM record WHERE n > ? AND kind IN (?, ?, ?) ORDER BY n")
        .iterate(this.#lastN, INTENT, OUTCOME, PROPOSAL) as IterableIterator<Row>;
      for (const row of rows) this.#row(row);
      this.#lastN = lastNOf(database);
    } finally {
      database.close();
    }
  }

  /** The database was replaced by one that ends here. */
  wentBackTo(path: string): void {
    const database = openForReading(path, recordsSchema);
    const n = lastNOf(database);
    database.close();
    this.#lastN = n;
    const lines = [...this.intents.values(), ...[...this.outcomes.values()].flat()];
    for (const line of lines) if (line.n > n) line.isLost = true;
  }

  #epochs(database: ReadDatabase): void {
    const rows = database.prepare("SELECT ordinal, hex(id) AS id, reason, startedBootMs FROM epoch").all();
    for (const row of rows as (EpochLine & { id: string })[]) this.epochs.set(row.id, row);
  }

  #row({ n, epoch, kind, body }: Row): void {
    const place = { n, epoch, isLost: false };
    if (kind === OUTCOME) {
      const outcome = JSON.parse(body) as Outcome;
      push(this.outcomes, outcome.intent, { ...place, outcome });
    } else if (kind === INTENT) {
      const intent = JSON.parse(body) as Intent;
      const token = String(intent.arguments["token"] ?? "");
      const line = { ...place, action: intent.proposal ?? intent.id, intent, token };
      this.intents.set(intent.idempotencyKey, line);
      push(this.byToken, `${intent.tool} ${token}`, line);
    } else {
      const { state, reason = "", tool } = JSON.parse(body) as Proposal;
      this.proposals += 1;
      const why = `${tool} ${state} ${reason.split(":")[0]}`;
      this.refused.set(why, (this.refused.get(why) ?? 0) + 1);
    }
  }
}

function lastNOf(database: ReadDatabase): number {
  return Number(database.prepare("SELECT coalesce(max(n), 0) FROM record").pluck().get());
}

function push<T>(lists: Map<string, T[]>, key: string, value: T): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}
