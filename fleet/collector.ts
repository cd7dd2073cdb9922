import { type DecodedBatch, decodeBatch } from "../sync/batch.ts";
import { SyncError } from "../sync/errors.ts";
import { helloSchema, MOST_BATCH_BYTES, readMessage, stateSchema, streamOfTopic } from "../sync/messages.ts";
import { upTopic } from "../sync/topics.ts";
import { type Database, isRefusal } from "./database.ts";
import { type Incoming, incoming } from "./incoming.ts";
import { type PatienceLog, pause, untilDone } from "./patience.ts";
import { Penalties } from "./penalties.ts";
import { positionsOf } from "./positions.ts";
import { keepHello, keepRefusal, keepState, keepTraffic, missingOf } from "./roll.ts";
import { type Stored, storeBatches } from "./storing.ts";
import type { Said, Voice } from "./voice.ts";
import { type Message, Waiting } from "./waiting.ts";

export interface CollectorDeps {
  readonly database: Database;
  readonly voice: Voice;
  readonly publish: (message: Said) => void;
  readonly nowMs: () => number;
  readonly log: PatienceLog;
  /** Between the COMMIT and the acknowledgement; trials die here. */
  readonly committed?: (() => void) | undefined;
}

export interface CollectorOptions {
  readonly fleet: string;
  /** Messages that may wait. */
  readonly queue: number;
  readonly gatherMs: number;
}

export interface CollectorFigures {
  readonly records: number;
  readonly duplicates: number;
  readonly conflicts: number;
  readonly dead: number;
  readonly refused: number;
  readonly waiting: number;
  readonly transactions: number;
}

type Weighed = Incoming & { readonly bytes: number };

/** One transaction, about: enough rows that a COMMIT costs little, and not more than memory likes of the largest batches. */
const ROWS_AT_ONCE = 4000;
const BYTES_AT_ONCE = 16_777_216;
/** Messages of one gateway that may wait; its window is smaller. What is left out comes again. */
const MOST_OF_ONE = 32;
/** What it costs to do a transaction again because one batch spoilt it, at worst. */
const SPOILT_MS = 3000;
const MANY_TOLD = 64;
const BUSY_MS = 1000;
const VERY_BUSY_MS = 5000;

/**
 * Stores what gateways send and tells them so, in this order and never in another: what is not on disk is not
 * acknowledged, and what was not acknowledged comes again. What is no batch is counted and otherwise forgotten.
 */
export class Collector {
  readonly name = "collector";
  readonly #deps: CollectorDeps;
  readonly #options: CollectorOptions;
  readonly #queue = new Waiting(MOST_OF_ONE);
  readonly #penalties = new Penalties();
  readonly #rooms: (() => void)[] = [];
  readonly #stop = new AbortController();
  #figures = { records: 0, duplicates: 0, conflicts: 0, dead: 0, refused: 0, transactions: 0 };
  #wake: (() => void) | undefined;
  #done: Promise<void> = Promise.resolve();

  constructor(deps: CollectorDeps, options: CollectorOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  async start(): Promise<void> {
    this.#done = this.#run();
  }

  /** Stores and acknowledges what is here already. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#wake?.();
    await this.#done;
  }

  figures(): CollectorFigures {
    return { ...this.#figures, waiting: this.#queue.size };
  }

  /** A message of a gateway. Resolves when there is room for the next one: until then the broker waits. */
  async heard(topic: string, payload: Uint8Array): Promise<void> {
    const to = upTopic(topic);
    const isOurs = to !== undefined && to.fleet === this.#options.fleet && to.branch !== "rep";
    if (!isOurs || payload.byteLength > MOST_BATCH_BYTES) {
      if (to?.branch !== "rep") this.#figures.refused += 1;
      return;
    }
    if (this.#stop.signal.aborted || this.#penalties.isShut(to.gateway, performance.now())) return;
    this.#queue.add({ gateway: to.gateway, what: to.branch === "up" ? to.what : to.branch, payload });
    this.#wake?.();
    if (this.#queue.size >= this.#options.queue) await new Promise<void>((resolve) => this.#rooms.push(resolve));
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!(signal.aborted && this.#queue.size === 0)) {
      if (this.#queue.size === 0) await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = undefined;
      await pause(this.#options.gatherMs, signal);
      await this.#storeAll(await this.#gather());
      for (const room of this.#rooms.splice(0)) room();
    }
  }

  /** Batches for one transaction. What is no batch is answered at once. */
  async #gather(): Promise<Weighed[]> {
    const batches: Weighed[] = [];
    let [rows, bytes] = [0, 0];
    while (rows < ROWS_AT_ONCE && bytes < BYTES_AT_ONCE) {
      const message = this.#queue.take();
      if (message === undefined) break;
      // What was sent before its gateway's penalty began is not read either.
      if (this.#penalties.isShut(message.gateway, performance.now())) continue;
      const from = performance.now();
      try {
        if (!streamOfTopic.has(message.what)) await this.#handleWord(message);
        else {
          const one = incoming(message.gateway, decoded(message));
          batches.push({ ...one, bytes: message.payload.byteLength });
          rows += one.batch.lines.length;
          bytes += one.batch.lines.reduce((sum, line) => sum + line.bytes.byteLength, 0);
          // Each of them is a row of its own to look up, and few gateways ever have so much to tell.
          if (one.told.length > MANY_TOLD) this.#penalties.wasted(message.gateway, one.told.length, performance.now());
        }
      } catch (error) {
        await this.#refuse(message, error, performance.now() - from);
      }
    }
    return batches;
  }

  async #storeAll(batches: readonly Weighed[]): Promise<void> {
    if (batches.length === 0) return;
    const { database, log } = this.#deps;
    try {
      const stored = await untilDone("store", () => storeBatches(database, batches), { log, over: this.#stop.signal });
      // The database is away and this process is to stop: what is not acknowledged comes again.
      if (stored === undefined) return this.#queue.clear();
      this.#tell(stored, batches);
      // Figures for people, beside what is stored already: they may be short of a batch, the records are not.
      await keepTraffic(database, batches, this.#deps.nowMs()).catch(() => undefined);
    } catch (error) {
      const [one] = batches;
      if (!isRefusal(error)) throw error;
      // Which of them it is shows when each is by itself; the others must not wait for it.
      if (batches.length > 1) for (const each of batches) await this.#storeAll([each]);
      else if (one !== undefined) await this.#refuse({ gateway: one.gateway, what: "batch" }, error, SPOILT_MS);
    }
  }

  #tell(stored: Stored, batches: readonly Weighed[]): void {
    const { committed, voice, publish, log } = this.#deps;
    committed?.();
    const figures = this.#figures;
    figures.transactions += 1;
    figures.records += stored.inserted;
    figures.duplicates += stored.duplicates;
    figures.conflicts += stored.conflicts;
    figures.dead += stored.dead;
    for (const gateway of stored.forked) log.warn({ gateway }, "two starts of a gateway go on from the same one");
    const sessions = new Map<string, Set<string>>();
    for (const { gateway, batch } of batches) {
      const name = `${gateway}/${batch.header.epoch}/${batch.header.stream}`;
      sessions.set(name, (sessions.get(name) ?? new Set()).add(batch.header.session));
    }
    const slowMs = this.#slowMs();
    for (const { gateway, refused } of stored.positions)
      if (refused.length > 0) this.#penalties.wasted(gateway, refused.length, performance.now());
    for (const position of stored.positions)
      for (const session of sessions.get(`${position.gateway}/${position.epoch}/${position.stream}`) ?? [])
        publish(voice.acknowledge(position, session, slowMs));
  }

  /** One who waits now does not add to what waits already. */
  #slowMs(): number {
    const share = this.#queue.size / this.#options.queue;
    return share > 0.8 ? VERY_BUSY_MS : share > 0.5 ? BUSY_MS : 0;
  }

  async #handleWord({ gateway, what, payload }: Message): Promise<void> {
    const { database, nowMs, voice, publish, log } = this.#deps;
    const patient = { log, over: this.#stop.signal };
    if (what === "state") {
      const state = readMessage(stateSchema, payload);
      await untilDone("state", () => keepState(database, gateway, state, nowMs()), patient);
    } else if (what === "hello") {
      const hello = readMessage(helloSchema, payload);
      const answer = async () => {
        await keepHello(database, gateway, hello, nowMs());
        const positions = await positionsOf(database, gateway, hello.waiting);
        return { positions, missing: await missingOf(database, gateway, hello.waiting) };
      };
      const known = await untilDone("hello", answer, patient);
      if (known === undefined) return this.#queue.clear();
      publish(voice.welcome(gateway, hello.session, known.positions));
      // What chain heads and starts tell of and never came, and the gateway does not say that it waits.
      for (const missing of known.missing) publish(voice.backfill(gateway, hello.session, missing));
    } else throw new SyncError("SYNC_MESSAGE_INVALID", { reason: "there is no such topic" });
  }

  /** Counted and told, and no more: whatever it is, the messages of others are next. */
  async #refuse({ gateway, what }: Pick<Message, "gateway" | "what">, error: unknown, spentMs: number): Promise<void> {
    this.#figures.refused += 1;
    this.#penalties.wasted(gateway, spentMs, performance.now());
    const { code, detail, message } = error as { code?: string; detail?: { reason?: unknown }; message?: string };
    const reason = String(detail?.reason ?? message ?? code);
    // A flood of them is told ever more rarely.
    if (Number.isInteger(Math.log2(this.#figures.refused)))
      this.#deps.log.warn({ gateway, topic: what, code, reason }, "message refused");
    // It was counted and logged above; a database that is away keeps the collector from nothing else.
    await keepRefusal(this.#deps.database, gateway, `${what}: ${reason}`).catch(() => undefined);
  }
}

function decoded({ what, payload }: Message): DecodedBatch {
  const batch = decodeBatch(payload);
  if (batch.header.stream !== streamOfTopic.get(what))
    throw new SyncError("SYNC_BATCH_INVALID", { reason: "it is of another stream than its topic" });
  return batch;
}
