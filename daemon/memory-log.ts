import { type Decision, readDecision } from "../sync/records.ts";
import type { AgentLog } from "./unit.ts";

/** A log that forgets all but its counters and the decisions it is asked to keep: for `holdfast try`. */
export class MemoryLog implements AgentLog {
  readonly counters = new Map<string, number>();
  readonly #onDecision: (decision: Decision) => void;

  constructor(onDecision: (decision: Decision) => void) {
    this.#onDecision = onDecision;
  }

  append(record: { readonly kind: string; readonly body: string }): void {
    if (record.kind === "decision") this.#onDecision(readDecision(record.body));
  }

  appendTogether(records: readonly { readonly kind: string; readonly body: string }[]): void {
    for (const record of records) this.append(record);
  }

  count(_agent: string, counter: string, n: number): void {
    this.counters.set(counter, (this.counters.get(counter) ?? 0) + n);
  }

  onDurable(callback: () => void): void {
    queueMicrotask(callback);
  }

  project(): void {}
  commitNow(): void {}
  senderWaits(): void {}
  stir(): void {}
  room(): number {
    return Number.MAX_SAFE_INTEGER;
  }
  async flush(): Promise<void> {}
  agentNumber(): number {
    return 1;
  }
  restore(): ReturnType<AgentLog["restore"]> {
    return Promise.resolve({
      agents: new Map(),
      totals: {},
      readings: [],
      checkpoints: [],
      ruleStates: [],
      seen: [],
      meta: {},
    });
  }
}
