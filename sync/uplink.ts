import { Allowance } from "./allowance.ts";
import { readAnswer } from "./answers.ts";
import { Budget, type BudgetState } from "./budget.ts";
import { SyncError } from "./errors.ts";
import { type Flight, Flights } from "./flights.ts";
import { Greeting } from "./greeting.ts";
import { helloOf } from "./hello.ts";
import {
  type Acknowledgement,
  type Backfill,
  type Hello,
  MOST_BATCH_BYTES,
  type Position,
  type Refused,
  type Welcome,
  wireVersion,
} from "./messages.ts";
import { type Next, Outgoing } from "./outgoing.ts";
import { streamNames } from "./records.ts";
import type { ReadBatch } from "./uplink-log.ts";
import type { UplinkCondition, UplinkDeps, UplinkOptions } from "./uplink-types.ts";

const MOST_ROWS = 200;
const TELLING_ROWS = 20;
const TICK_MS = 100;
const LATE_BEFORE_PROBING = 5;
/** MQTT's own header, the topic's length and TLS, about. */
const OVERHEAD_BYTES = 64;
const NOBODY_LISTENS = 0x10;
/** The store's own records come without a word: looked for so often. */
const LOOK_MS = 5000;
const FIRST_ROW_BYTES = 80;
/** The log is asked what is new in it at most so often, however many commits there are. */
const LEAST_LOOK_MS = 50;
/** After the log could not be read. */
const REST_MS = 1000;
/** What the fleet refuses is told in records that are never dropped: so many at once, then one in a while. */
const REFUSALS_AT_ONCE = 20;
const REFUSAL_EVERY_MS = 60_000;
/** Ranges in one such record; further ones are sent again, and told later. */
const MOST_REFUSED_TOLD = 100;

/**
 * Sends the log to the fleet, a batch at a time, and forgets a record only when the fleet said that it is in its
 * database. Everything is sent again until then: the fleet tells what it has already.
 */
export class Uplink {
  readonly name = "uplink";
  readonly #deps: UplinkDeps;
  readonly #options: UplinkOptions;
  readonly #outgoing = new Outgoing();
  readonly #flights = new Flights();
  readonly #budget: Budget;
  #condition: UplinkCondition = "down";
  #session = "";
  #timer: NodeJS.Timeout | undefined;
  readonly #greeting = new Greeting();
  readonly #tellings = new Allowance(REFUSALS_AT_ONCE, REFUSAL_EVERY_MS);
  #late = 0;
  #slowUntilMs = 0;
  #rowBytes = FIRST_ROW_BYTES;
  #isPumping = false;
  #isWanted = false;
  #hasNews = true;
  #learnedMs = 0;
  #refusals = 0;
  #troubles = 0;
  #restUntilMs = 0;
  #isStopped = false;
  readonly #sentBytes = [0, 0, 0, 0];

  constructor(deps: UplinkDeps, options: UplinkOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#budget = new Budget(options.budget, deps.clock.lifeMs(), options.budgetState);
  }

  async start(): Promise<void> {
    this.#outgoing.know(await this.#deps.log.waiting());
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#timer);
    this.#condition = "down";
  }

  /** Records are on disk that were not before. */
  wake(): void {
    this.#hasNews = true;
    // The next tick looks otherwise.
    if (this.#deps.clock.bootMs() - this.#learnedMs >= LEAST_LOOK_MS) this.#pump();
  }

  /** A connection is there; `session` is its name. */
  up(session: string): void {
    this.#session = session;
    this.#outgoing.connected();
    this.#greeting.again();
    this.#late = 0;
    if (this.#options.ackMode === "puback") {
      this.#condition = "sending";
      this.#pump();
      return;
    }
    this.#condition = "greeting";
    this.#greet();
  }

  down(): void {
    this.#condition = "down";
    for (const one of this.#flights.abandon()) this.#giveBack(one);
  }

  /** A message on `down/ack` or `down/backfill`. Whatever it is, it deletes nothing. */
  heard(payload: Uint8Array): void {
    try {
      const answer = readAnswer(payload, this.#deps.keys, this.#options);
      if (answer.session !== this.#session) throw new SyncError("SYNC_OTHER_SESSION", { session: answer.session });
      if (answer.kind === "ack") this.#acknowledged(answer);
      else if (answer.kind === "welcome") this.#welcomed(answer);
      else this.#asked(answer);
    } catch (error) {
      if (!(error instanceof SyncError)) throw error;
      this.#refuse(error.code, error.detail);
    }
    this.#pump();
  }

  /**
   * An acknowledgement that came as a file, so of no connection. Gives how many records less wait now. Throws SyncError
   * where it is none of this gateway's fleet.
   */
  filed(payload: Uint8Array): number {
    const before = this.#outgoing.backlogRows();
    const ack = readAnswer(payload, this.#deps.keys, this.#options);
    if (ack.kind !== "ack") throw new SyncError("SYNC_MESSAGE_INVALID", { reason: "it is no acknowledgement" });
    this.#acknowledged(ack);
    return before - this.#outgoing.backlogRows();
  }

  state() {
    const { day: _day, ...budget } = this.#budget.state();
    return {
      condition: this.#condition,
      backlogRows: this.#outgoing.backlogRows(),
      underWay: this.#flights.size,
      rowBytes: this.#rowBytes,
      bytesPerSecond: Math.min(this.#flights.bytesPerSecond, this.#options.budget.bytesPerSecond ?? Number.MAX_VALUE),
      roundTripMs: this.#flights.roundTripMs,
      refused: this.#refusals,
      /** Of each stream, with what was sent again, since the start. */
      sentBytes: [...this.#sentBytes],
      ...budget,
    };
  }

  budgetState(): BudgetState {
    return this.#budget.state();
  }

  positions(): readonly Position[] {
    return this.#outgoing.spans().flatMap(({ epoch, stream }) => this.#outgoing.position(epoch, stream) ?? []);
  }

  #tick(): void {
    const nowMs = this.#deps.clock.bootMs();
    // People ask what waits while there is no link too.
    if (this.#condition !== "sending" && nowMs - this.#learnedMs > LOOK_MS) this.#try(this.#learn());
    if (this.#condition === "greeting" || this.#condition === "probing") {
      if (this.#greeting.isDue(nowMs)) this.#greet();
      return;
    }
    if (this.#condition !== "sending") return;
    if (nowMs - this.#learnedMs > LOOK_MS) this.#hasNews = true;
    for (const one of this.#flights.overdue(nowMs)) this.#timedOut(one);
    this.#pump();
  }

  #greet(): void {
    const { clock, topics, line, random } = this.#deps;
    this.#greeting.said(clock.bootMs(), random);
    this.#try(
      this.#hello().then(async (hello) => {
        const payload = JSON.stringify(hello);
        // A connection that is gone says so by `down`.
        await line.publish({ topic: topics.hello, payload, qos: 1, expirySeconds: 60 }).catch(() => 0);
      }),
    );
  }

  async #hello(): Promise<Hello> {
    await this.#learn();
    const { clock, log } = this.#deps;
    const { epoch, ordinal } = await log.heads();
    const { packetBytes } = this.#deps.line.limits();
    const { software } = this.#options;
    const spans = this.#outgoing.spans();
    return helloOf({ session: this.#session, software, epoch, ordinal, clock: clock.read(), spans, packetBytes });
  }

  #welcomed(welcome: Welcome): void {
    // One that nobody waits for is said again or forged, and would change the time and the log each time.
    if (this.#condition !== "greeting" && this.#condition !== "probing") return;
    const { clock, heardTime, line } = this.#deps;
    heardTime(welcome.now, this.#greeting.sinceMs(clock.bootMs()) / 2);
    const lows = new Map(this.#outgoing.spans().map((span) => [`${span.epoch}/${span.stream}`, span.lo]));
    for (const position of welcome.positions) {
      const lo = lows.get(`${position.epoch}/${position.stream}`);
      if (lo !== undefined) this.#keep(position);
    }
    line.proven();
    this.#late = 0;
    this.#condition = "sending";
  }

  #acknowledged(ack: Acknowledgement): void {
    const nowMs = this.#deps.clock.bootMs();
    if (ack.slowMs !== undefined) this.#slowUntilMs = nowMs + ack.slowMs;
    const { epoch, stream, contiguous, ranges } = ack;
    // Before it counts as acknowledged: what it refuses it keeps elsewhere, and counts too.
    const refused = this.#refusedOf(ack);
    if (!this.#keep({ epoch, stream, contiguous, ranges })) {
      this.#refuse("SYNC_ACKNOWLEDGED_UNSENT", { epoch, stream, contiguous });
      return;
    }
    this.#takeBack(ack, refused, nowMs);
    const position = this.#outgoing.position(epoch, stream);
    if (position !== undefined) this.#flights.arrive(position, nowMs);
    this.#late = 0;
    this.#deps.line.proven();
  }

  /** Of what was sent, and no more than one record can tell. */
  #refusedOf({ epoch, stream, refused = [] }: Acknowledgement): Refused[] {
    const rows = refused.flatMap(({ from, to, reason }) =>
      this.#outgoing.underWay(epoch, stream, from, to).map(([first, last]) => ({ from: first, to: last, reason })),
    );
    return rows.slice(0, MOST_REFUSED_TOLD);
  }

  /** Rows that the fleet will never take are told, and not sent again; as long as that can not be told they are. */
  #takeBack({ epoch, stream }: Acknowledgement, ranges: readonly Refused[], nowMs: number): void {
    const ordinal = this.#outgoing.ordinalOf(epoch, stream);
    if (ordinal === undefined || ranges.length === 0 || !this.#tellings.take(nowMs)) return;
    this.#deps.log.report("fleet refused records", { epoch, stream: streamNames[stream] ?? stream, ranges });
    for (const { from, to } of ranges) this.#outgoing.settled(epoch, stream, from, to);
    const kept = this.#outgoing.position(epoch, stream);
    if (kept !== undefined) this.#deps.log.acknowledged(ordinal, kept);
  }

  #keep(position: Position): boolean {
    const ordinal = this.#outgoing.ordinalOf(position.epoch, position.stream);
    if (ordinal === undefined || !this.#outgoing.acknowledged(position)) return false;
    const kept = this.#outgoing.position(position.epoch, position.stream);
    if (kept !== undefined) this.#deps.log.acknowledged(ordinal, kept);
    return true;
  }

  /** The fleet misses these, though it said once that it had them, or they never came. */
  #asked({ epoch, stream, ranges }: Backfill): void {
    const ordinal = this.#outgoing.ordinalOf(epoch, stream);
    if (ordinal === undefined) return;
    for (const [from, to] of ranges) this.#outgoing.wanted(epoch, stream, from, to);
  }

  #timedOut(one: Flight): void {
    this.#giveBack(one);
    this.#late += 1;
    if (this.#late < LATE_BEFORE_PROBING || this.#options.ackMode === "puback") return;
    // The line is there and the fleet is not: no more than a question now and then, or the broker's queue fills.
    this.#condition = "probing";
    this.#greeting.again();
  }

  #giveBack({ next, lo, hi }: Flight): void {
    this.#outgoing.returned(next.epoch, next.ordinal, next.stream, lo, hi);
  }

  #pump(): void {
    this.#isWanted = true;
    if (this.#isPumping || this.#deps.clock.bootMs() < this.#restUntilMs) return;
    this.#isPumping = true;
    this.#try(
      this.#run().finally(() => {
        this.#isPumping = false;
      }),
    );
  }

  /** A log that can not be read now is asked again later: nothing is given up, and the daemon goes on without the fleet. */
  #try(work: Promise<void>): void {
    work.catch((error: unknown) => {
      this.#hasNews = true;
      this.#restUntilMs = this.#deps.clock.bootMs() + REST_MS;
      if (this.#isStopped) return;
      this.#troubles += 1;
      if (isTold(this.#troubles))
        this.#deps.log.report("log not read for the fleet", { reason: String(error), times: this.#troubles });
    });
  }

  async #run(): Promise<void> {
    while (this.#isWanted && this.#condition === "sending") {
      this.#isWanted = false;
      if (this.#hasNews && this.#deps.clock.bootMs() - this.#learnedMs >= LEAST_LOOK_MS) await this.#learn();
      while (await this.#sendOne());
    }
  }

  async #learn(): Promise<void> {
    this.#hasNews = false;
    const { epoch, ordinal, seqs } = await this.#deps.log.heads();
    const nowMs = this.#deps.clock.bootMs();
    this.#learnedMs = nowMs;
    for (const [stream, hi] of seqs.entries()) this.#outgoing.grew(epoch, ordinal, stream, hi, nowMs);
  }

  /** Reads and sends the next batch. False when nothing is due or may leave now. */
  async #sendOne(): Promise<boolean> {
    const { clock, line, log } = this.#deps;
    const nowMs = clock.bootMs();
    const limits = line.limits();
    if (this.#condition !== "sending" || nowMs < this.#slowUntilMs || !this.#flights.mayStart(limits.underWay))
      return false;
    const largestBytes = Math.min(
      MOST_BATCH_BYTES,
      limits.packetBytes - this.#deps.topics.hello.length - OVERHEAD_BYTES,
    );
    const mostBytes = this.#flights.batchBytes(largestBytes);
    const isBroke = this.#flights.isFull || this.#budget.waitMs(1, mostBytes, clock.lifeMs()) > 0;
    const next = this.#outgoing.next(nowMs, MOST_ROWS, isBroke);
    if (next === undefined) return false;
    const session = this.#session;
    const { epoch, ordinal, stream, from, to, hist } = next;
    const read = await log.batch({
      ...{ ordinal, from, to, mostBytes, largestBytes },
      header: {
        ...{ v: wireVersion, kind: "batch", session, epoch, ordinal, stream, clock: clock.read() },
        ...(hist ? { hist: true as const } : {}),
      },
    });
    if (session !== this.#session || this.#condition !== "sending") return false;
    if (read.kind === "gone") this.#outgoing.settled(epoch, stream, from, to);
    else if (read.kind === "tooLarge") {
      const { seq, bytes } = read;
      log.report("record too large for the fleet", { epoch, stream: streamNames[stream], seq, bytes });
      this.#outgoing.settled(epoch, stream, from, read.seq);
    } else this.#send(next, read);
    return true;
  }

  #send(next: Next, { payload, lo, hi, rows }: Extract<ReadBatch, { kind: "batch" }>): void {
    const { clock, line, topics } = this.#deps;
    const bytes = payload.byteLength + OVERHEAD_BYTES;
    // What lies before the first row is not in the log any more.
    if (lo > next.from) this.#outgoing.settled(next.epoch, next.stream, next.from, lo - 1);
    const one = this.#flights.start(next, lo, hi, bytes, clock.bootMs());
    this.#outgoing.took(next, lo, hi, bytes);
    this.#budget.spent(bytes, clock.lifeMs());
    this.#sentBytes[next.stream] = (this.#sentBytes[next.stream] ?? 0) + bytes;
    // A few rows pack badly and say nothing of what many take.
    if (rows >= TELLING_ROWS) this.#rowBytes = this.#rowBytes * 0.8 + (bytes / rows) * 0.2;
    const topic = topics.up(streamNames[next.stream] ?? String(next.stream));
    line.publish({ topic, payload, qos: 1, expirySeconds: 300 }).then(
      (reason) => this.#published(one, reason),
      () => {
        // The connection is gone: `down` gives it back.
      },
    );
  }

  #published(one: Flight, reason: number): void {
    if (this.#options.ackMode !== "puback" || !this.#flights.has(one)) return;
    // Nobody listens: the broker has thrown it away.
    if (reason === NOBODY_LISTENS || reason >= 0x80) return;
    const { epoch, stream, ordinal } = one.next;
    this.#outgoing.settled(epoch, stream, one.lo, one.hi);
    const position = this.#outgoing.position(epoch, stream);
    if (position !== undefined) this.#deps.log.acknowledged(ordinal, position);
    this.#flights.land(one, this.#deps.clock.bootMs());
    this.#deps.line.proven();
    this.#pump();
  }

  #refuse(code: string, detail: Readonly<Record<string, unknown>>): void {
    this.#refusals += 1;
    // An answer that comes late, after a new connection, is nothing unusual.
    if (code === "SYNC_OTHER_SESSION") return;
    if (isTold(this.#refusals))
      this.#deps.log.report("message of the fleet refused", { code, ...detail, refused: this.#refusals });
  }
}

/** Not each of a flood: 1, 10, 100 … */
function isTold(times: number): boolean {
  return Number.isInteger(Math.log10(times));
}
