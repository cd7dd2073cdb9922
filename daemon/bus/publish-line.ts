import type { BusCommand, Gate, Sent } from "../act/tool.ts";
import { PendingPublish } from "./pending-publish.ts";
import { type PublishLimits, publishProblem, sentOf } from "./publish-packet.ts";

/** What the line writes to: one live connection. */
export interface Wire {
  /** Nothing waits in our own buffers: what is written goes to the kernel in this turn. */
  readonly isClear: boolean;
  /** Writes one PUBLISH in this turn. Its packet id, or undefined when nothing was written. */
  write(command: BusCommand): number | undefined;
  /** Asks the broker for a sign of life. */
  probe(): void;
  /** Called when nobody answers any more: the connection is of no use, and what is in its buffers must not leave. */
  giveUp(): void;
  /** How many packets have come from the broker. */
  readonly received: number;
}

interface Written {
  readonly pending: PendingPublish;
  /** What had been received when it was written. */
  readonly received: number;
  readonly serial: number;
}

const MOST_WAITING = 1_000;
const SIGN_OF_LIFE_MS = 2_000;

/**
 * Commands on one connection: so many unanswered as the broker allows, the others wait their turn and ask their gate
 * when it has come. Ends with its connection; nothing is carried over to the next.
 */
export class PublishLine {
  readonly #wire: Wire;
  readonly #window: number;
  readonly #limits: PublishLimits;
  readonly #written = new Map<number, Written>();
  #waiting: PendingPublish[] = [];
  #serial = 0;
  #isClosed = false;
  #doubt: NodeJS.Timeout | undefined;

  constructor(wire: Wire, window: number, limits: PublishLimits) {
    this.#wire = wire;
    this.#window = window;
    this.#limits = limits;
  }

  /** How many have been written. */
  get serial(): number {
    return this.#serial;
  }

  /** Whether the first so many have their answers, also those that nobody waits for any more. */
  hasAnswersTo(serial: number): boolean {
    const [oldest] = this.#written.values();
    return oldest === undefined || oldest.serial > serial;
  }

  publish(command: BusCommand, gate: Gate, signal: AbortSignal): Promise<Sent> {
    const problem = publishProblem(command, this.#limits);
    if (problem !== undefined)
      return Promise.resolve({ kind: "failed", reason: problem, left: false, permanent: true });
    if (this.#isClosed) return Promise.resolve({ kind: "failed", reason: "notConnected", left: false });
    if (this.#waiting.length >= MOST_WAITING) return Promise.resolve({ kind: "failed", reason: "busy", left: false });
    const pending = new PendingPublish(command, gate, signal);
    pending.onGivenUp = (isLate) => this.#givenUp(pending, isLate);
    this.#waiting.push(pending);
    this.advance();
    return pending.result;
  }

  /** Writes what may be written now. */
  advance(): void {
    while (!this.#isClosed && this.#written.size < this.#window && this.#wire.isClear) {
      const pending = this.#waiting.shift();
      if (pending === undefined) return;
      if (pending.mayLeave()) this.#write(pending);
    }
  }

  answered(packetId: number, reasonCode: number): void {
    const written = this.#written.get(packetId);
    if (written === undefined) return;
    this.#written.delete(packetId);
    written.pending.settle(sentOf(reasonCode));
    this.advance();
  }

  /** The connection is gone. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#doubt);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const pending of waiting) pending.lost();
    for (const { pending } of this.#written.values()) pending.lost();
    this.#written.clear();
  }

  #write(pending: PendingPublish): void {
    const { received } = this.#wire;
    const packetId = this.#wire.write(pending.command);
    if (packetId === undefined) {
      pending.settle({ kind: "failed", reason: "notConnected", left: false });
      return;
    }
    this.#serial += 1;
    this.#written.set(packetId, { pending, received, serial: this.#serial });
  }

  /** One that nobody waits for any more keeps its place: the broker counts it too. */
  #givenUp(pending: PendingPublish, isLate: boolean): void {
    this.#waiting = this.#waiting.filter((other) => other !== pending);
    const written = [...this.#written.values()];
    const mine = written.find((one) => one.pending === pending);
    if (mine === undefined) return;
    if (written.length >= this.#window && written.every((one) => one.pending.isSettled)) this.#wire.giveUp();
    else if (isLate && mine.received === this.#wire.received) this.#doubtIt();
  }

  /**
   * Nothing has come since a command that was not answered in time. If nobody is there, the kernel would still deliver
   * it when the network comes back, however late that is.
   */
  #doubtIt(): void {
    if (this.#doubt !== undefined) return;
    const { received } = this.#wire;
    this.#wire.probe();
    this.#doubt = setTimeout(() => {
      this.#doubt = undefined;
      if (received === this.#wire.received) this.#wire.giveUp();
    }, SIGN_OF_LIFE_MS);
  }
}
