import { performance } from "node:perf_hooks";
import { HostedModel, type ModelHandle, type ModelSpec, type ModelStatus } from "./hosted-model.ts";
import { Lane, type LaneLog, type LaneOptions } from "./lane.ts";
import type { HostStatus } from "./lane-host.ts";
import { MAX_BATCH_ROWS } from "./manifest.ts";
import type { Priority } from "./queue.ts";
import { Entry, type InferFailure, type InferRequest } from "./request.ts";
import { rowProblem } from "./tensors.ts";

export type { ModelHandle, ModelSpec, ModelState, ModelStatus } from "./hosted-model.ts";
export type { HostStatus } from "./lane-host.ts";
export type { InferFailure, InferRequest, InferResult } from "./request.ts";
export type { Answer, InputRow } from "./tensors.ts";

export interface InferenceDeps {
  /** Absolute path of the compiled models/host/main.js. */
  readonly hostPath: string;
  readonly clock: { bootMs(): number };
  readonly log: LaneLog;
}

export interface InferenceOptions {
  readonly memoryBytes: number;
  /** Limits of lanes that differ from `memoryBytes`. */
  readonly laneMemoryBytes?: Readonly<Record<string, number>>;
  readonly recycleAfterLoads: number;
  readonly startTimeoutMs: number;
  /** How many may wait in each lane at each priority. */
  readonly queueLimit: number;
  /** How long rows of monitor and background may wait for others to run with; 0: not at all. */
  readonly gatherMs: number;
}

export const defaultInferenceOptions: InferenceOptions = {
  memoryBytes: 512 * 1024 * 1024,
  recycleAfterLoads: 50,
  startTimeoutMs: 20_000,
  queueLimit: 4096,
  gatherMs: 0,
};

const TICK_MS = 20;
/** Priorities from here on may wait for others to run with. */
const PATIENT: Priority = 2;
const MEMORY_MS = 1000;

interface Refused {
  readonly entry: Entry;
  readonly reason: InferFailure;
  readonly detail: string | undefined;
}

/** The models of one generation: rows in, answers out, whatever becomes of the hosts. */
export class Inference {
  readonly name = "inference";
  readonly #deps: InferenceDeps;
  readonly #options: InferenceOptions;
  readonly #lanes = new Map<string, Lane>();
  readonly #models = new Map<number, HostedModel>();
  #index = 0;
  #refused: Refused[] = [];
  #dirty = new Set<Lane>();
  #isScheduled = false;
  #gatherTimer: NodeJS.Timeout | undefined;
  #ticker: NodeJS.Timeout | undefined;
  #tickedMs = 0;
  #memoryTimer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(deps: InferenceDeps, options: Partial<InferenceOptions> = {}) {
    this.#deps = deps;
    this.#options = { ...defaultInferenceOptions, ...options };
  }

  async start(_signal?: AbortSignal): Promise<void> {
    this.#memoryTimer ??= setInterval(() => {
      for (const lane of this.#lanes.values()) lane.watchMemory(this.#deps.clock.bootMs());
    }, MEMORY_MS).unref();
  }

  /** Ends the hosts; every request is settled before this resolves. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#gatherTimer);
    clearInterval(this.#memoryTimer);
    await Promise.all([...this.#lanes.values()].map((lane) => lane.stop()));
    clearInterval(this.#ticker);
    this.#ticker = undefined;
    for (const model of this.#models.values()) model.decide();
    this.#flush();
  }

  /** Takes a model in and begins to load it. */
  add(spec: ModelSpec): ModelHandle {
    const model = new HostedModel(this.#nextIndex(), spec);
    this.#models.set(model.index, model);
    this.#lane(spec.lane).add(model);
    this.#keepTicking();
    return model;
  }

  /**
   * Takes a model in and waits until it is ready, refused or quarantined: its status says which. Where hosts do not come
   * up at all it is still `loading` after the start timeout, and goes on trying.
   */
  async load(spec: ModelSpec): Promise<ModelHandle> {
    const model = this.add(spec) as HostedModel;
    const timer = setTimeout(() => model.decide(), this.#options.startTimeoutMs);
    await model.decided;
    clearTimeout(timer);
    return model;
  }

  /** Lets a model go; what waits for it fails with `hostDown`. */
  unload(handle: ModelHandle): void {
    const model = this.#models.get(handle.index);
    if (model === undefined) return;
    this.#models.delete(model.index);
    this.#lanes.get(model.lane)?.remove(model);
  }

  submit(request: InferRequest): void {
    const model = request.model as HostedModel;
    const entry = new Entry(request, model, this.#deps.clock.bootMs());
    const lane = this.#lanes.get(model.lane);
    if (this.#isStopped || lane === undefined || !this.#models.has(model.index)) {
      this.#refuse(entry, "hostDown", "the model is not loaded");
    } else if (model.state === "quarantined" || model.state === "refused") {
      this.#refuse(entry, "quarantined", model.reason);
    } else {
      const problem = rowProblem(model.plan.inputs, model.plan.rowWidth, request.row);
      if (problem !== undefined) this.#refuse(entry, "inputInvalid", problem);
      else if (lane.submit(entry)) this.#due(lane, request.priority);
      else this.#refuse(entry, "overloaded", undefined);
    }
  }

  /** A lane at rest begins a little later with patient rows, so that a trickle is not a run each; a full batch at once. */
  #due(lane: Lane, priority: Priority): void {
    this.#dirty.add(lane);
    const { gatherMs } = this.#options;
    const isPatient = gatherMs > 0 && priority >= PATIENT && !lane.isRunning && lane.waiting < MAX_BATCH_ROWS;
    if (isPatient) this.#gatherTimer ??= setTimeout(this.#gathered, gatherMs);
    else this.#schedule();
  }

  readonly #gathered = (): void => {
    this.#gatherTimer = undefined;
    this.#flush();
  };

  /** How many more requests of this priority find a place: in the model's lane, or in the fullest one. */
  room(priority: Priority, handle?: ModelHandle): number {
    if (handle !== undefined) return this.#lanes.get(handle.lane)?.room(priority) ?? 0;
    let room = this.#options.queueLimit;
    for (const lane of this.#lanes.values()) room = Math.min(room, lane.room(priority));
    return room;
  }

  hosts(): HostStatus[] {
    return [...this.#lanes.values()].map((lane) => lane.status());
  }

  models(): ModelStatus[] {
    const nowMs = this.#deps.clock.bootMs();
    return [...this.#models.values()].map((model) => model.status(nowMs));
  }

  status(handle: ModelHandle): ModelStatus | undefined {
    return this.#models.get(handle.index)?.status(this.#deps.clock.bootMs());
  }

  /** Indexes travel as 16 bits, so those of models that were unloaded come round again. */
  #nextIndex(): number {
    do this.#index = (this.#index + 1) & 0xffff;
    while (this.#models.has(this.#index));
    return this.#index;
  }

  #lane(name: string): Lane {
    let lane = this.#lanes.get(name);
    if (lane === undefined) {
      const { hostPath, clock, log } = this.#deps;
      const { memoryBytes, laneMemoryBytes, recycleAfterLoads, startTimeoutMs, queueLimit } = this.#options;
      const options: LaneOptions = {
        memoryBytes: laneMemoryBytes?.[name] ?? memoryBytes,
        recycleAfterLoads,
        startTimeoutMs,
        queueLimit,
      };
      lane = new Lane(name, { hostPath, log, nowMs: () => clock.bootMs() }, options);
      this.#lanes.set(name, lane);
    }
    return lane;
  }

  #refuse(entry: Entry, reason: InferFailure, detail: string | undefined): void {
    this.#refused.push({ entry, reason, detail });
    this.#schedule();
  }

  /** Sending waits for the end of this turn of the loop: rows that came together run together. */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#flush);
  }

  readonly #flush = (): void => {
    this.#isScheduled = false;
    if (this.#refused.length > 0) {
      const refused = this.#refused;
      this.#refused = [];
      for (const { entry, reason, detail } of refused)
        entry.settle(detail === undefined ? { ok: false, reason } : { ok: false, reason, detail });
    }
    if (this.#dirty.size === 0) return;
    for (const lane of this.#dirty) lane.pump();
    this.#dirty.clear();
    this.#keepTicking();
  };

  /** Deadlines and hangs are looked after while there is work, and only then. */
  #keepTicking(): void {
    if (this.#ticker !== undefined || this.#isStopped) return;
    this.#tickedMs = performance.now();
    this.#ticker = setInterval(this.#tick, TICK_MS);
  }

  readonly #tick = (): void => {
    const tickMs = performance.now();
    const lateMs = Math.max(0, tickMs - this.#tickedMs - TICK_MS);
    this.#tickedMs = tickMs;
    const nowMs = this.#deps.clock.bootMs();
    let isBusy = false;
    for (const lane of this.#lanes.values()) {
      lane.tick(nowMs, lateMs);
      isBusy ||= lane.isBusy;
    }
    if (isBusy) return;
    clearInterval(this.#ticker);
    this.#ticker = undefined;
  };
}
