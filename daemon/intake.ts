import type { BusMessage } from "./bus/bus.ts";
import type { Clock } from "./clock.ts";
import type { Delivery, FieldRow, Settled } from "./delivery.ts";
import type { Door, Doorkeeper } from "./door.ts";
import type { Ledger } from "./ledger.ts";
import type { Parsed } from "./sources/payload.ts";
import type { Watch } from "./watch.ts";

export interface IntakeDeps {
  readonly clock: Clock;
  readonly door: Door;
  readonly ledger: Ledger;
  readonly watch: Watch;
  /** Releases a sender when what was counted so far is on disk. */
  readonly settle: (settled: Settled) => void;
  /** Something came: what waits to be written together may wait on. */
  readonly stir: () => void;
}

/** Where events enter an agent: counted as delivered, refused when they can not be read, else offered at the door. */
export class Intake {
  readonly #deps: IntakeDeps;
  readonly #agent: Doorkeeper;
  readonly #key: string;

  /** `key`: what an event of the gateway itself (vitals, a schedule) is about. */
  constructor(agent: Doorkeeper, key: string, deps: IntakeDeps) {
    this.#agent = agent;
    this.#key = key;
    this.#deps = deps;
  }

  /** One parsed message of the bus. */
  take(source: number, parsed: Parsed, message: BusMessage, receivedMs: number, settled: Settled | undefined): void {
    const { ledger, watch, clock, settle, stir } = this.#deps;
    ledger.delivered();
    stir();
    if (!parsed.ok) {
      ledger.ended("invalid", receivedMs, parsed.reason);
      if (watch.active)
        watch.see({
          at: receivedMs,
          agent: this.#agent.name,
          topic: message.topic,
          outcome: "invalid",
          reason: parsed.reason,
        });
      if (settled !== undefined) settle(settled);
      return;
    }
    this.#offer({
      source,
      key: parsed.key,
      eventId: parsed.eventId,
      eventTimeMs: parsed.timeMs ?? receivedMs,
      receivedMs,
      receivedBootMs: clock.bootMs(),
      values: parsed.values,
      trace: message.traceparent,
      settled,
      topic: message.topic,
    });
  }

  /** One event of the gateway itself. */
  emit(source: number, key: string | undefined, values: FieldRow, timeMs: number): void {
    this.#deps.ledger.delivered();
    this.#offer({
      source,
      key: key ?? this.#key,
      eventId: undefined,
      eventTimeMs: timeMs,
      receivedMs: this.#deps.clock.wallMs(),
      receivedBootMs: this.#deps.clock.bootMs(),
      values,
      trace: undefined,
      settled: undefined,
      topic: undefined,
    });
  }

  #offer(delivery: Delivery): void {
    this.#deps.door.offer(this.#agent, delivery);
  }
}
