import { TIMING } from "./kill-check.ts";
import type { Sensor } from "./sensor.ts";

const PUMPS = 8;
/** A sensor with so much unacknowledged waits instead of measuring on. */
const MOST_UNACKNOWLEDGED = 20_000;
/** The pump runs hot for most of each cycle: long enough for the rule to fire, or to wait for its cooldown. */
const CYCLE_MS = 9000;
const HOT_MS = 8000;

/** One agent that decides about each message as it is, one over a window, with a rule that takes its time. */
export function pumpConfig(bus: object, model: string): Record<string, unknown> {
  const range = { min: -1000, max: 1000 };
  const source = {
    kind: "mqtt",
    topic: "pump/{pump}/reading",
    key: "pump",
    timestamp: { path: "ts", unit: "ms" },
    fields: { a: range, b: range },
  };
  const event = { id: { path: "id" } };
  return {
    schemaVersion: 1,
    bus,
    models: { linear: { directory: model } },
    agents: {
      each: {
        sources: [source],
        event,
        model: "linear",
        rules: [{ id: "never", when: "answer.score > 1000000.0" }],
        record: { quiet: "all" },
      },
      window: {
        sources: [{ ...source, fields: { ...source.fields, hot: { min: 0, max: 1 } } }],
        event,
        window: { seconds: TIMING.windowSeconds, lateSeconds: TIMING.windowSeconds - 1, durability: "journal" },
        features: { a: "mean(a)", b: "count(b)" },
        model: "linear",
        rules: [
          {
            id: "hot",
            when: "event.fields.hot > 0.5",
            forSeconds: TIMING.forSeconds,
            cooldownSeconds: TIMING.cooldownSeconds,
          },
        ],
        record: { quiet: "all" },
      },
    },
  };
}

/** What the sensor said, and what of it was acknowledged. */
export class Readings {
  readonly acknowledged = new Set<number>();
  readonly #sensor: Sensor;
  sent = 0;
  heldBack = 0;
  isOver = false;

  readonly #pumps: string;

  /** `first`: the number of the first reading; `pumps`: how their names begin. */
  constructor(sensor: Sensor, first = 0, pumps = "p") {
    this.#sensor = sensor;
    this.sent = first;
    this.#pumps = pumps;
  }

  readonly send = (): void => {
    if (this.#sensor.unacknowledged >= MOST_UNACKNOWLEDGED) {
      this.heldBack += 1;
      return;
    }
    const index = this.sent;
    this.sent += 1;
    const now = Date.now();
    const hot = now % CYCLE_MS < HOT_MS ? 1 : 0;
    const payload = `{"id":"m${index}","ts":${now},"a":${index % 10},"b":${index % 7},"hot":${hot}}`;
    this.#sensor.publish(`pump/${this.#pumps}${index % PUMPS}/reading`, payload, 1, () => this.acknowledged.add(index));
  };
}
