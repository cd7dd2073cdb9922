import { type RecordKind, recordKinds, type Stream } from "../../sync/kinds.ts";
import type { Batch, Change, ReadingBlock, ReadingValue, SeenBlock, TallyDelta } from "./messages.ts";

const MINUTE_MS = 60_000;

export interface NewRecord {
  readonly stream: Stream;
  readonly kind: RecordKind;
  readonly agent: number;
  readonly id: string;
  readonly wallMs: number;
  readonly body: string;
}

export type Projection =
  | {
      readonly kind: "reading";
      readonly agent: number;
      readonly key: string;
      readonly timeMs: number;
      readonly arrivalMs: number;
      readonly values: readonly ReadingValue[];
    }
  | { readonly kind: "seenId"; readonly agent: number; readonly id: string }
  | Change;

/** The batch that is being filled: what came in since the last one was sent. */
export class OpenBatch {
  readonly batch: Batch;
  readonly callbacks: (() => void)[] = [];
  records = 0;
  bytes = 0;
  projections = 0;
  counted = false;
  #readings: ReadingBlock | undefined;
  #seen: SeenBlock | undefined;
  #tally: TallyDelta | undefined;

  constructor(number: number) {
    this.batch = {
      kind: "batch",
      number,
      streams: [],
      kinds: [],
      agents: [],
      walls: [],
      ids: [],
      bodies: [],
      readings: [],
      seen: [],
      changes: [],
      tallies: [],
    };
  }

  isEmpty(): boolean {
    return this.records === 0 && this.projections === 0 && !this.counted;
  }

  append(record: NewRecord): void {
    const batch = this.batch;
    batch.streams.push(record.stream);
    batch.kinds.push(recordKinds[record.kind]);
    batch.agents.push(record.agent);
    batch.walls.push(record.wallMs);
    batch.ids.push(record.id);
    batch.bodies.push(record.body);
    this.records += 1;
    this.bytes += record.body.length;
  }

  project(change: Projection): void {
    this.projections += 1;
    if (change.kind === "reading") {
      this.#reading(change.agent, change.key, change.timeMs, change.arrivalMs, change.values);
    } else if (change.kind === "seenId") {
      if (this.#seen === undefined || this.#seen.agent !== change.agent) this.#openSeen(change.agent);
      this.#seen?.ids.push(change.id);
      this.bytes += change.id.length;
    } else {
      this.batch.changes.push(change);
      if (change.kind === "windowCheckpoint") this.bytes += change.blob.length;
    }
  }

  count(agent: number, counter: string, n: number, wallMs: number): void {
    const minute = Math.floor(wallMs / MINUTE_MS) * MINUTE_MS;
    let tally = this.#tally;
    if (tally === undefined || tally.minute !== minute) {
      tally = { minute, agents: new Map() };
      this.#tally = tally;
      this.batch.tallies.push(tally);
      this.counted = true;
    }
    let counters = tally.agents.get(agent);
    if (counters === undefined) {
      counters = new Map();
      tally.agents.set(agent, counters);
    }
    counters.set(counter, (counters.get(counter) ?? 0) + n);
  }

  #reading(agent: number, key: string, timeMs: number, arrivalMs: number, values: readonly ReadingValue[]): void {
    let block = this.#readings;
    if (block === undefined || block.agent !== agent || block.width !== values.length) {
      block = this.batch.readings.find((one) => one.agent === agent && one.width === values.length);
      block ??= this.#openReadings(agent, values.length);
      this.#readings = block;
    }
    const numbers = block.numbers as number[];
    block.keys.push(key);
    numbers.push(timeMs, arrivalMs);
    for (let at = 0; at < values.length; at++) {
      const value = values[at];
      if (typeof value === "number") {
        numbers.push(value);
        continue;
      }
      if (value !== null && value !== undefined) block.others.push([numbers.length, value]);
      numbers.push(Number.NaN);
    }
    this.bytes += key.length + 16 + 8 * values.length;
  }

  #openReadings(agent: number, width: number): ReadingBlock {
    const block: ReadingBlock = { agent, width, keys: [], numbers: [], others: [] };
    this.batch.readings.push(block);
    return block;
  }

  #openSeen(agent: number): void {
    let block = this.batch.seen.find((one) => one.agent === agent);
    if (block === undefined) {
      block = { agent, ids: [] };
      this.batch.seen.push(block);
    }
    this.#seen = block;
  }
}
