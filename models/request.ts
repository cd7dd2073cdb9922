import type { HostedModel, ModelHandle } from "./hosted-model.ts";
import type { Priority, Waiting } from "./queue.ts";
import type { Answer, InputRow } from "./tensors.ts";

export type InferFailure =
  | "timeout"
  | "deadline"
  | "hostDown"
  | "quarantined"
  | "overloaded"
  | "inputInvalid"
  | "outputInvalid"
  | "runtimeError";

export type InferResult =
  | {
      readonly ok: true;
      readonly answer: Answer;
      readonly batch: number;
      readonly queueUs: number;
      readonly inferUs: number;
    }
  | { readonly ok: false; readonly reason: InferFailure; readonly detail?: string };

/** One row that wants an answer. `settle` is called exactly once, never before `submit` has returned. */
export interface InferRequest {
  readonly model: ModelHandle;
  readonly row: InputRow;
  readonly priority: Priority;
  readonly deadlineBootMs: number;
  settle(result: InferResult): void;
}

/** A request on its way; whatever happens to it, it is settled once. */
export class Entry implements Waiting {
  readonly request: InferRequest;
  readonly model: HostedModel;
  readonly submittedMs: number;
  readonly deadlineMs: number;
  alone = false;
  order = 0;
  isSettled = false;

  constructor(request: InferRequest, model: HostedModel, nowMs: number) {
    this.request = request;
    this.model = model;
    this.submittedMs = nowMs;
    this.deadlineMs = Math.min(request.deadlineBootMs, nowMs + model.deadlineMs);
  }

  settle(result: InferResult): void {
    if (this.isSettled) return;
    this.isSettled = true;
    this.request.settle(result);
  }
}

/** Settles all of them with one failure. */
export function failAll(entries: readonly Entry[], reason: InferFailure, detail?: string): void {
  const result: InferResult = detail === undefined ? { ok: false, reason } : { ok: false, reason, detail };
  for (const entry of entries) entry.settle(result);
}
