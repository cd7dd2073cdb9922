import { type ChildProcess, fork } from "node:child_process";
import { childPath } from "../../daemon/children.ts";
import { becomes } from "./claims.ts";
import { Sensor } from "./sensor.ts";

/** Something that reached the plant, or a mark that was put between. */
export interface Seen {
  readonly topic: string;
  readonly payload: string;
  /** Wall time in milliseconds, with fractions, in the observer's process. */
  readonly atMs: number;
}

const MARKS = "trial/mark";
const WAIT_MS = 60_000;

/**
 * Looks at what reaches the plant, from a process of its own. A broker hands messages on in the order in which it takes
 * them, so a mark that is published now comes before all that leaves the daemon from now on.
 */
export class Observer {
  readonly seen: Seen[] = [];
  /** How many effects there were so far. */
  count = 0;
  readonly #child: ChildProcess;
  readonly #marker: Sensor;
  #marks = 0;

  private constructor(child: ChildProcess, marker: Sensor) {
    this.#child = child;
    this.#marker = marker;
  }

  static async open(port: number, filters: readonly string[]): Promise<Observer> {
    const child = fork(childPath("scripts/trial/observer-main"), [String(port), ...filters, MARKS]);
    const marker = await new Sensor(port, "marker").open();
    const observer = new Observer(child, marker);
    await new Promise<void>((resolve, reject) => {
      child.once("exit", () => reject(new Error("the observer ended")));
      child.on("message", (message: Seen | "subscribed") => {
        if (message === "subscribed") resolve();
        else observer.#see(message);
      });
    });
    return observer;
  }

  /** What reached the plant, without marks. */
  get effects(): readonly Seen[] {
    return this.seen.filter(({ topic }) => topic !== MARKS);
  }

  /** Puts a mark between what left before and what leaves from now on. Resolves with its name when it is seen. */
  async mark(): Promise<string> {
    this.#marks += 1;
    const name = `mark ${this.#marks}`;
    this.#marker.publish(MARKS, name, 0);
    await becomes(() => this.#placeOf(name) >= 0, WAIT_MS);
    return name;
  }

  /** What the broker took after the mark. */
  since(mark: string): readonly Seen[] {
    return this.seen.slice(this.#placeOf(mark) + 1).filter(({ topic }) => topic !== MARKS);
  }

  /** Effects since a mark, and before another one. */
  between(first: string, last: string): readonly Seen[] {
    const part = this.seen.slice(this.#placeOf(first) + 1, this.#placeOf(last));
    return part.filter(({ topic }) => topic !== MARKS);
  }

  close(): void {
    this.#marker.close();
    this.#child.removeAllListeners("exit");
    this.#child.disconnect();
  }

  #see(one: Seen): void {
    this.seen.push(one);
    if (one.topic !== MARKS) this.count += 1;
  }

  #placeOf(name: string): number {
    return this.seen.findLastIndex(({ topic, payload }) => topic === MARKS && payload === name);
  }
}
