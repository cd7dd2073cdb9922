import { becomes, type Claims, quantile, sleep } from "./claims.ts";
import type { StopCall, StopSite } from "./stop-site.ts";

/** One stop under load, and what reached the plant around it. */
interface Round {
  readonly call: StopCall;
  /** When the daemon was told, by its own log; undefined where it was not asked. */
  readonly arrivedMs: number | undefined;
  /** The last effect before the mark that was put when the command had returned; undefined without any. */
  readonly lastMs: number | undefined;
  /** Effects after the command was started. */
  readonly afterStart: number;
}

const SHORTEST_FLOW_MS = 50;
const LONGEST_FLOW_MS = 250;
/** How long is looked for something that leaves although it must not. */
const LOOK_MS = 300;

/** Rounds of one kind of stop: figures and what did not hold go to `claims`. */
export class StopRounds {
  readonly random: () => number;
  readonly #name: string;
  readonly #isOutOfReach: boolean;
  readonly #site: StopSite;
  readonly #claims: Claims;
  readonly #rounds: Round[] = [];
  #leaks = 0;
  #standing = 0;

  /** `isOutOfReach`: what leaves after the return is told, and not held against it. */
  constructor(
    { name, isOutOfReach }: { readonly name: string; readonly isOutOfReach: boolean },
    site: StopSite,
    claims: Claims,
    random: () => number,
  ) {
    this.#name = name;
    this.#isOutOfReach = isOutOfReach;
    this.#site = site;
    this.#claims = claims;
    this.random = random;
  }

  holds(held: boolean, sentence: string): void {
    this.#claims.holds(held, `${this.#name}: ${sentence}`);
  }

  /** Any moment while effects leave. */
  async moment(): Promise<void> {
    this.#claims.holds(await this.#site.flows(), `${this.#name}: nothing reaches the plant before the stop`);
    await sleep(SHORTEST_FLOW_MS + this.random() * (LONGEST_FLOW_MS - SHORTEST_FLOW_MS));
  }

  /** Stops, and looks whether anything leaves after the command's return. Gives the mark that was put then. */
  async stop(how: string, more: readonly string[] = []): Promise<string> {
    const { observer, data, daemon } = this.#site;
    const stopsBefore = stopsIn(daemon.lines);
    const call = await this.#site.stop(more);
    const { told, status, complaint, mark } = call;
    const isSure = how !== "unsure";
    this.#claims.holds(
      told?.how === how && told.stopped === isSure && status === (isSure ? 0 : 1),
      `${this.#name}: stop on ${data} ended with ${status} and said ${JSON.stringify(told)} ${complaint}`,
    );
    const before = observer.seen.slice(0, observer.seen.length - observer.since(mark).length - 1);
    const last = before.findLast(({ topic }) => topic.endsWith("/command"));
    const arrived = stopsIn(daemon.lines).slice(stopsBefore.length)[0];
    const afterStart = before.filter(({ topic, atMs }) => topic.endsWith("/command") && atMs > call.startedMs).length;
    this.#rounds.push({ call, arrivedMs: arrived, lastMs: last?.atMs, afterStart });
    return mark;
  }

  /** Nothing has left since the mark; while the daemon runs it goes on deciding. */
  async stays(mark: string, isDeciding: boolean, forMs = LOOK_MS): Promise<void> {
    const { daemon } = this.#site;
    const decided = isDeciding ? (await daemon.status()).passes.decided : 0;
    await sleep(forMs);
    if (isDeciding) {
      const goesOn = await becomes(async () => (await daemon.status()).passes.decided > decided, 5000);
      if (!goesOn) this.#standing += 1;
      this.#claims.holds((await daemon.status()).latched, `${this.#name}: status does not say that it is latched`);
    }
    const leaked = this.#site.observer.since(mark);
    this.#leaks += leaked.length;
    this.#claims.holds(
      leaked.length === 0 || this.#isOutOfReach,
      `${this.#name}: ${leaked.length} effects left after the command had returned: ${JSON.stringify(leaked[0])}`,
    );
  }

  async release(): Promise<void> {
    await this.#site.ask("release", { nonce: this.#rounds.at(-1)?.call.told?.nonce });
  }

  report(): void {
    const rounds = this.#rounds;
    const all = (of: (round: Round) => number | undefined): number[] =>
      rounds.map(of).filter((value): value is number => value !== undefined);
    const figure = (title: string, value: unknown): void => this.#claims.figure(`${this.#name}: ${title}`, value);
    figure("rounds, effects after a return", `${rounds.length}, ${this.#leaks}`);
    figure("from the command's start to its return, ms", spreadOf(all(({ call }) => call.returnedMs - call.startedMs)));
    const toLast = all(({ call, lastMs }) => (lastMs === undefined ? undefined : Math.max(0, lastMs - call.startedMs)));
    figure("from the command's start to the last effect, ms", spreadOf(toLast));
    const fromVerb = all(({ arrivedMs, lastMs }) =>
      arrivedMs === undefined || lastMs === undefined ? undefined : lastMs - arrivedMs,
    );
    if (fromVerb.length > 0) figure("from its arrival at the daemon to the last effect, ms", spreadOf(fromVerb));
    const fromReturn = all(({ call, lastMs }) => (lastMs === undefined ? undefined : lastMs - call.returnedMs));
    figure("from the command's return to the last effect, ms", spreadOf(fromReturn));
    figure("effects between start and return", spreadOf(all(({ afterStart }) => afterStart)));
    this.#claims.holds(this.#standing === 0, `${this.#name}: deciding did not go on in ${this.#standing} rounds`);
  }
}

function stopsIn(lines: readonly { readonly event?: string; readonly time?: unknown }[]): number[] {
  return lines.filter(({ event }) => event === "latched").map(({ time }) => Date.parse(String(time)));
}

/** As a person reads it; the most is what a promise is measured by. */
function spreadOf(values: readonly number[]): { p50: number; p99: number; most: number; count: number } {
  const sorted = [...values].sort((one, other) => one - other);
  const rounded = (value: number): number => Math.round(value * 10) / 10;
  return {
    p50: rounded(quantile(sorted, 0.5)),
    p99: rounded(quantile(sorted, 0.99)),
    most: rounded(sorted.at(-1) ?? Number.NaN),
    count: sorted.length,
  };
}
