import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { Gap } from "../../sync/records.ts";
import type { Clock } from "../clock.ts";
import { fromFailure, StoreError } from "./errors.ts";
import { machineFingerprint } from "./fingerprint.ts";
import type {
  Batch,
  ControlChange,
  ControlState,
  EpochInfo,
  FromWriter,
  Generation,
  StoreFaults,
  StoreLimits,
  StoreState,
  ToWriter,
  WriterStart,
} from "./messages.ts";
import { storeProtocol } from "./messages.ts";

const EXIT_WAIT_MS = 2000;
/** What a batch leaves behind is short-lived: a small nursery keeps the thread's memory small at little cost. */
const LIMITS = { maxYoungGenerationSizeMb: 8 };

export interface WriterOptions extends StoreLimits {
  readonly directory: string;
  /** Compiled entry of the writer thread; see `childPath`. */
  readonly writerPath: string;
  /** Who this machine is, when not asked of the machine itself. */
  readonly fingerprint?: string | undefined;
  readonly faults?: StoreFaults | undefined;
}

export interface WriterEvents {
  durable(number: number, lastN: number, gaps: readonly Gap[]): void;
  note(what: string, detail: Readonly<Record<string, unknown>>): void;
  gone(error: Error): void;
}

type Opened = Extract<FromWriter, { kind: "opened" }>;
type Ask =
  | { kind: "restore" }
  | { kind: "restoreActions"; ids: readonly string[] }
  | { kind: "figures" }
  | { kind: "control"; change: ControlChange | undefined };

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** The writer thread as the main thread sees it: started, asked, told, closed. */
export class WriterLink {
  readonly #options: WriterOptions;
  readonly #events: WriterEvents;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #opening: { resolve(opened: Opened): void; reject(error: Error): void } | undefined;
  #closed: (() => void) | undefined;
  #epoch: EpochInfo | undefined;
  #state: StoreState = { condition: "starting", reason: undefined, sinceMs: undefined };
  #asks = 0;
  #isClosing = false;

  constructor(options: WriterOptions, events: WriterEvents) {
    this.#options = options;
    this.#events = events;
  }

  async start(clock: Clock, signal: AbortSignal): Promise<Opened> {
    signal.throwIfAborted();
    const options = this.#options;
    const workerData: WriterStart = {
      protocol: storeProtocol,
      directory: options.directory,
      limits: limitsOf(options),
      wallMs: clock.wallMs(),
      bootMs: clock.bootMs(),
      bootId: clock.bootId,
      fingerprint: options.fingerprint ?? machineFingerprint(),
      faults: options.faults ?? {},
    };
    const worker = new Worker(options.writerPath, {
      workerData,
      name: "store-writer",
      execArgv: [],
      resourceLimits: LIMITS,
    });
    this.#worker = worker;
    worker.on("message", (message: FromWriter) => this.#hear(message));
    worker.on("error", (error) => this.#end(new StoreError("STORE_WRITER_GONE", {}, { cause: error })));
    worker.on("exit", (status) => this.#end(new StoreError("STORE_WRITER_GONE", { status })));
    const opened = await this.#opened(worker, signal);
    this.#epoch = opened.epoch;
    return opened;
  }

  /** Until the writer has opened its files. On a full disk that takes until there is room, or nobody wants it any more. */
  async #opened(worker: Worker, signal: AbortSignal): Promise<Opened> {
    const leave = (): void => {
      this.#isClosing = true;
      void worker.terminate();
      this.#opening?.reject(new StoreError("STORE_STOPPED"));
    };
    signal.addEventListener("abort", leave, { once: true });
    try {
      return await new Promise<Opened>((resolve, reject) => {
        this.#opening = { resolve, reject };
      });
    } finally {
      signal.removeEventListener("abort", leave);
      this.#opening = undefined;
    }
  }

  async stop(clock: Clock): Promise<void> {
    const worker = this.#worker;
    if (worker === undefined || this.#state.condition === "stopped") return;
    this.#isClosing = true;
    const exited = once(worker, "exit");
    const closed = new Promise<void>((resolve) => {
      this.#closed = resolve;
    });
    this.#post({ kind: "close", wallMs: clock.wallMs(), bootMs: clock.bootMs() });
    await Promise.race([closed, exited]);
    // It ends by itself; only one that hangs is ended.
    const hangs = setTimeout(() => void worker.terminate(), EXIT_WAIT_MS);
    await exited;
    clearTimeout(hangs);
    this.#setState("stopped", undefined);
  }

  send(batch: Batch): void {
    this.#post(batch);
  }

  minute(clock: Clock): void {
    this.#post({ kind: "minute", wallMs: clock.wallMs(), bootMs: clock.bootMs() });
  }

  /** Lets commits fail as on a full disk, for tests. */
  pretendFull(full: boolean): void {
    this.#post({ kind: "fault", full });
  }

  ask<T>(question: Ask): Promise<T> {
    if (this.#worker === undefined || this.#isClosing) return Promise.reject(new StoreError("STORE_STOPPED"));
    this.#asks += 1;
    const ask = this.#asks;
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(ask, { resolve: (value) => resolve(value as T), reject });
      this.#post({ ...question, ask });
    });
  }

  /** The small database of what must outlive the log: generations, pointer, modes. */
  readonly control = {
    state: (): Promise<ControlState> => this.ask({ kind: "control", change: undefined }),
    change: (change: ControlChange): Promise<ControlState> => this.ask({ kind: "control", change }),
    saveGeneration: (generation: Generation): Promise<ControlState> =>
      this.ask({ kind: "control", change: { kind: "generation", generation } }),
  };

  state(): StoreState {
    return this.#state;
  }

  epoch(): EpochInfo {
    if (this.#epoch === undefined) throw new StoreError("STORE_STOPPED");
    return this.#epoch;
  }

  #post(message: ToWriter): void {
    this.#worker?.postMessage(message);
  }

  #hear(message: FromWriter): void {
    switch (message.kind) {
      case "durable":
        this.#events.durable(message.number, message.lastN, message.gaps);
        break;
      case "hello":
        if (message.protocol !== storeProtocol) this.#end(new StoreError("STORE_PROTOCOL", { got: message.protocol }));
        break;
      case "opened":
        this.#setState("open", undefined);
        this.#opening?.resolve(message);
        break;
      case "state":
        this.#state = message.state;
        this.#events.note(`store is ${message.state.condition}`, { reason: message.state.reason });
        break;
      case "note":
        this.#events.note(message.what, message.detail);
        break;
      case "answer":
        this.#take(message.ask)?.resolve(message.value);
        break;
      case "refused":
        this.#take(message.ask)?.reject(fromFailure(message.failure));
        break;
      case "failed":
        this.#end(fromFailure(message.failure));
        break;
      case "closed":
        this.#closed?.();
    }
  }

  #take(ask: number): Waiting | undefined {
    const waiting = this.#waiting.get(ask);
    this.#waiting.delete(ask);
    return waiting;
  }

  /** The writer is gone: whoever waits for it hears so, once. */
  #end(error: Error): void {
    if (this.#state.condition === "stopped") return;
    if (!this.#isClosing) this.#setState("stopped", "the writer thread ended");
    for (const waiting of this.#waiting.values()) waiting.reject(error);
    this.#waiting.clear();
    if (this.#opening !== undefined) this.#opening.reject(error);
    else if (!this.#isClosing) this.#events.gone(error);
  }

  #setState(condition: StoreState["condition"], reason: string | undefined): void {
    this.#state = { condition, reason, sinceMs: undefined };
  }
}

function limitsOf(options: StoreLimits): StoreLimits {
  const { maxBytes, ballastBytes, rememberIds, retention } = options;
  return { maxBytes, ballastBytes, rememberIds, retention };
}
