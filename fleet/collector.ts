import { type DecodedBatch, decodeBatch } from "../sync/batch.ts";
import { SyncError } from "../sync/errors.ts";
import { type Hello, helloSchema, readMessage, stateSchema, streamOfTopic, wireVersion } from "../sync/messages.ts";
import { type Signer, signedText } from "../sync/signing.ts";
import { gatewayTopics, upTopic } from "../sync/topics.ts";
import type { Database } from "./database.ts";
import { type Incoming, incoming } from "./incoming.ts";
import { keepHello, keepRefusal, keepState, keepTraffic, missingOf } from "./roll.ts";
import { positionsOf, type StoredPosition, storeBatches } from "./storing.ts";

export interface CollectorDeps {
  readonly database: Database;
  readonly signer: Signer;
  readonly publish: (message: { topic: string; payload: string; expirySeconds: number }) => void;
  readonly nowMs: () => number;
  readonly log: {
    info(fields: object, message: string): void;
    warn(fields: object, message: string): void;
  };
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

interface Message {
  readonly gateway: string;
  readonly what: string;
  readonly payload: Uint8Array;
}

/** Rows of one transaction, about. */
const ROWS_AT_ONCE = 4000;
/** Messages of one gateway that may wait: one that floods does not take the place of others. What is left out comes again. */
const MOST_OF_ONE = 32;
const FIRST_RETRY_MS = 200;
const LAST_RETRY_MS = 10_000;
const BUSY_MS = 1000;
const VERY_BUSY_MS = 5000;
const ACK_EXPIRY_SECONDS = 60;

/**
 * Stores what gateways send and tells them so, in this order and never in another: what is not on disk is not
 * acknowledged, and what was not acknowledged comes again. What is no batch is counted and otherwise forgotten.
 */
export class Collector {
  readonly name = "collector";
  readonly #deps: CollectorDeps;
  readonly #options: CollectorOptions;
  readonly #queue: Message[] = [];
  readonly #waitingOf = new Map<string, number>();
  readonly #rooms: (() => void)[] = [];
  #figures = { records: 0, duplicates: 0, conflicts: 0, dead: 0, refused: 0, transactions: 0 };
  #isRunning = false;
  #isStopping = false;
  #wake: (() => void) | undefined;
  #done: Promise<void> = Promise.resolve();

  constructor(deps: CollectorDeps, options: CollectorOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  async start(): Promise<void> {
    this.#isRunning = true;
    this.#done = this.#run();
  }

  /** Stores and acknowledges what is here already. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#wake?.();
    await this.#done;
    this.#isRunning = false;
  }

  figures(): CollectorFigures {
    return { ...this.#figures, waiting: this.#queue.length };
  }

  /** A message of a gateway. Resolves when there is room for the next one: until then the broker waits. */
  async heard(topic: string, payload: Uint8Array): Promise<void> {
    const to = upTopic(topic);
    if (to === undefined || to.fleet !== this.#options.fleet) {
      this.#figures.refused += 1;
      return;
    }
    const { gateway, branch } = to;
    const what = branch === "up" ? to.what : branch;
    const waiting = this.#waitingOf.get(gateway) ?? 0;
    if (waiting >= MOST_OF_ONE || this.#isStopping) return;
    this.#waitingOf.set(gateway, waiting + 1);
    this.#queue.push({ gateway, what, payload });
    this.#wake?.();
    if (this.#queue.length >= this.#options.queue) await new Promise<void>((resolve) => this.#rooms.push(resolve));
  }

  async #run(): Promise<void> {
    while (this.#isRunning && !(this.#isStopping && this.#queue.length === 0)) {
      if (this.#queue.length === 0) await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = undefined;
      if (this.#options.gatherMs > 0 && !this.#isStopping) await sleep(this.#options.gatherMs);
      await this.#handle(this.#take());
    }
  }

  /** Messages for one transaction, in the order in which they came. */
  #take(): Message[] {
    const taken: Message[] = [];
    // A batch is a few hundred rows: how many exactly is known only when it is unpacked.
    for (let rows = 0; rows < ROWS_AT_ONCE; rows += 200) {
      const next = this.#queue.shift();
      if (next === undefined) break;
      this.#waitingOf.set(next.gateway, (this.#waitingOf.get(next.gateway) ?? 1) - 1);
      taken.push(next);
    }
    for (const room of this.#rooms.splice(0)) room();
    return taken;
  }

  async #handle(messages: readonly Message[]): Promise<void> {
    const batches: (Incoming & { readonly bytes: number })[] = [];
    for (const message of messages) {
      try {
        if (message.what === "hello" || message.what === "state") await this.#handleWord(message);
        else if (streamOfTopic.has(message.what))
          batches.push({ ...incoming(message.gateway, this.#decoded(message)), bytes: message.payload.byteLength });
      } catch (error) {
        if (!(error instanceof SyncError)) throw error;
        await this.#refused(message, error);
      }
    }
    if (batches.length > 0) await this.#store(batches);
  }

  #decoded({ what, payload }: Message): DecodedBatch {
    const batch = decodeBatch(payload);
    if (batch.header.stream !== streamOfTopic.get(what))
      throw new SyncError("SYNC_BATCH_INVALID", { reason: "it is of another stream than its topic" });
    return batch;
  }

  async #store(batches: readonly (Incoming & { readonly bytes: number })[]): Promise<void> {
    const { database, committed, nowMs } = this.#deps;
    const stored = await this.#untilDone("store", () => storeBatches(database, batches));
    if (stored === undefined) return;
    committed?.();
    const figures = this.#figures;
    figures.transactions += 1;
    figures.records += stored.inserted;
    figures.duplicates += stored.duplicates;
    figures.conflicts += stored.conflicts;
    figures.dead += stored.dead;
    const sessions = new Map<string, Set<string>>();
    for (const { gateway, batch } of batches) {
      const name = `${gateway}/${batch.header.epoch}/${batch.header.stream}`;
      sessions.set(name, (sessions.get(name) ?? new Set()).add(batch.header.session));
    }
    for (const position of stored.positions)
      for (const session of sessions.get(`${position.gateway}/${position.epoch}/${position.stream}`) ?? [])
        this.#acknowledge(position, session);
    await keepTraffic(database, batches, nowMs()).catch(() => undefined);
  }

  #acknowledge(position: StoredPosition, session: string): void {
    const { epoch, stream, contiguous, beyond, refused, gateway } = position;
    const slowMs = this.#slowMs();
    this.#say(gateway, session, {
      ...{ kind: "ack", epoch, stream, contiguous, ranges: beyond.slice(0, 256) },
      ...(refused.length === 0 ? {} : { refused: refused.slice(0, 256) }),
      ...(slowMs === 0 ? {} : { slowMs }),
    });
  }

  /** One who waits now does not add to what waits already. */
  #slowMs(): number {
    const share = this.#queue.length / this.#options.queue;
    return share > 0.8 ? VERY_BUSY_MS : share > 0.5 ? BUSY_MS : 0;
  }

  #say(gateway: string, session: string, message: object): void {
    const { fleet } = this.#options;
    const { signer, publish, nowMs } = this.#deps;
    const { kind, ...rest } = message as { kind: string };
    const head = { v: wireVersion, kind, fleet, gateway, session, now: Math.floor(nowMs()) };
    const topics = gatewayTopics(fleet, gateway);
    const topic = kind === "backfill" ? topics.backfill : topics.acknowledgement;
    publish({ topic, payload: signedText({ ...head, ...rest }, signer), expirySeconds: ACK_EXPIRY_SECONDS });
  }

  async #handleWord({ gateway, what, payload }: Message): Promise<void> {
    const { database, nowMs } = this.#deps;
    if (what === "state") {
      const state = readMessage(stateSchema, payload);
      await this.#untilDone("state", () => keepState(database, gateway, state, nowMs()));
      return;
    }
    const hello = readMessage(helloSchema, payload);
    const positions = await this.#untilDone("hello", async () => {
      await keepHello(database, gateway, hello, nowMs());
      return await positionsOf(database, gateway, hello.waiting);
    });
    if (positions === undefined) return;
    const told = positions.map(({ epoch, stream, contiguous, beyond }) => ({
      epoch,
      stream,
      contiguous,
      ranges: beyond.slice(0, 256),
    }));
    this.#say(gateway, hello.session, { kind: "welcome", protocol: wireVersion, positions: told });
    await this.#askForMissing(gateway, hello);
  }

  /** What chain heads and starts tell of and never came, and the gateway does not say that it waits. */
  async #askForMissing(gateway: string, hello: Hello): Promise<void> {
    const missing = await this.#untilDone("missing", () => missingOf(this.#deps.database, gateway, hello.waiting));
    for (const { epoch, stream, ranges } of missing ?? [])
      this.#say(gateway, hello.session, { kind: "backfill", epoch, stream, ranges });
  }

  async #refused({ gateway, what, payload }: Message, error: SyncError): Promise<void> {
    this.#figures.refused += 1;
    const reason = String(error.detail["reason"] ?? error.code);
    if (Number.isInteger(Math.log2(this.#figures.refused)))
      this.#deps.log.warn(
        { gateway, topic: what, bytes: payload.byteLength, code: error.code, reason },
        "message refused",
      );
    await keepRefusal(this.#deps.database, gateway, `${what}: ${reason}`).catch(() => undefined);
  }

  /** Again and again while the database is away; undefined when the collector is to stop meanwhile. */
  async #untilDone<T>(what: string, work: () => Promise<T>): Promise<T | undefined> {
    for (let tries = 0; ; tries++) {
      try {
        const done = await work();
        if (tries > 0) this.#deps.log.info({ what, tries }, "the database answers again");
        return done;
      } catch (err) {
        if (tries % 20 === 0) this.#deps.log.warn({ what, tries, err }, "the database does not take it");
        if (this.#isStopping) return undefined;
        await sleep(Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(tries, 8)));
      }
    }
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
