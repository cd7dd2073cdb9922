import { join } from "node:path";
import type { LoadOrder } from "./host/frames.ts";
import { type Manifest, type ModelPlan, planOf } from "./manifest.ts";
import { STRIKE_LIMIT, strikesAt, withStrike } from "./strikes.ts";

/** A model that agents may ask, as the rest of the program sees it. */
export interface ModelHandle {
  readonly index: number;
  readonly name: string;
  readonly version: number;
  readonly digest: string;
  readonly lane: string;
  readonly manifest: Manifest;
  readonly plan: ModelPlan;
}

/** What to load, and the limits it runs under. */
export interface ModelSpec {
  /** Folder with model.onnx and what lies beside it. */
  readonly directory: string;
  readonly manifest: Manifest;
  readonly lane: string;
  readonly deadlineMs: number;
  readonly hardTimeoutMs: number;
  readonly maxBatch?: number | undefined;
}

export type ModelState = "loading" | "ready" | "quarantined" | "refused";

export interface ModelStatus {
  readonly name: string;
  readonly version: number;
  readonly digest: string;
  readonly lane: string;
  readonly state: ModelState;
  readonly reason?: string;
  readonly strikes: number;
}

/** The file of a model in its folder. */
export const MODEL_FILE = "model.onnx";

/** One model of a lane: what it is, and how it fares. */
export class HostedModel implements ModelHandle {
  readonly index: number;
  readonly name: string;
  readonly version: number;
  readonly digest: string;
  readonly lane: string;
  readonly manifest: Manifest;
  readonly plan: ModelPlan;
  readonly deadlineMs: number;
  readonly hardTimeoutMs: number;
  readonly order: LoadOrder;
  /** Resolves when it is first known whether the model can be used, or nobody waits for that any longer. */
  readonly decided: Promise<void>;
  state: ModelState = "loading";
  reason: string | undefined;
  /** The order to load it is on its way to the present host. */
  isOrdered = false;
  #strikesMs: number[] = [];
  #lastStrike: string | undefined;
  #decide: () => void = () => {};

  constructor(index: number, spec: ModelSpec) {
    const { manifest, directory } = spec;
    this.index = index;
    this.name = manifest.name;
    this.version = manifest.version;
    this.digest = manifest.digest;
    this.lane = spec.lane;
    this.manifest = manifest;
    this.plan = planOf(manifest, spec.maxBatch);
    this.deadlineMs = spec.deadlineMs;
    this.hardTimeoutMs = spec.hardTimeoutMs;
    this.order = loadOrder(join(directory, MODEL_FILE), manifest, this.plan, join(directory, manifest.golden));
    this.decided = new Promise((resolve) => {
      this.#decide = resolve;
    });
  }

  /** Ready, refused or quarantined, with the reason of the last two. */
  enter(state: "ready" | "refused" | "quarantined", reason?: string): void {
    this.state = state;
    this.reason = reason;
    this.#decide();
  }

  /** Ends the wait for `decided`. */
  decide(): void {
    this.#decide();
  }

  /** Its host is gone: it has to be loaded again, unless it is given up. */
  leaveHost(why: string): void {
    this.isOrdered = false;
    if (this.state === "ready") this.state = "loading";
    if (this.state === "loading") this.reason = `its host was lost: ${why}`;
  }

  /** Counts a strike; the third within the window puts the model away. */
  strike(nowMs: number, why: string): void {
    this.#strikesMs = withStrike(this.#strikesMs, nowMs);
    this.#lastStrike = why;
    if (this.#strikesMs.length >= STRIKE_LIMIT)
      this.enter("quarantined", `${STRIKE_LIMIT} strikes in 10 minutes, the last: ${why}`);
  }

  status(nowMs: number): ModelStatus {
    const { name, version, digest, lane, state } = this;
    const strikes = strikesAt(this.#strikesMs, nowMs);
    const reason = this.reason ?? (strikes > 0 ? `the last strike: ${this.#lastStrike}` : undefined);
    return { name, version, digest, lane, state, ...(reason === undefined ? {} : { reason }), strikes };
  }
}

/** What a host is told about a model file. */
export function loadOrder(file: string, manifest: Manifest, plan: ModelPlan, golden: string | undefined): LoadOrder {
  const { digest, sizeBytes, opset, tolerance } = manifest;
  return {
    file,
    digest,
    sizeBytes,
    opset,
    inputs: plan.inputs,
    outputs: plan.outputs,
    batchRows: plan.batchRows,
    tolerance,
    golden,
  };
}
