import { parentPort, workerData } from "node:worker_threads";
import { StoreError, toFailure } from "./errors.ts";
import { type FromWriter, storeProtocol, type ToWriter, type WriterStart } from "./messages.ts";
import { isDamage, sqliteCode } from "./sqlite-writer.ts";
import { isReadOnlyDisk } from "./temporaries.ts";
import { Writer } from "./writer.ts";

const RETRY_FIRST_MS = 250;
const RETRY_LAST_MS = 5000;
/** A start on a read-only disk waits so long, then ends: for a service that has mounts of its own it becomes writable only with the next start. */
const READ_ONLY_START_MS = 60_000;
/** What may pass by itself: a full disk, a card that was pulled, somebody else's lock. */
const PASSING = /^(SQLITE_(FULL|IOERR|READONLY|CANTOPEN|BUSY|NOMEM)|ENOSPC|EDQUOT|EROFS|EIO|ENOMEM|EMFILE|ENFILE)/;

/** SQLite's, or the system's where a file beside the databases was to be written. */
function isPassing(error: unknown): boolean {
  return PASSING.test(error instanceof Error && "code" in error ? String(error.code) : "");
}

/** The thread's loop: takes messages in order, and keeps what can not be written until it can. */
class WriterThread {
  readonly #post: (message: FromWriter) => void;
  readonly #queue: ToWriter[] = [];
  #writer: Writer | undefined;
  #directory = "";
  #retryMs = RETRY_FIRST_MS;
  #stuckSince: number | undefined;
  #stuckSinceMs = 0;
  #attempts = 0;
  #isRetaining = false;

  constructor(post: (message: FromWriter) => void) {
    this.#post = post;
  }

  open(start: WriterStart): void {
    this.#directory = start.directory;
    try {
      if (start.protocol !== storeProtocol)
        throw new StoreError("STORE_PROTOCOL", { asked: start.protocol, have: storeProtocol });
      this.#writer ??= new Writer(start, this.#post);
      this.#post(this.#writer.begin());
    } catch (error) {
      if (!isPassing(error)) {
        this.#fatal(error);
        return;
      }
      const waitedMs = this.#stuckSince === undefined ? 0 : performance.now() - this.#stuckSinceMs;
      if (waitedMs > READ_ONLY_START_MS && this.#tellsReadOnly(error)) {
        const hint = "Make the disk writable (mount -o remount,rw), and look into why it was not.";
        this.#fatal(
          new StoreError("STORE_UNUSABLE", { directory: start.directory, reason: "read-only" }, { cause: error, hint }),
        );
        return;
      }
      this.#stuck(error, () => this.open(start));
      return;
    }
    this.#unstuck();
    this.drain();
  }

  hear(message: ToWriter): void {
    this.#queue.push(message);
    if (this.#stuckSince === undefined) this.drain();
    else if (message.kind === "close") this.#retryNow?.();
    else if (message.kind !== "batch" && message.kind !== "minute") this.#aside(message);
  }

  /** Works through what is waiting, in order; what fails stays first in line. */
  drain(): void {
    const writer = this.#writer;
    if (writer === undefined) return;
    for (let message = this.#queue[0]; message !== undefined; message = this.#queue[0]) {
      try {
        this.#handle(writer, message);
      } catch (error) {
        this.#failed(error, message);
        return;
      }
      this.#queue.shift();
      if (message.kind === "batch") this.#unstuck();
    }
  }

  #retryNow: (() => void) | undefined;

  #handle(writer: Writer, message: ToWriter): void {
    switch (message.kind) {
      case "batch":
        this.#post(writer.commit(message));
        if (writer.committed(message)) this.#retain();
        break;
      case "minute":
        if (writer.minute(message)) this.#retain();
        break;
      case "close":
        writer.close(message);
        this.#end(writer);
        break;
      default:
        this.#answer(writer, message);
    }
  }

  #answer(writer: Writer, message: Exclude<ToWriter, { kind: "batch" | "minute" | "close" }>): void {
    if (message.kind === "fault") {
      writer.pretendFull(message.full);
      return;
    }
    const { ask } = message;
    try {
      this.#post({ kind: "answer", ask, value: this.#valueOf(writer, message) });
    } catch (error) {
      this.#post({ kind: "refused", ask, failure: toFailure(error) });
    }
  }

  #valueOf(writer: Writer, message: Extract<ToWriter, { ask: number }>): unknown {
    if (message.kind === "restore") return writer.tables.restored();
    if (message.kind === "restoreActions") return writer.tables.restoredActions(message.ids);
    if (message.kind === "figures") return writer.figures();
    const { control } = writer.opening;
    if (message.change !== undefined) control.change(message.change);
    return control.state();
  }

  /** Questions are answered while the disk is full: only what must be written waits. */
  #aside(message: ToWriter): void {
    const writer = this.#writer;
    this.#queue.splice(this.#queue.indexOf(message), 1);
    if (writer === undefined || message.kind === "batch" || message.kind === "minute" || message.kind === "close")
      return;
    this.#answer(writer, message);
  }

  #failed(error: unknown, message: ToWriter): void {
    const writer = this.#writer;
    if (!isPassing(error) || writer === undefined) {
      this.#fatal(error);
      return;
    }
    if (this.#queue.some((waiting) => waiting.kind === "close")) {
      // Nobody waits any longer. What is not on disk was never acknowledged; the next start records the gap.
      this.#end(writer);
      return;
    }
    // A minute that could not be ended is ended by the next; it must not stand before the records.
    if (message.kind === "minute") this.#queue.shift();
    try {
      if (message.kind === "batch" && writer.isQuotaReached(message) && writer.makeRoomInQuota(message, Date.now())) {
        setImmediate(() => this.drain());
        return;
      }
      writer.makeRoom(Date.now());
    } catch (cause) {
      if (!isPassing(cause)) {
        this.#fatal(cause);
        return;
      }
    }
    this.#stuck(error, () => this.drain());
  }

  #stuck(error: unknown, again: () => void): void {
    this.#attempts += 1;
    if (this.#stuckSince === undefined) {
      this.#stuckSince = Date.now();
      const said = error instanceof Error ? error.message : String(error);
      const code = sqliteCode(error);
      const sentence = code === "" ? said : `${code}: ${said}`;
      this.#stuckSinceMs = performance.now();
      const reason = this.#tellsReadOnly(error)
        ? `the disk with the data directory is read-only (${sentence})`
        : sentence;
      this.#post({ kind: "state", state: { condition: "full", reason, sinceMs: this.#stuckSince } });
    }
    const timer = setTimeout(() => this.#retryNow?.(), this.#retryMs);
    this.#retryNow = () => {
      clearTimeout(timer);
      this.#retryNow = undefined;
      again();
    };
    this.#retryMs = Math.min(RETRY_LAST_MS, this.#retryMs * 2);
  }

  /** SQLite may tell it as one of many errors of input and output. */
  #tellsReadOnly(error: unknown): boolean {
    if (error instanceof Error && "code" in error && /READONLY|EROFS/.test(String(error.code))) return true;
    return isReadOnlyDisk(this.#directory);
  }

  #unstuck(): void {
    const since = this.#stuckSince;
    if (since === undefined) return;
    this.#stuckSince = undefined;
    this.#retryMs = RETRY_FIRST_MS;
    const detail = { from: since, to: Date.now(), attempts: this.#attempts };
    this.#attempts = 0;
    try {
      this.#writer?.recovered("storeFull", Date.now(), detail);
    } catch (error) {
      // Full again at once: the batch that did get through counts, and the next one finds out.
      if (!isPassing(error)) throw error;
    }
    this.#post({ kind: "state", state: { condition: "open", reason: undefined, sinceMs: undefined } });
  }

  /** Old rows go in steps between messages, so that commits are never held up for long. */
  #retain(): void {
    if (this.#isRetaining) return;
    this.#isRetaining = true;
    setImmediate(() => this.#retainStep());
  }

  #retainStep(): void {
    this.#isRetaining = false;
    if (this.#stuckSince !== undefined || this.#writer === undefined) return;
    try {
      if (this.#writer.retain(Date.now())) this.#retain();
    } catch (error) {
      // No room even for that now: the next minute looks again.
      if (!isPassing(error)) this.#fatal(error);
    }
  }

  #end(writer: Writer): void {
    this.#writer = undefined;
    this.#queue.length = 0;
    writer.release();
    this.#post({ kind: "closed" });
    parentPort?.close();
  }

  /** The daemon must start anew: it finds out at the start what can be saved. */
  #fatal(error: unknown): void {
    const writer = this.#writer;
    this.#writer = undefined;
    const isDamaged = isDamage(error);
    try {
      if (isDamaged) writer?.opening.control.change({ kind: "meta", name: "suspect", value: "yes" });
      writer?.release();
    } catch {
      // The first error is the one to tell.
    }
    const failure = isDamaged
      ? toFailure(new StoreError("STORE_CORRUPT", { sqlite: sqliteCode(error) }, { cause: error }))
      : toFailure(error);
    this.#post({ kind: "failed", failure });
    parentPort?.close();
  }
}

const port = parentPort;
if (port !== null) {
  const thread = new WriterThread((message) => port.postMessage(message));
  port.on("message", (message: ToWriter) => thread.hear(message));
  port.postMessage({ kind: "hello", protocol: storeProtocol } satisfies FromWriter);
  thread.open(workerData as WriterStart);
}
