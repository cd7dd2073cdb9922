import type { InferRequest, InferResult, InputRow, ModelHandle } from "../models/inference.ts";
import type { Delivery, Settled } from "./delivery.ts";

/** What a pass needs of its agent when the answer is there. */
export interface PassOwner {
  settled(pass: Pass, result: InferResult): void;
}

/**
 * One trip through an agent, from the opened row to the durable decision. It is itself the request to the inference
 * host: an object a pass, and no closure.
 */
export class Pass implements InferRequest {
  readonly model: ModelHandle;
  readonly row: InputRow;
  readonly priority: 0 | 1 | 2 | 3;
  readonly deadlineBootMs: number;
  readonly owner: PassOwner;
  readonly key: string;
  readonly eventId: string | undefined;
  readonly eventTimeMs: number;
  readonly receivedMs: number;
  readonly openedBootMs: number;
  readonly coverage: number;
  readonly windowCount: number;
  readonly fields: InputRow | undefined;
  readonly trace: string | undefined;
  /** The delivery that opened it; its sender is released when the decision is on disk. */
  readonly delivery: Delivery | undefined;
  /** Senders of the same message again, which wait for the same decision. */
  others: Settled[] | undefined;
  /** What was answered to its questions, and the same as JSON; set before its rules are asked. */
  queries: Readonly<Record<string, unknown>> | undefined;
  queriesText: string | undefined;

  constructor(owner: PassOwner, opened: OpenedPass) {
    this.owner = owner;
    this.model = opened.model as ModelHandle;
    this.row = opened.row;
    this.priority = opened.priority;
    this.deadlineBootMs = opened.deadlineBootMs;
    this.key = opened.key;
    this.eventId = opened.eventId;
    this.eventTimeMs = opened.eventTimeMs;
    this.receivedMs = opened.receivedMs;
    this.openedBootMs = opened.openedBootMs;
    this.coverage = opened.coverage;
    this.windowCount = opened.windowCount;
    this.fields = opened.fields;
    this.trace = opened.trace;
    this.delivery = opened.delivery;
    this.others = undefined;
    this.queries = undefined;
    this.queriesText = undefined;
  }

  alsoSettles(settled: Settled): void {
    this.others = [...(this.others ?? []), settled];
  }

  settle(result: InferResult): void {
    this.owner.settled(this, result);
  }
}

export interface OpenedPass {
  readonly model: ModelHandle | undefined;
  readonly row: InputRow;
  readonly priority: 0 | 1 | 2 | 3;
  readonly deadlineBootMs: number;
  readonly key: string;
  readonly eventId: string | undefined;
  readonly eventTimeMs: number;
  readonly receivedMs: number;
  readonly openedBootMs: number;
  readonly coverage: number;
  readonly windowCount: number;
  readonly fields: InputRow | undefined;
  readonly trace: string | undefined;
  readonly delivery: Delivery | undefined;
}
