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
  delivery: Delivery;
}

/** What waits for one agent, first in, first out. */
class Line {
  readonly agent: Doorkeeper;
  /** Where an agent coalesces: the entry that waits for each key. */
  readonly newest = new Map<string, Entry>();
  #entries: (Entry | undefined)[] = [];
  #head = 0;

  constructor(agent: Doorkeeper) {
    this.agent = agent;
  }

  get waiting(): number {
    return this.#entries.length - this.#head;
  }

  first(): Entry | undefined {
    return this.#entries[this.#head];
  }

  push(delivery: Delivery): void {
    const entry: Entry = { delivery };
    this.#entries.push(entry);
    if (this.agent.coalesces) this.newest.set(delivery.key, entry);
  }

  /** The first one leaves. */
  leave(): void {
    const entry = this.first();
    this.#entries[this.#head] = undefined;
    this.#head += 1;
    if (entry !== undefined && this.agent.coalesces) this.newest.delete(entry.delivery.key);
    if (this.waiting > 0 && (this.#head < 1024 || this.#head < this.waiting)) return;
    this.#entries = this.#entries.slice(this.#head);
    this.#head = 0;
  }
}

/** The agents of one priority, a line each: one that waits for a hung model does not keep the others waiting. */
class Lane {
  readonly lines: Line[] = [];
  waiting = 0;

  lineOf(agent: Doorkeeper): Line | undefined {
    for (const line of this.lines) if (line.agent === agent) return line;
    return undefined;
  }

  push(agent: Doorkeeper, delivery: Delivery): void {
    let line = this.lineOf(agent);
    if (line === undefined) {
      line = new Line(agent);
      this.lines.push(line);
    }
    line.push(delivery);
    this.waiting += 1;
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
 * The door: a delivery goes straight through while there is room, else waits in the bounded queue of its priority, in
 * the line of its agent. Safety goes first; background is shed first, with its reason. Offered = taken + coalesced + shed + waiting, always.
 */
export class Door {
  readonly #lanes: readonly Lane[] = [new Lane(), new Lane(), new Lane(), new Lane()];
  readonly #options: DoorOptions;
  readonly #highMark: number;
  #isHigh = false;
  #isWoken = false;

  constructor(options: DoorOptions) {
    this.#options = options;
    this.#highMark = options.limits[options.leading ?? 0] / 2;
  }

  queuedOf(agent: Doorkeeper): number {
    return this.#lane(agent).lineOf(agent)?.waiting ?? 0;
  }

  offer(agent: Doorkeeper, delivery: Delivery): void {
    const lane = this.#lane(agent);
    const line = lane.waiting === 0 ? undefined : lane.lineOf(agent);
    if ((line === undefined || line.waiting === 0) && agent.room() > 0 && !this.#options.isBlocked()) {
      agent.accept(delivery);
      return;
    }
    if (line !== undefined && replace(line, delivery)) return;
    if (lane.waiting >= this.#options.limits[agent.priority]) {
      agent.refuse(delivery, "shed", "queueFull");
      return;
    }
    lane.push(agent, delivery);
    if (!this.#isHigh && agent.priority === this.#options.leading && lane.waiting >= this.#highMark) this.#press(true);
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

  /** One of each line in turn, so that agents that share a host get their turns too. */
  #takeAll(): void {
    for (const lane of this.#lanes) {
      for (let isMoving = lane.waiting > 0; isMoving; ) {
        isMoving = false;
        for (const line of lane.lines) if (this.#takeOne(lane, line)) isMoving = true;
      }
    }
  }

  /** The first of a line goes in, or is too late; false when none can. */
  #takeOne(lane: Lane, line: Line): boolean {
    const entry = line.first();
    if (entry === undefined || this.#options.isBlocked()) return false;
    const { agent } = line;
    const { delivery } = entry;
    const isLate = this.#options.nowBootMs() - delivery.receivedBootMs > agent.deadlineMs;
    if (!isLate && agent.room() <= 0) return false;
    line.leave();
    lane.waiting -= 1;
    if (isLate) agent.refuse(delivery, "shed", "deadline");
    else agent.accept(delivery);
    return true;
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

  #lane(agent: Doorkeeper): Lane {
    return this.#lanes[agent.priority] as Lane;
  }
}

/** The newest of a key takes the place of the one that waits; the older one was coalesced. */
function replace(line: Line, delivery: Delivery): boolean {
  const entry = line.newest.get(delivery.key);
  if (entry === undefined) return false;
  const before = entry.delivery;
  entry.delivery = delivery;
  line.agent.refuse(before, "coalesced", "latest");
  return true;
}
