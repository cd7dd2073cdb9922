/** How a delivery ended. Each is counted exactly once. */
export type DeliveryEnd = "accepted" | "duplicate" | "late" | "invalid" | "coalesced" | "shed";
const ENDS: readonly DeliveryEnd[] = ["accepted", "duplicate", "late", "invalid", "coalesced", "shed"];

/** Where an ended delivery or pass is counted durably: the store's per-minute tally. */
export interface Tally {
  count(agent: string, counter: string, n: number, wallMs: number): void;
}

export interface Deliveries extends Record<DeliveryEnd, number> {
  total: number;
  queued: number;
}

export interface Passes {
  opened: number;
  decided: number;
  inFlight: number;
}

/**
 * The two ledgers of one agent: deliveries = accepted + duplicate + late + invalid + coalesced + shed + queued, and
 * passes opened = decided + in flight. What comes in and what becomes of it are counted at different places, so the
 * balance can fail; `queued` and `inFlight` are asked of the queue and the set of open passes themselves.
 */
export class Ledger {
  readonly agent: string;
  readonly #tally: Tally;
  readonly #ends: Record<DeliveryEnd, number> = {
    accepted: 0,
    duplicate: 0,
    late: 0,
    invalid: 0,
    coalesced: 0,
    shed: 0,
  };
  readonly #restoredEnds: Record<DeliveryEnd, number>;
  readonly #restored: Readonly<Record<string, number>>;
  readonly #kinds = new Map<string, number>();
  #deliveries = 0;
  #opened = 0;
  #decided = 0;
  queued: () => number = () => 0;
  inFlight: () => number = () => 0;

  /** `restored`: the counters of all earlier starts, as the log has them. */
  constructor(agent: string, tally: Tally, restored: Readonly<Record<string, number>> = {}) {
    this.agent = agent;
    this.#tally = tally;
    this.#restoredEnds = Object.fromEntries(ENDS.map((end) => [end, restored[end] ?? 0])) as Record<
      DeliveryEnd,
      number
    >;
    this.#restored = restored;
  }

  delivered(): void {
    this.#deliveries += 1;
  }

  /** Counted in memory; durably with what becomes of it, so that a delivery that a crash undid is not counted twice. */
  accepted(): void {
    this.#ends.accepted += 1;
  }

  acceptedForGood(wallMs: number): void {
    this.#tally.count(this.agent, "accepted", 1, wallMs);
  }

  ended(end: Exclude<DeliveryEnd, "accepted">, wallMs: number, reason?: string): void {
    this.#ends[end] += 1;
    this.#tally.count(this.agent, end, 1, wallMs);
    if (reason !== undefined) this.#tally.count(this.agent, `${end}:${reason}`, 1, wallMs);
  }

  opened(): void {
    this.#opened += 1;
  }

  decided(wallMs: number, kind: string): void {
    this.#decided += 1;
    this.#tally.count(this.agent, "decided", 1, wallMs);
    this.#kinds.set(kind, (this.#kinds.get(kind) ?? 0) + 1);
    this.#tally.count(this.agent, kind, 1, wallMs);
  }

  /** How many passes of all starts ended in this way: fired, quiet, fallback. */
  total(kind: string): number {
    return (this.#restored[kind] ?? 0) + (this.#kinds.get(kind) ?? 0);
  }

  note(counter: string, wallMs: number, n = 1): void {
    this.#tally.count(this.agent, counter, n, wallMs);
  }

  sinceStart(): { deliveries: number; passes: number } {
    return { deliveries: this.#deliveries, passes: this.#opened };
  }

  /** Over all starts. Deliveries of earlier starts that were only queued at a crash are a gap, not a delivery. */
  deliveries(): Deliveries {
    const sums = { ...this.#restoredEnds };
    let restored = 0;
    for (const end of ENDS) {
      restored += this.#restoredEnds[end];
      sums[end] += this.#ends[end];
    }
    return { total: restored + this.#deliveries, ...sums, queued: this.queued() };
  }

  passes(): Passes {
    return {
      opened: (this.#restored["decided"] ?? 0) + this.#opened,
      decided: (this.#restored["decided"] ?? 0) + this.#decided,
      inFlight: this.inFlight(),
    };
  }
}

/** The sum of many agents' ledgers. */
export function sumLedgers(ledgers: readonly Ledger[]): { deliveries: Deliveries; passes: Passes } {
  const deliveries: Deliveries = {
    total: 0,
    accepted: 0,
    duplicate: 0,
    late: 0,
    invalid: 0,
    coalesced: 0,
    shed: 0,
    queued: 0,
  };
  const passes: Passes = { opened: 0, decided: 0, inFlight: 0 };
  for (const ledger of ledgers) {
    const one = ledger.deliveries();
    for (const name of Object.keys(deliveries) as (keyof Deliveries)[]) deliveries[name] += one[name];
    const pass = ledger.passes();
    for (const name of Object.keys(passes) as (keyof Passes)[]) passes[name] += pass[name];
  }
  return { deliveries, passes };
}
