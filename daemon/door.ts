import type { Delivery } from "./delivery.ts";

/** Somebody who takes deliveries when there is room, or is told why not. */
export interface Doorkeeper {
  readonly name: string;
  readonly priority: 0 | 1 | 2 | 3;
  readonly deadlineMs: number;
  readonly coalesces: boolean;
  accept(delivery: Delivery): void;
  refuse(delivery: Delivery, end: "shed" | "coalesced", reason: string): void;
  /** How many more passes it may open now. */
  room(): number;
}

interface Entry {
  readonly agent: Doorkeeper;
  delivery: Delivery | undefined;
}

/** One first-in-first-out queue; coalesced and shed entries leave a hole that is passed over. */
class Lane {
  entries: Entry[] = [];
  head = 0;
  waiting = 0;

  push(entry: Entry): void {
    this.entries.push(entry);
    this.waiting += 1;
  }

  first(): Entry | undefined {
    while (this.head < this.entries.length && this.entries[this.head]?.delivery === undefined) this.head += 1;
    if (this.head > 1024 && this.head * 2 > this.entries.length) {
      this.entries = this.entries.slice(this.head);
      this.head = 0;
    }
    return this.entries[this.head];
  }
}

export interface DoorOptions {
  /** How many deliveries may wait, by priority. */
  readonly limits: readonly [number, number, number, number];
  readonly nowBootMs: () => number;
  /** The log takes no more for now. */
  readonly isBlocked: () => boolean;
  /** The most important priority that any agent has: its queue decides when senders are slowed down. */
  readonly leading?: 0 | 1 | 2 | 3;
  /** Told when the leading queue is half full, and again when it is nearly empty. */
  readonly onPressure?: (isHigh: boolean) => void;
}

/**
 * The door: a delivery goes straight through while there is room, else waits in the bounded queue of its priority.
 * Safety goes first; background is shed first, with its reason. Offered = taken + coalesced + shed + waiting, always.
 */
export class Door {
  readonly #lanes: readonly Lane[] = [new Lane(), new Lane(), new Lane(), new Lane()];
  readonly #newest = new Map<Doorkeeper, Map<string, Entry>>();
  readonly #options: DoorOptions;
  readonly #queued = new Map<Doorkeeper, number>();
  readonly #highMark: number;
  #isHigh = false;
  #isWoken = false;

  constructor(options: DoorOptions) {
    this.#options = options;
    this.#highMark = options.limits[options.leading ?? 0] / 2;
  }

  queuedOf(agent: Doorkeeper): number {
    return this.#queued.get(agent) ?? 0;
  }

  offer(agent: Doorkeeper, delivery: Delivery): void {
    const lane = this.#lanes[agent.priority] as Lane;
    if (lane.waiting === 0 && agent.room() > 0 && !this.#options.isBlocked()) {
      agent.accept(delivery);
      return;
    }
    if (agent.coalesces && this.#replace(agent, delivery)) return;
    if (lane.waiting >= this.#options.limits[agent.priority]) {
      agent.refuse(delivery, "shed", "queueFull");
      return;
    }
    const entry: Entry = { agent, delivery };
    lane.push(entry);
    this.#queued.set(agent, this.queuedOf(agent) + 1);
    if (!this.#isHigh && agent.priority === this.#options.leading && lane.waiting >= this.#highMark) this.#press(true);
    if (agent.coalesces) this.#remember(agent, delivery.key, entry);
  }

  /** Room may have come: what waits is looked at once in this turn of the loop. */
  readonly wake = (): void => {
    if (this.#isWoken || this.waiting === 0) return;
    this.#isWoken = true;
    setImmediate(() => {
      this.#isWoken = false;
      this.pump();
    });
  };

  /** Takes what there is room for, safety first. Called when answers or commits have made room. */
  pump(): void {
    this.#takeAll();
    if (this.#isHigh && (this.#lanes[this.#options.leading ?? 0] as Lane).waiting < this.#highMark / 4)
      this.#press(false);
  }

  #takeAll(): void {
    if (this.#options.isBlocked()) return;
    for (const lane of this.#lanes) {
      for (let entry = lane.first(); entry !== undefined; entry = lane.first()) {
        const { agent, delivery } = entry;
        if (delivery === undefined) break;
        const waitedMs = this.#options.nowBootMs() - delivery.receivedBootMs;
        if (waitedMs > agent.deadlineMs) {
          this.#leave(lane, entry);
          agent.refuse(delivery, "shed", "deadline");
          continue;
        }
        if (agent.room() <= 0 || this.#options.isBlocked()) break;
        this.#leave(lane, entry);
        agent.accept(delivery);
      }
    }
  }

  /**
   * Less important queues shed when they are full; the leading one slows senders down instead. A flood of background
   * messages must not keep safety's from being read, and a flood of safety's must not be thrown away.
   */
  #press(isHigh: boolean): void {
    this.#isHigh = isHigh;
    this.#options.onPressure?.(isHigh);
  }

  get waiting(): number {
    return this.#lanes.reduce((sum, lane) => sum + lane.waiting, 0);
  }

  #leave(lane: Lane, entry: Entry): void {
    const { agent, delivery } = entry;
    entry.delivery = undefined;
    lane.waiting -= 1;
    this.#queued.set(agent, this.queuedOf(agent) - 1);
    if (delivery !== undefined && agent.coalesces) {
      const newest = this.#newest.get(agent);
      if (newest?.get(delivery.key) === entry) newest.delete(delivery.key);
    }
  }

  /** The newest of a key takes the place of the one that waits; the older one was coalesced. */
  #replace(agent: Doorkeeper, delivery: Delivery): boolean {
    const entry = this.#newest.get(agent)?.get(delivery.key);
    const before = entry?.delivery;
    if (entry === undefined || before === undefined) return false;
    entry.delivery = delivery;
    agent.refuse(before, "coalesced", "latest");
    return true;
  }

  #remember(agent: Doorkeeper, key: string, entry: Entry): void {
    let newest = this.#newest.get(agent);
    if (newest === undefined) {
      newest = new Map();
      this.#newest.set(agent, newest);
    }
    newest.set(key, entry);
  }
}
