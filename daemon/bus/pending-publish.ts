import { setMaxListeners } from "node:events";
import type { BusCommand, Gate, Sent } from "../act/tool.ts";

/** One command on its way, settled once: by the answer to it, by its time, or by its signal. */
export class PendingPublish {
  readonly command: BusCommand;
  readonly result: Promise<Sent>;
  /** Told when it is settled otherwise than by its owner; `isLate`: by its time. */
  onGivenUp: (isLate: boolean) => void = () => {};
  readonly #gate: Gate;
  readonly #signal: AbortSignal;
  readonly #timer: NodeJS.Timeout;
  readonly #abort = (): void => this.#giveUp(false, "stopped", "stopped");
  #resolve: (sent: Sent) => void = () => {};
  #isSettled = false;
  #isWritten = false;

  constructor(command: BusCommand, gate: Gate, signal: AbortSignal) {
    this.command = command;
    this.#gate = gate;
    this.#signal = signal;
    this.result = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    this.#timer = setTimeout(() => this.#giveUp(true, "busy", "noAcknowledgement"), command.timeoutMs);
    // All commands of a daemon may share one signal.
    setMaxListeners(0, signal);
    if (signal.aborted) this.#abort();
    else signal.addEventListener("abort", this.#abort, { once: true });
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** To be asked right before the write, in the same turn. From a yes on it counts as written. */
  mayLeave(): boolean {
    if (this.#isSettled) return false;
    this.#isWritten = this.#isOpen();
    if (!this.#isWritten) this.settle({ kind: "failed", reason: "stopped", left: false });
    return this.#isWritten;
  }

  settle(sent: Sent): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    clearTimeout(this.#timer);
    this.#signal.removeEventListener("abort", this.#abort);
    this.#resolve(sent);
  }

  /** Nobody will answer any more. */
  lost(): void {
    if (this.#isWritten) this.settle({ kind: "unknown", reason: "connectionLost" });
    else this.settle({ kind: "failed", reason: "notConnected", left: false });
  }

  #giveUp(isLate: boolean, before: string, after: string): void {
    if (this.#isSettled) return;
    if (this.#isWritten) this.settle({ kind: "unknown", reason: after });
    else this.settle({ kind: "failed", reason: before, left: false });
    this.onGivenUp(isLate);
  }

  #isOpen(): boolean {
    try {
      return this.#gate();
    } catch {
      // Nobody knows what it would have said, so it said no.
      return false;
    }
  }
}
