import type { Clock } from "../clock.ts";
import { fillTopic } from "./template.ts";
import type { Arguments, BusReading } from "./tool.ts";
import type { Reading, ToolPlan } from "./tool-plan.ts";

const MOST_TOPICS = 10_000;
const MOST_PAYLOAD_BYTES = 65_536;

interface Heard {
  readonly payload: unknown;
  readonly bootMs: number;
}

interface Waiter {
  readonly reading: Reading;
  readonly given: Arguments;
  readonly resolve: (payload: unknown) => void;
}

/**
 * What the bus says of the plant, for interlocks and readbacks. Stored messages are of an unknown age, and so never
 * count: a readback has to come after the effect, an interlock's reading has to be fresh.
 */
export class Readings {
  readonly #clock: Clock;
  readonly #last = new Map<string, Heard>();
  readonly #waiters = new Map<string, Set<Waiter>>();
  readonly #kept: (topic: string) => boolean;

  /** `kept`: topics whose last reading an interlock may ask for. */
  constructor(clock: Clock, kept: (topic: string) => boolean) {
    this.#clock = clock;
    this.#kept = kept;
  }

  readonly heard = ({ topic, payload, retained }: BusReading): void => {
    if (retained) return;
    const waiters = this.#waiters.get(topic);
    const isKept = this.#kept(topic);
    if (waiters === undefined && !isKept) return;
    const value = payload.length > MOST_PAYLOAD_BYTES ? undefined : payloadValue(payload);
    if (isKept) this.#keep(topic, value);
    for (const waiter of waiters ?? []) {
      if (waiter.reading.holds(value, waiter.given, this.#clock.wallMs()) === true) waiter.resolve(value);
    }
  };

  /** Why the readings that a tool requires do not let it act; undefined when they do. */
  refusal(plan: ToolPlan, given: Arguments): string | undefined {
    for (const one of plan.requires) {
      const topic = fillTopic(one.topic, given);
      const heard = topic === undefined ? undefined : this.#last.get(topic);
      if (heard === undefined) return `interlock: nothing was heard on ${topic ?? one.topic}`;
      const ageMs = this.#clock.bootMs() - heard.bootMs;
      if (ageMs > one.maxAgeMs) return `interlock: the last reading on ${topic} is ${Math.round(ageMs / 1000)} s old`;
      const holds = one.holds(heard.payload, given, this.#clock.wallMs());
      if (holds !== true) return `interlock: ${topic} says no${holds === false ? "" : ` (${holds})`}`;
    }
    return undefined;
  }

  /** Resolves with the first message from now on that shows the effect; undefined when the time is over. */
  async shown(reading: Reading, given: Arguments, withinMs: number, signal: AbortSignal): Promise<unknown> {
    const topic = fillTopic(reading.topic, given);
    if (topic === undefined || signal.aborted) return undefined;
    const waiters = this.#waiters.get(topic) ?? new Set<Waiter>();
    this.#waiters.set(topic, waiters);
    return await new Promise<unknown>((resolve) => {
      const end = (payload: unknown): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", over);
        waiters.delete(waiter);
        if (waiters.size === 0 && this.#waiters.get(topic) === waiters) this.#waiters.delete(topic);
        resolve(payload);
      };
      const over = (): void => end(undefined);
      const waiter: Waiter = { reading, given, resolve: (payload) => end({ payload }) };
      const timer = setTimeout(over, withinMs);
      signal.addEventListener("abort", over, { once: true });
      waiters.add(waiter);
    });
  }

  #keep(topic: string, payload: unknown): void {
    this.#last.delete(topic);
    if (this.#last.size >= MOST_TOPICS) this.#last.delete(this.#last.keys().next().value as string);
    this.#last.set(topic, { payload, bootMs: this.#clock.bootMs() });
  }
}

/** JSON as its value; what is no JSON as text. */
function payloadValue(payload: Buffer): unknown {
  const text = payload.toString("utf8");
  try {
    return JSON.parse(text);
  } catch {
    // A bare word such as ON is a payload too.
    return text;
  }
}
