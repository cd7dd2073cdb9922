import { statSync } from "node:fs";
import { join } from "node:path";
import type { Gap } from "../../sync/records.ts";
import type { Clock } from "../clock.ts";
import { StoreError } from "./errors.ts";
import type { EpochInfo, Restored, RestoredActions, StoreState, WriterFigures } from "./messages.ts";
import { type NewRecord, OpenBatch, type Projection } from "./open-batch.ts";
import { WriterLink, type WriterOptions } from "./writer-link.ts";

const BATCH_RECORDS = 512;
const BATCH_BYTES = 1_048_576;
/** A batch smaller than this waits for the one under way, so that batches grow as commits get slower. */
const SMALL_BATCH = 64;
const MAX_IN_FLIGHT = 2;
const PENDING_RECORDS = 8192;
const PENDING_PROJECTIONS = 32_768;
const PENDING_BYTES = 16_777_216;
const LEAST_QUIET_MS = 2;
/** A sender that waits cuts the commit's delay short by this at most: who sets a longer one wants fewer commits. */
const QUIET_SAVES_MS = 23;
const MINUTE_CHECK_MS = 1000;
const STOP_WAIT_MS = 10_000;

export interface StoreDeps {
  readonly clock: Clock;
  /** The daemon can not go on without its log: told once, when the writer is gone. */
  readonly fail: (error: Error) => void;
  /** Something that an operator should know: quarantine, full disk, a reader that holds the WAL. */
  readonly note?: ((what: string, detail: Readonly<Record<string, unknown>>) => void) | undefined;
}

export interface StoreOptions extends WriterOptions {
  readonly commitDelayMs: number;
}

/** The main thread's side of the log: fills a batch, sends it to the writer thread, and tells when it is on disk. */
export class Store {
  readonly name = "store";
  /** Told after each commit; set by whoever sends the log on. */
  onCommitted: () => void = () => undefined;
  readonly #clock: Clock;
  readonly #fail: (error: Error) => void;
  readonly #commitDelayMs: number;
  readonly #quietMs: number;
  readonly #link: WriterLink;
  readonly #note: NonNullable<StoreDeps["note"]>;
  readonly #directory: string;
  readonly #inFlight: OpenBatch[] = [];
  readonly #agents = new Map<string, number>();
  #gaps: Gap[] = [];
  #open = new OpenBatch(1);
  #batches = 1;
  #pendingRecords = 0;
  #pendingProjections = 0;
  #pendingBytes = 0;
  #due = false;
  #scheduled = false;
  #waiting = false;
  #puts = 0;
  #putsSeen = 0;
  #lastN = 0;
  #minute = 0;
  #nextAgent = 1;
  #stopping = false;
  #delayTimer: NodeJS.Timeout | undefined;
  #quietTimer: NodeJS.Timeout | undefined;
  #minuteTimer: NodeJS.Timeout | undefined;

  constructor(deps: StoreDeps, options: StoreOptions) {
    this.#clock = deps.clock;
    this.#fail = deps.fail;
    this.#commitDelayMs = options.commitDelayMs;
    this.#quietMs = Math.max(LEAST_QUIET_MS, options.commitDelayMs - QUIET_SAVES_MS);
    this.#directory = options.directory;
    this.#note = deps.note ?? (() => {});
    this.#link = new WriterLink(options, {
      durable: (number, lastN, gaps) => this.#durable(number, lastN, gaps),
      note: this.#note,
      gone: (error) => this.#gone(error),
    });
  }

  async start(signal: AbortSignal): Promise<void> {
    const opened = await this.#link.start(this.#clock, signal);
    for (const [name, number] of opened.agents) {
      this.#agents.set(name, number);
      this.#nextAgent = Math.max(this.#nextAgent, number + 1);
    }
    this.#lastN = opened.lastN;
    this.#gaps = [...opened.gaps];
    this.#tellOpening(opened.epoch);
    this.#minute = Math.floor(this.#clock.wallMs() / 60_000);
    this.#minuteTimer = setInterval(() => this.#checkMinute(), MINUTE_CHECK_MS);
    this.#minuteTimer.unref();
  }

  /** Commits what was put in, closes the epoch, and lets the files go. */
  async stop(): Promise<void> {
    if (this.#stopping) return;
    clearInterval(this.#minuteTimer);
    if (this.#link.state().condition !== "stopped") await this.#flushFor(STOP_WAIT_MS);
    this.#stopping = true;
    clearTimeout(this.#delayTimer);
    clearTimeout(this.#quietTimer);
    await this.#link.stop(this.#clock);
  }

  append(record: NewRecord): void {
    const open = this.#open;
    open.append(record);
    this.#puts += 1;
    this.#pendingRecords += 1;
    if (open.records >= BATCH_RECORDS || open.bytes >= BATCH_BYTES) this.#send(true);
    else if (this.#delayTimer === undefined) this.#startDelay();
  }

  /** Records that are all on disk or none: one transaction, together with what was projected in this turn. */
  appendTogether(records: readonly NewRecord[]): void {
    const open = this.#open;
    for (const record of records) open.append(record);
    this.#puts += 1;
    this.#pendingRecords += records.length;
    if (open.records >= BATCH_RECORDS || open.bytes >= BATCH_BYTES) this.#send(true);
    else if (this.#delayTimer === undefined) this.#startDelay();
  }

  project(change: Projection): void {
    const open = this.#open;
    open.project(change);
    this.#puts += 1;
    this.#pendingProjections += 1;
    // Not at once: what is projected belongs to the record that follows in the same turn.
    if (open.bytes >= BATCH_BYTES) this.commitNow();
    else if (this.#delayTimer === undefined) this.#startDelay();
  }

  /** Counts durably, in the transaction of the records that go with it; exact per minute and over all starts. */
  count(agent: string, counter: string, n: number, wallMs: number): void {
    this.#open.count(this.agentNumber(agent), counter, n, wallMs);
    if (this.#delayTimer === undefined) this.#startDelay();
  }

  /** The lasting number of an agent, given at its first use; 0 is the gateway itself. */
  agentNumber(name: string): number {
    if (name === "") return 0;
    const known = this.#agents.get(name);
    if (known !== undefined) return known;
    const number = this.#nextAgent;
    this.#nextAgent += 1;
    this.#agents.set(name, number);
    this.project({ kind: "agent", agent: number, name });
    return number;
  }

  /** Calls back when all that was put in so far is on disk; callbacks come in order, never at once. */
  onDurable(callback: () => void): void {
    if (!this.#open.isEmpty()) this.#open.callbacks.push(callback);
    else if (this.#inFlight.length > 0) this.#inFlight[this.#inFlight.length - 1]?.callbacks.push(callback);
    else queueMicrotask(callback);
  }

  /** What was put in so far is urgent: it leaves at the end of this turn of the loop. */
  commitNow(): void {
    this.#due = true;
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#send(false);
    });
  }

  /** A sender waits for its acknowledgement: the delay ends early when nothing new comes for 2 ms. */
  senderWaits(): void {
    // What it waits for is on its way to the disk already.
    if (this.#open.isEmpty()) return;
    this.#waiting = true;
    if (this.#quietTimer !== undefined) return;
    this.#putsSeen = this.#puts;
    this.#quietTimer = setTimeout(() => this.#quiet(), this.#quietMs);
  }

  /** Something came in that will be put in soon: senders are not silent, though nothing is here yet. */
  stir(): void {
    this.#puts += 1;
  }

  /** How many records may still be put in before the caller should hold back. */
  room(): number {
    if (this.#pendingBytes + this.#open.bytes >= PENDING_BYTES) return 0;
    const projections = Math.floor((PENDING_PROJECTIONS - this.#pendingProjections) / 4);
    return Math.max(0, Math.min(PENDING_RECORDS - this.#pendingRecords, projections));
  }

  flush(): Promise<void> {
    return new Promise((resolve) => {
      this.onDurable(resolve);
      this.commitNow();
    });
  }

  /** What earlier starts left behind; asked once, before anything is put in. */
  restore(): Promise<Restored> {
    return this.#link.ask<Restored>({ kind: "restore" });
  }

  /** What earlier starts left of actions and their limits, and which of `ids` the log knows. */
  restoreActions(ids: readonly string[]): Promise<RestoredActions> {
    return this.#link.ask<RestoredActions>({ kind: "restoreActions", ids });
  }

  state(): StoreState {
    return this.#link.state();
  }

  epoch(): EpochInfo {
    return this.#link.epoch();
  }

  /** Times of which nothing is known, with their reason; of this start and of all earlier ones. */
  gaps(): readonly Gap[] {
    return this.#gaps;
  }

  figures(): Promise<WriterFigures> {
    return this.#link.ask<WriterFigures>({ kind: "figures" });
  }

  size(): { path: string; bytes: number; walBytes: number; lastN: number } {
    const path = join(this.#directory, "records.db");
    return { path, bytes: fileBytes(path), walBytes: fileBytes(`${path}-wal`), lastN: this.#lastN };
  }

  /** Ends the minute: roll-ups, chain heads, retention. Called by the store's own timer; tests call it too. */
  minute(): void {
    this.#link.minute(this.#clock);
  }

  /** Lets commits fail as on a full disk, for tests. */
  pretendFull(full: boolean): void {
    this.#link.pretendFull(full);
  }

  get control(): WriterLink["control"] {
    return this.#link.control;
  }

  /** What was found at the start: a person must hear of a damaged file, and of a time of which nothing is known. */
  #tellOpening(epoch: EpochInfo): void {
    for (const text of epoch.notes) this.#note(text, {});
    if (epoch.gap !== undefined) this.#note(`the log goes on with a gap: ${epoch.reason}`, { ...epoch.gap });
  }

  #startDelay(): void {
    // A timer of 0 ms takes 1: without a delay the batch leaves at the end of this turn.
    if (this.#commitDelayMs === 0) {
      this.commitNow();
      return;
    }
    this.#delayTimer = setTimeout(() => {
      this.#due = true;
      this.#send(false);
    }, this.#commitDelayMs);
  }

  #quiet(): void {
    this.#quietTimer = undefined;
    if (!this.#waiting) return;
    if (this.#puts !== this.#putsSeen) {
      this.senderWaits();
      return;
    }
    this.#waiting = false;
    this.#due = true;
    this.#send(false);
  }

  #send(isLarge: boolean): void {
    if (this.#stopping || this.#open.isEmpty()) {
      if (this.#open.callbacks.length === 0) this.#due = false;
      return;
    }
    const allowed = isLarge || this.#open.records >= SMALL_BATCH ? MAX_IN_FLIGHT : 1;
    if (this.#inFlight.length >= allowed) {
      this.#due = true;
      return;
    }
    const sent = this.#open;
    this.#batches += 1;
    this.#open = new OpenBatch(this.#batches);
    this.#due = false;
    this.#waiting = false;
    clearTimeout(this.#delayTimer);
    this.#delayTimer = undefined;
    this.#pendingBytes += sent.bytes;
    this.#inFlight.push(sent);
    this.#link.send(sent.batch);
  }

  #durable(number: number, lastN: number, gaps: readonly Gap[]): void {
    const done = this.#inFlight.shift();
    if (done === undefined || done.batch.number !== number) {
      this.#gone(new StoreError("STORE_PROTOCOL", { expected: done?.batch.number, got: number }));
      return;
    }
    this.#lastN = lastN;
    this.#gaps.push(...gaps);
    this.#pendingRecords -= done.records;
    this.#pendingProjections -= done.projections;
    this.#pendingBytes -= done.bytes;
    const isLarge = this.#open.records >= BATCH_RECORDS || this.#open.bytes >= BATCH_BYTES;
    if (this.#due || isLarge) this.#send(isLarge);
    for (const callback of done.callbacks) callback();
    if (done.records > 0) this.onCommitted();
  }

  #gone(error: Error): void {
    this.#fail(error);
  }

  #checkMinute(): void {
    const minute = Math.floor(this.#clock.wallMs() / 60_000);
    if (minute === this.#minute) return;
    this.#minute = minute;
    this.minute();
  }

  async #flushFor(limitMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, limitMs);
    });
    // On a full disk this may never end; what is not on disk was not acknowledged to anybody either.
    await Promise.race([this.flush(), late]);
    clearTimeout(timer);
  }
}

function fileBytes(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
