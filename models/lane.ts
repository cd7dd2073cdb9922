import { sentenceOf } from "./errors.ts";
import {
  decodeAnswer,
  decodeJson,
  encodeJson,
  encodeRun,
  type Frame,
  FrameType,
  type LoadReport,
  type Refusal,
} from "./host/frames.ts";
import type { HostedModel } from "./hosted-model.ts";
import { type HostStatus, LaneHost } from "./lane-host.ts";
import { BatchQueue, type Priority } from "./queue.ts";
import { type Entry, failAll } from "./request.ts";
import { blamed, type EndCause } from "./strikes.ts";
import type { InputRow } from "./tensors.ts";

export interface LaneDeps {
  readonly hostPath: string;
  readonly nowMs: () => number;
  readonly log: LaneLog;
}

export interface LaneLog {
  readonly info: (fields: LaneLogFields, message: string) => void;
  readonly warn: (fields: LaneLogFields, message: string) => void;
}

interface LaneLogFields {
  readonly lane: string;
  readonly model?: string;
  readonly version?: number;
  readonly bytes?: number;
  readonly code?: string;
  readonly reason?: string;
}

export interface LaneOptions {
  readonly memoryBytes: number;
  readonly recycleAfterLoads: number;
  readonly startTimeoutMs: number;
  readonly queueLimit: number;
}

/** Something the host was told to do; it does one after another. */
interface Job {
  readonly request: number;
  readonly model: HostedModel;
  /** None for a load. */
  readonly entries: readonly Entry[];
  readonly priority: Priority;
  readonly limitMs: number;
  /** Since when it has been the first: the host works on it. */
  headSinceMs: number;
}

/** The host works on one batch while the next is already in its pipe. */
const PIPELINE = 2;
const WATCH_MS = 100;
const SOFT_SHARE = 0.8;
const GROWTH = 1.25;

/** The models that share a host: whose rows run next, how long they may take, and what becomes of them when it dies. */
export class Lane {
  readonly name: string;
  readonly #deps: LaneDeps;
  readonly #options: LaneOptions;
  readonly #host: LaneHost;
  readonly #queue: BatchQueue<Entry>;
  readonly #models = new Map<number, HostedModel>();
  readonly #expired: Entry[] = [];
  #jobs: Job[] = [];
  #request = 0;
  #loads = 0;
  #loadedBytes = 0;
  #watchedMs = 0;
  #isStopping = false;

  constructor(name: string, deps: LaneDeps, options: LaneOptions) {
    this.name = name;
    this.#deps = deps;
    this.#options = options;
    this.#queue = new BatchQueue(options.queueLimit);
    this.#host = new LaneHost(name, deps.hostPath, deps.nowMs, {
      ready: () => this.pump(),
      frame: (frame) => this.#take(frame),
      ended: (cause, reason) => this.#ended(cause, reason),
    });
  }

  /** Something waits, runs or starts: deadlines have to be looked after. */
  get isBusy(): boolean {
    return this.#jobs.length > 0 || this.#queue.size > 0 || this.#host.state === "starting";
  }

  /** A batch is at the host; what waits goes when its answer comes. */
  get isRunning(): boolean {
    return this.#jobs.length > 0;
  }

  get waiting(): number {
    return this.#queue.size;
  }

  room(priority: Priority): number {
    return this.#queue.room(priority);
  }

  status(): HostStatus {
    return this.#host.status();
  }

  add(model: HostedModel): void {
    this.#models.set(model.index, model);
    this.#host.want();
    this.pump();
  }

  remove(model: HostedModel): void {
    this.#models.delete(model.index);
    this.#failWaiting(model, "hostDown", "the model was unloaded");
    if (model.isOrdered && this.#host.state === "ready")
      this.#host.send(encodeJson(FrameType.unload, 0, model.index, {}));
  }

  /** False when too many wait already. */
  submit(entry: Entry): boolean {
    return this.#queue.push(entry.model.index, entry.request.priority, entry);
  }

  /** Gives the host what it can take now. */
  pump(): void {
    if (this.#host.state !== "ready") return;
    this.#sendLoad();
    const nowMs = this.#deps.nowMs();
    while (this.#jobs.length < PIPELINE) {
      const next = this.#queue.peek(this.#isReady);
      if (next === undefined) break;
      // A model that takes one row a run gets the host to itself: nothing urgent may wait behind two of its runs.
      if (this.#jobs.length > 0 && this.#batchRows(next) === 1) break;
      // Behind a run only a full batch is worth its frame: the host could not begin with a part of one any sooner.
      if (this.#jobs.length > 0 && this.#queue.size < this.#batchRows(next)) break;
      const batch = this.#queue.take(nowMs, this.#isReady, this.#batchRows, this.#expired);
      if (batch === undefined) break;
      this.#sendRun(batch.items, nowMs);
    }
    this.#settleExpired();
  }

  /** Looks after deadlines and the running batch; `lateMs` is how long this very process stood still. */
  tick(nowMs: number, lateMs: number): void {
    this.#queue.expire(nowMs, this.#expired);
    for (const job of this.#jobs) {
      for (const entry of job.entries) if (entry.deadlineMs <= nowMs && !entry.isSettled) this.#expired.push(entry);
    }
    this.#settleExpired();
    if (this.#host.startingMs > this.#options.startTimeoutMs)
      this.#host.kill("timeout", "it did not say hello in time");
    const head = this.#jobs[0];
    if (head === undefined || this.#host.state !== "ready") return;
    head.headSinceMs += lateMs;
    const ranMs = nowMs - head.headSinceMs;
    if (ranMs > head.limitMs) this.#host.kill("timeout", `${head.model.name} did not answer within ${head.limitMs} ms`);
    else if (ranMs > WATCH_MS && nowMs - this.#watchedMs >= WATCH_MS) this.watchMemory(nowMs);
  }

  /** Ends a host that takes too much memory, and renews an idle one that has grown. */
  watchMemory(nowMs: number): void {
    this.#watchedMs = nowMs;
    const bytes = this.#host.measure();
    const { memoryBytes, recycleAfterLoads } = this.#options;
    if (bytes > memoryBytes)
      this.#host.kill("memory", `it took ${megabytes(bytes)} of ${megabytes(memoryBytes)} MB memory`);
    if (this.#host.state !== "ready" || this.#jobs.length > 0 || this.#queue.size > 0) return;
    if (!this.#hasUsable()) this.#host.end("it has no model left");
    const hasGrown = bytes > memoryBytes * SOFT_SHARE && bytes > this.#loadedBytes * GROWTH;
    if (hasGrown || this.#loads - this.#models.size >= recycleAfterLoads) this.#host.end("it is renewed");
  }

  /** What waits fails, what runs may end within a second; then the host is gone. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    const waiting: Entry[] = [];
    this.#queue.drain(undefined, waiting);
    failAll(waiting, "hostDown", "the daemon stops");
    await this.#host.stop();
  }

  readonly #isReady = (index: number): boolean => this.#models.get(index)?.state === "ready";
  readonly #batchRows = (index: number): number => this.#models.get(index)?.plan.batchRows ?? 1;

  /** One load at a time, so that models which are ready answer in between. */
  #sendLoad(): void {
    if (this.#jobs.some((job) => job.entries.length === 0)) return;
    for (const model of this.#models.values()) {
      if (model.state !== "loading" || model.isOrdered) continue;
      model.isOrdered = true;
      const request = this.#push(model, [], 0, this.#options.startTimeoutMs);
      this.#host.send(encodeJson(FrameType.load, request, model.index, model.order));
      return;
    }
  }

  #sendRun(entries: readonly Entry[], nowMs: number): void {
    const first = entries[0] as Entry;
    const { model } = first;
    const rows: InputRow[] = [];
    for (const entry of entries) rows.push(entry.request.row);
    const request = this.#push(model, entries, first.request.priority, model.hardTimeoutMs, nowMs);
    this.#host.send(encodeRun(request, model.index, model.plan.inputs, rows));
  }

  #push(
    model: HostedModel,
    entries: readonly Entry[],
    priority: Priority,
    limitMs: number,
    nowMs = this.#deps.nowMs(),
  ): number {
    this.#request = (this.#request + 1) >>> 0;
    this.#jobs.push({ request: this.#request, model, entries, priority, limitMs, headSinceMs: nowMs });
    return this.#request;
  }

  #take(frame: Frame): void {
    const job = this.#jobs[0];
    if (job === undefined || job.request !== frame.request) {
      this.#host.kill("crash", "it answered what nobody asked");
      return;
    }
    this.#jobs.shift();
    const nowMs = this.#deps.nowMs();
    const next = this.#jobs[0];
    if (next !== undefined) next.headSinceMs = nowMs;
    if (frame.type === FrameType.answer) this.#takeAnswer(job, frame, nowMs);
    else if (frame.type === FrameType.failed) this.#takeFailure(job, frame.body.toString("utf8"));
    else if (frame.type === FrameType.loaded) this.#takeLoaded(job.model, decodeJson(frame) as LoadReport);
    else this.#takeRefusal(job.model, decodeJson(frame) as Refusal);
    this.pump();
  }

  #takeAnswer(job: Job, frame: Frame, nowMs: number): void {
    const { entries, model } = job;
    const decoded = frame.rows === entries.length ? tryDecode(frame, model) : undefined;
    if (decoded === undefined) {
      failAll(entries, "hostDown", "the host's answer was damaged");
      this.#host.kill("crash", "it sent a damaged answer");
      return;
    }
    const { answers, invalid, computeUs } = decoded;
    for (let r = 0; r < entries.length; r++) {
      const entry = entries[r] as Entry;
      const problem = invalid === undefined ? undefined : invalid[r];
      if (problem !== undefined) entry.settle({ ok: false, reason: "outputInvalid", detail: problem });
      else {
        const queueUs = Math.max(0, Math.round((nowMs - entry.submittedMs) * 1000) - computeUs);
        entry.settle({ ok: true, answer: answers[r] ?? {}, batch: entries.length, queueUs, inferUs: computeUs });
      }
    }
  }

  /** A batch fails as a whole: its rows run again one by one, so that only those that are to blame fail. */
  #takeFailure(job: Job, text: string): void {
    if (job.entries.length === 1) {
      failAll(job.entries, "runtimeError", text);
      return;
    }
    for (const entry of job.entries) entry.alone = true;
    this.#sendAgain(job);
  }

  #takeLoaded(model: HostedModel, report: LoadReport): void {
    this.#loads++;
    this.#loadedBytes = report.residentBytes;
    this.#host.measure();
    if (model.state === "loading") model.enter("ready");
    this.#deps.log.info(
      { model: model.name, version: model.version, lane: this.name, bytes: report.residentBytes },
      "model loaded",
    );
  }

  #takeRefusal(model: HostedModel, refusal: Refusal): void {
    const reason = sentenceOf({ message: refusal.message, detail: refusal, hint: refusal.hint });
    model.enter("refused", reason);
    this.#deps.log.warn(
      { model: model.name, version: model.version, lane: this.name, code: refusal.code, reason },
      "model refused",
    );
    this.#failWaiting(model, "quarantined", reason);
  }

  /** Strikes whom it was about, fails what was running, keeps the rest for the next host. */
  #ended(cause: EndCause, reason: string): boolean {
    const nowMs = this.#deps.nowMs();
    const jobs = this.#jobs;
    const head = jobs[0];
    this.#jobs = [];
    this.#loads = 0;
    for (const model of this.#models.values()) model.leaveHost(reason);
    const isHeadWatched = head !== undefined && nowMs - head.headSinceMs > 2 * WATCH_MS;
    const work = { head: head?.model.index, isHeadWatched, models: jobs.map((job) => job.model.index) };
    const guilty = this.#models.get(blamed(cause, work) ?? -1);
    guilty?.strike(nowMs, reason);
    this.#logEnd(cause, reason, guilty);
    const isHeadLost = cause === "timeout" || cause === "crash" || cause === "memory";
    for (const job of jobs.reverse()) {
      if (this.#isStopping) failAll(job.entries, "hostDown", "the daemon stops");
      else if (job === head && isHeadLost) failAll(job.entries, cause === "timeout" ? "timeout" : "hostDown", reason);
      else this.#sendAgain(job);
    }
    if (guilty?.state === "quarantined") this.#failWaiting(guilty, "quarantined", guilty.reason);
    return this.#hasUsable();
  }

  #hasUsable(): boolean {
    for (const model of this.#models.values()) if (model.state === "loading" || model.state === "ready") return true;
    return false;
  }

  #logEnd(cause: EndCause, reason: string, guilty: HostedModel | undefined): void {
    const fields = { lane: this.name, reason, code: cause, ...(guilty === undefined ? {} : { model: guilty.name }) };
    if (cause === "planned") this.#deps.log.info(fields, "host ended");
    else this.#deps.log.warn(fields, guilty?.state === "quarantined" ? "host lost, model quarantined" : "host lost");
  }

  #sendAgain(job: Job): void {
    const open = job.entries.filter((entry) => !entry.isSettled);
    if (this.#models.has(job.model.index)) this.#queue.putBack(job.model.index, job.priority, open);
    else failAll(open, "hostDown", "the model was unloaded");
  }

  #failWaiting(model: HostedModel, reason: "quarantined" | "hostDown", detail: string | undefined): void {
    const waiting: Entry[] = [];
    this.#queue.drain(model.index, waiting);
    failAll(waiting, reason, detail);
  }

  #settleExpired(): void {
    if (this.#expired.length > 0) failAll(this.#expired.splice(0), "deadline");
  }
}

function tryDecode(frame: Frame, model: HostedModel): ReturnType<typeof decodeAnswer> | undefined {
  try {
    return decodeAnswer(frame, model.plan.outputs);
  } catch {
    // The caller ends the host: its memory can not be trusted.
    return undefined;
  }
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1_048_576);
}
