import { join } from "node:path";
import { Worker } from "node:worker_threads";
import type { Waiting as WaitingRows } from "../../sync/outgoing.ts";
import type { Gap } from "../../sync/records.ts";
import type { BatchAsk, ReadBatch } from "../../sync/uplink-log.ts";
import { fromFailure, StoreError } from "./errors.ts";
import type { RestoredAction } from "./messages.ts";
import type { Counts, EpochSummary, Page, RecordFilter, StoredRow } from "./queries.ts";
import { type FromReader, type Question, type Questions, type ReaderStart, readerProtocol } from "./reader-messages.ts";
import type { ActionFilter } from "./tables/action.ts";
import type { Heads, Life, OutboxStream } from "./uplink-queries.ts";

const IDLE_MS = 60_000;

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

export interface ReaderOptions {
  readonly directory: string;
  /** Compiled entry of the reader thread; see `childPath`. */
  readonly readerPath: string;
  readonly idleMs?: number | undefined;
}

/** Questions about the log while the daemon runs, answered in a thread of its own that ends when nobody asks. */
export class Reader {
  readonly name = "reader";
  readonly #options: ReaderOptions;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #asks = 0;
  #idleTimer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(options: ReaderOptions) {
    this.#options = options;
  }

  /** The thread is started by the first question. */
  async start(): Promise<void> {}

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#end(new StoreError("STORE_STOPPED"));
  }

  page(filter: RecordFilter): Promise<Page> {
    return this.#ask("page", filter);
  }

  byId(id: string): Promise<StoredRow | undefined> {
    return this.#ask("byId", id);
  }

  /** What of the log the fleet does not have. */
  waiting(): Promise<WaitingRows[]> {
    return this.#ask("waiting", undefined);
  }

  life(): Promise<Life> {
    return this.#ask("life", undefined);
  }

  heads(): Promise<Heads> {
    return this.#ask("heads", undefined);
  }

  batch(ask: BatchAsk): Promise<ReadBatch> {
    return this.#ask("batch", ask);
  }

  outbox(): Promise<OutboxStream[]> {
    return this.#ask("outbox", undefined);
  }

  epochs(): Promise<EpochSummary[]> {
    return this.#ask("epochs", undefined);
  }

  gaps(): Promise<Gap[]> {
    return this.#ask("gaps", undefined);
  }

  totals(): Promise<Record<string, Record<string, number>>> {
    return this.#ask("totals", undefined);
  }

  counts(): Promise<Counts> {
    return this.#ask("counts", undefined);
  }

  actions(filter: ActionFilter): Promise<RestoredAction[]> {
    return this.#ask("actions", filter);
  }

  /** Actions of decisions that lie near each other in time. */
  actionsOf(decisions: readonly string[]): Promise<RestoredAction[]> {
    return this.#ask("actionsOf", decisions);
  }

  get isRunning(): boolean {
    return this.#worker !== undefined;
  }

  #ask<Q extends Question>(question: Q, value: Questions[Q]["ask"]): Promise<Questions[Q]["answer"]> {
    if (this.#isStopped) return Promise.reject(new StoreError("STORE_STOPPED"));
    this.#worker ??= this.#begin();
    const worker = this.#worker;
    clearTimeout(this.#idleTimer);
    this.#asks += 1;
    const ask = this.#asks;
    return new Promise((resolve, reject) => {
      this.#waiting.set(ask, { resolve: (answer) => resolve(answer as Questions[Q]["answer"]), reject });
      worker.postMessage({ ask, question, value });
    });
  }

  #begin(): Worker {
    const workerData: ReaderStart = { protocol: readerProtocol, path: join(this.#options.directory, "records.db") };
    const worker = new Worker(this.#options.readerPath, {
      workerData,
      name: "store-reader",
      execArgv: [],
      resourceLimits: { maxYoungGenerationSizeMb: 4 },
    });
    worker.unref();
    worker.on("message", (message: FromReader) => this.#hear(message));
    const gone = (cause: unknown): void => {
      if (this.#worker === worker) void this.#end(new StoreError("STORE_READER_GONE", {}, { cause }));
    };
    worker.on("error", gone);
    worker.on("exit", gone);
    return worker;
  }

  #hear(message: FromReader): void {
    if (message.kind === "hello") {
      if (message.protocol !== readerProtocol)
        void this.#end(new StoreError("STORE_PROTOCOL", { got: message.protocol }));
      return;
    }
    const waiting = this.#waiting.get(message.ask);
    this.#waiting.delete(message.ask);
    if (message.kind === "answer") waiting?.resolve(message.value);
    else waiting?.reject(fromFailure(message.failure));
    if (this.#waiting.size > 0) return;
    clearTimeout(this.#idleTimer);
    this.#idleTimer = setTimeout(
      () => void this.#end(new StoreError("STORE_STOPPED")),
      this.#options.idleMs ?? IDLE_MS,
    );
    this.#idleTimer.unref();
  }

  async #end(error: Error): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    clearTimeout(this.#idleTimer);
    for (const waiting of this.#waiting.values()) waiting.reject(error);
    this.#waiting.clear();
    await worker?.terminate();
  }
}
