import type { FieldRow } from "../models/field-memory.ts";
import type { InferResult, InputRow, ModelHandle } from "../models/inference.ts";
import type { Clock } from "./clock.ts";
import type { Delivery, Settled } from "./delivery.ts";
import type { DeliveryEnd, Ledger } from "./ledger.ts";
import { Pass, type PassOwner } from "./pass.ts";
import type { Recorder } from "./recorder.ts";
import type { Watch } from "./watch.ts";

/** What the agent needs of its readings' memory, with a window or without one. */
export interface Readings {
  /** Takes one event's values; says whether it came in time. */
  insert(delivery: Delivery): "accepted" | "late" | "future";
  /** The row of a pass for this key, or why there is none. */
  row(key: string): OpenRow;
  /** Keys with accepted readings since the last call. */
  keysWithNews(): Iterable<string>;
  readonly keys: number;
}

export type OpenRow =
  | {
      readonly ok: true;
      readonly values: InputRow;
      readonly fields: FieldRow;
      readonly coverage: number;
      readonly count: number;
      readonly endMs: number;
    }
  | { readonly ok: false; readonly reason: string };

/** Remembers event ids, so that a message that comes twice is one decision. */
export interface Seen {
  has(id: string): boolean;
  add(id: string): void;
}

/** Where passes go for their answers. */
export interface Answers {
  submit(request: Pass): void;
}

/** What passes ask beside the model. Their answers go by here: a pass is held back until its questions are answered. */
export interface Questions extends PassOwner {
  ask(pass: Pass): void;
  /** Set by the composer: the pass has all it can have. */
  onReady: (pass: Pass, result: InferResult) => void;
}

/** Durable traces of what was accepted, in the transaction of what comes after it. */
export interface Journal {
  reading(key: string, delivery: Delivery): void;
  seen(id: string): void;
  /** Calls back when everything noted so far is on disk. */
  onDurable(settled: Settled): void;
}

/** What is fixed about an agent while its generation runs. */
export interface AgentSpec {
  readonly name: string;
  readonly priority: 0 | 1 | 2 | 3;
  readonly opensOnEvent: boolean;
  readonly deadlineMs: number;
  readonly coalesces: boolean;
  readonly fields: readonly { readonly name: string; readonly isPrivate: boolean }[];
  /** Readings go to the journal; without it a sender is acknowledged when the reading is in memory. */
  readonly journaled: boolean;
  readonly model: ModelHandle | undefined;
}

export interface AgentDeps {
  readonly clock: Clock;
  readonly readings: Readings;
  readonly seen: Seen | undefined;
  readonly answers: Answers;
  /** Undefined where the agent has none. */
  readonly questions?: Questions | undefined;
  readonly journal: Journal;
  readonly recorder: Recorder;
  readonly watch: Watch;
  /** How many more passes may wait for answers. */
  readonly room: () => number;
  /** An answer came: others may take its place. */
  readonly onRoom: () => void;
}

const NO_ANSWER: InferResult = { ok: true, answer: {}, batch: 1, queueUs: 0, inferUs: 0 };

/** One configured loop: accepted deliveries open passes, passes get answers, answers become decisions. */
export class Agent {
  readonly spec: AgentSpec;
  readonly ledger: Ledger;
  readonly #deps: AgentDeps;
  readonly #open = new Set<Pass>();
  /** Whom the model's answers go to first. */
  readonly #owner: PassOwner;
  /** Keys whose pass is due and waits for room. */
  readonly #due = new Set<string>();
  #isOpening = false;

  constructor(spec: AgentSpec, ledger: Ledger, deps: AgentDeps) {
    this.spec = spec;
    this.ledger = ledger;
    this.#deps = deps;
    this.#owner = deps.questions ?? this;
    ledger.inFlight = () => this.#open.size;
  }

  get name(): string {
    return this.spec.name;
  }

  get priority(): 0 | 1 | 2 | 3 {
    return this.spec.priority;
  }

  get deadlineMs(): number {
    return this.spec.deadlineMs;
  }

  get coalesces(): boolean {
    return this.spec.coalesces;
  }

  get inFlight(): number {
    return this.#open.size;
  }

  room(): number {
    return this.#deps.room();
  }

  /** A delivery that passed the door. Its sender is released when what became of it is on disk. */
  accept(delivery: Delivery): void {
    const { seen, readings, journal } = this.#deps;
    const { eventId } = delivery;
    if (eventId !== undefined && seen?.has(eventId)) {
      this.#again(delivery, eventId);
      return;
    }
    const outcome = readings.insert(delivery);
    if (outcome === "future") {
      this.#end(delivery, "invalid", "futureTimestamp");
      return;
    }
    if (eventId !== undefined) seen?.add(eventId);
    if (outcome === "late") {
      if (eventId !== undefined && seen !== undefined) journal.seen(eventId);
      this.#end(delivery, "late");
    } else this.#take(delivery);
  }

  /** A message that came before. While the pass it opened then is under way, its sender waits for that one's decision. */
  #again(delivery: Delivery, eventId: string): void {
    const { settled } = delivery;
    this.#count(delivery, "duplicate");
    if (settled === undefined) return;
    for (const pass of this.#open) {
      if (pass.delivery?.eventId !== eventId) continue;
      pass.alsoSettles(settled);
      return;
    }
    this.#deps.journal.onDurable(settled);
  }

  /** An accepted delivery: on to a pass, or into the journal when it opens none. */
  #take(delivery: Delivery): void {
    const { recorder, watch, journal } = this.#deps;
    const { key, settled } = delivery;
    this.ledger.accepted();
    recorder.heard(key, delivery);
    if (watch.active) this.#seen(delivery, "accepted");
    if (this.spec.opensOnEvent) {
      this.#openPass(key, delivery);
      return;
    }
    this.#note(delivery);
    if (settled !== undefined) {
      if (this.spec.journaled) journal.onDurable(settled);
      else settled.release();
    }
  }

  /** A pass for each key that has news: agents that open by time. Those for which there is no room come when there is. */
  tick(): void {
    for (const key of this.#deps.readings.keysWithNews()) this.#due.add(key);
    this.#openDue();
  }

  readonly #openDue = (): void => {
    this.#isOpening = false;
    for (const key of this.#due) {
      if (this.#deps.room() <= 0) return;
      this.#due.delete(key);
      this.#openPass(key, undefined);
    }
  };

  /** Passes are under way, or due. */
  get isBusy(): boolean {
    return this.#open.size > 0 || this.#due.size > 0;
  }

  /** What was refused at the door, with the reason; for shed ones the fallback is taken. */
  refuse(delivery: Delivery, end: "shed" | "coalesced" | "invalid", reason: string): void {
    if (end === "shed") this.#deps.recorder.fallback(delivery, `shed:${reason}`);
    this.#end(delivery, end, end === "coalesced" ? undefined : reason);
  }

  /**
   * Leaves the traces of an accepted delivery. Where it opens a pass, this waits for the decision, so that both are in
   * one transaction: an id that outlived a crash without its decision would keep it from ever being made.
   */
  #note(delivery: Delivery): void {
    const { journal, seen } = this.#deps;
    this.ledger.acceptedForGood(delivery.receivedMs);
    if (this.spec.journaled) journal.reading(delivery.key, delivery);
    if (delivery.eventId !== undefined && seen !== undefined) journal.seen(delivery.eventId);
  }

  #count(delivery: Delivery, end: Exclude<DeliveryEnd, "accepted">, reason?: string): void {
    this.ledger.ended(end, delivery.receivedMs, reason);
    if (this.#deps.watch.active) this.#seen(delivery, end, reason);
  }

  #end(delivery: Delivery, end: Exclude<DeliveryEnd, "accepted" | "duplicate">, reason?: string): void {
    this.#count(delivery, end, reason);
    if (delivery.settled !== undefined) this.#deps.journal.onDurable(delivery.settled);
  }

  #openPass(key: string, delivery: Delivery | undefined): void {
    const { readings, clock, journal, questions } = this.#deps;
    const row = readings.row(key);
    if (!row.ok && !row.reason.startsWith("stale")) {
      // Not enough to go on yet (coverage, a source that was never heard): no pass, and the roll-up says how often.
      this.ledger.note(`notOpened:${row.reason}`, clock.wallMs());
      if (delivery !== undefined) this.#note(delivery);
      if (delivery?.settled !== undefined) journal.onDurable(delivery.settled);
      return;
    }
    const pass = this.#pass(key, delivery, row);
    this.ledger.opened();
    this.#open.add(pass);
    if (!row.ok) {
      this.settled(pass, { ok: false, reason: "inputInvalid", detail: row.reason });
      return;
    }
    // Before the model: the answers may come while it runs.
    if (questions !== undefined) questions.ask(pass);
    if (pass.model === undefined) pass.settle(NO_ANSWER);
    else this.#deps.answers.submit(pass);
  }

  #pass(key: string, delivery: Delivery | undefined, row: OpenRow): Pass {
    const { clock } = this.#deps;
    const openedBootMs = clock.bootMs();
    return new Pass(this.#owner, {
      model: this.spec.model,
      row: row.ok ? row.values : [],
      priority: this.spec.priority,
      deadlineBootMs: openedBootMs + this.spec.deadlineMs,
      key,
      eventId: delivery?.eventId,
      eventTimeMs: delivery?.eventTimeMs ?? (row.ok ? row.endMs : clock.wallMs()),
      receivedMs: delivery?.receivedMs ?? clock.wallMs(),
      openedBootMs,
      coverage: row.ok ? row.coverage : 0,
      windowCount: row.ok ? row.count : 0,
      fields: row.ok ? (row.fields as InputRow) : undefined,
      trace: delivery?.trace,
      delivery,
    });
  }

  #seen(delivery: Delivery, outcome: string, reason?: string): void {
    const fields: Record<string, unknown> = {};
    for (const [at, { name, isPrivate }] of this.spec.fields.entries()) {
      const value = delivery.values[at];
      if (value !== undefined) fields[name] = isPrivate ? "(private)" : value;
    }
    this.#deps.watch.see({
      at: delivery.receivedMs,
      agent: this.spec.name,
      key: delivery.key,
      outcome,
      eventTime: delivery.eventTimeMs,
      fields,
      ...(reason === undefined ? {} : { reason }),
      ...(delivery.topic === undefined ? {} : { topic: delivery.topic }),
      ...(delivery.eventId === undefined ? {} : { eventId: delivery.eventId }),
    });
  }

  /** The answer of a pass, or why there is none: the decision is made and goes to the log. */
  settled(pass: Pass, result: InferResult): void {
    const { recorder, journal } = this.#deps;
    const { delivery, others } = pass;
    // Before the decision: the line of the decision is what may end a batch.
    if (delivery !== undefined) this.#note(delivery);
    recorder.decide(pass, result);
    this.#open.delete(pass);
    this.#deps.onRoom();
    if (this.#due.size > 0 && !this.#isOpening) {
      this.#isOpening = true;
      setImmediate(this.#openDue);
    }
    if (delivery?.settled !== undefined) journal.onDurable(delivery.settled);
    if (others !== undefined) for (const settled of others) journal.onDurable(settled);
  }
}
