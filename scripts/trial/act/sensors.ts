import { paced, Sensor } from "../sensor.ts";

const MOST_UNACKNOWLEDGED = 3000;
/** Which agent each message of twenty is for. */
const TURNS = [
  ...["busy", "busy", "busy", "tight", "busy", "busy", "busy", "web", "busy", "busy"],
  ...["busy", "never", "busy", "busy", "tight", "busy", "busy", "busy", "local", "busy"],
];
const KEYS: Readonly<Record<string, number>> = { busy: 60, web: 12, local: 12, tight: 16, never: 6, judging: 10 };

/** The names of all keys that an agent hears of. */
export function keysOf(agent: string): string[] {
  return Array.from({ length: KEYS[agent] ?? 0 }, (_, at) => `${agent}${at}`);
}

/** Sensors whose every message fires a rule. */
export class Sensors {
  readonly #sensor: Sensor;
  readonly #turns: readonly string[];
  readonly #values = new Map<string, number>();
  #isOver = false;
  #pacing: Promise<number> | undefined;
  sent = 0;

  /** `hasModel`: there is an agent that asks one. */
  constructor(port: number, hasModel: boolean) {
    this.#sensor = new Sensor(port, "sensors");
    this.#turns = hasModel ? TURNS.map((agent, at) => (at % 10 === 0 ? "judging" : agent)) : TURNS;
  }

  async start(perSecond: number): Promise<void> {
    await this.#sensor.open();
    this.#pacing = paced(
      perSecond,
      () => this.#isOver,
      (index) => this.#send(index),
    );
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#pacing;
    await this.#sensor.settled(10_000);
    this.#sensor.close();
  }

  #send(index: number): void {
    if (this.#sensor.unacknowledged > MOST_UNACKNOWLEDGED) return;
    const agent = this.#turns[index % TURNS.length] as string;
    const keys = KEYS[agent] ?? 1;
    const round = Math.floor(index / TURNS.length);
    // Half of what is limited is about one target, so that each of its limits is met.
    const at = agent === "tight" && index % 2 === 1 ? 0 : (round * 7 + (index % TURNS.length)) % keys;
    const key = `${agent}${at}`;
    const value = 1 - (this.#values.get(key) ?? 0);
    this.#values.set(key, value);
    this.sent += 1;
    this.#sensor.publish(`sensor/${agent}/${key}`, `{"id":"t${index}","v":${value}}`, 1);
  }
}
